//! The threads that carry traffic: one worker each, with its own runtime, sockets and pool. Nothing is shared
//! among them but what they read.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::overload::Overload;
use crate::proxy::listener::{self, ListenAddress};
use crate::proxy::worker::{TrafficSettings, Worker};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::stats::Stats;
use crate::upstream::dns::Resolver;

/// How often a worker looks after its idle connections, in milliseconds.
const HOUSEKEEPING_MS: u64 = 1_000;

/// What the workers are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serve,
    /// Take everything, and ask clients to go elsewhere with the next request.
    Leave,
    /// Take no more, finish what is under way.
    Drain,
    /// Let go of everything.
    Stop,
}

/// Bound addresses, one list per worker.
pub struct Sockets(Vec<Vec<(ListenAddress, TcpListener)>>);

/// What all workers are given.
pub struct Shared {
    pub traffic: Arc<TrafficSettings>,
    pub live: Arc<ArcSwap<Snapshot>>,
    pub resolver: Resolver,
    pub stats: Arc<Stats>,
    pub access_log: Option<Arc<AccessLog>>,
    pub clock: Clock,
    pub overload: Overload,
    pub tls: Arc<ServerConfig>,
}

/// The running workers.
pub struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// How many have drained.
    drained: watch::Receiver<usize>,
    failed: watch::Receiver<Option<String>>,
}

/// Binds every address for every worker, so that a clash is known before anything starts.
pub fn bind(settings: &Settings) -> Result<Sockets, String> {
    let mut addresses = settings.listeners.clone();
    let mut sockets = Vec::new();
    for listen in &addresses {
        listener::ensure_free(listen.address)?;
    }
    for _ in 0..settings.workers {
        let mut own = Vec::new();
        for listen in &mut addresses {
            let socket = listener::bind(listen)?;
            // Port 0 is the system's choice once; the other workers share it.
            listen.address = socket.local_addr().map_err(|error| error.to_string())?;
            own.push((listen.clone(), socket));
        }
        sockets.push(own);
    }
    Ok(Sockets(sockets))
}

impl Sockets {
    /// What is listened on, and whether with TLS.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, bool)> + '_ {
        self.0.first().into_iter().flatten().map(|(listen, _)| (listen.address, listen.tls))
    }
}

impl Threads {
    /// Starts one thread per list of sockets.
    pub fn start(
        sockets: Sockets,
        shared: &Shared,
        phases: watch::Receiver<Phase>,
    ) -> Result<Threads, String> {
        let (tell_drained, drained) = watch::channel(0);
        let (tell_failed, failed) = watch::channel(None);
        let tell_drained = Arc::new(tell_drained);
        let tell_failed = Arc::new(tell_failed);
        let mut handles = Vec::new();
        for (index, own) in sockets.0.into_iter().enumerate() {
            let run = Run {
                index,
                sockets: own,
                traffic: Arc::clone(&shared.traffic),
                live: Arc::clone(&shared.live),
                resolver: shared.resolver.clone(),
                stats: Arc::clone(&shared.stats),
                access_log: shared.access_log.clone(),
                clock: shared.clock.clone(),
                overload: shared.overload.clone(),
                tls: Arc::clone(&shared.tls),
                phases: phases.clone(),
                drained: Arc::clone(&tell_drained),
            };
            let tell_failed = Arc::clone(&tell_failed);
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.run()));
                let cause = match outcome {
                    Ok(Ok(())) => return,
                    Ok(Err(cause)) => cause,
                    Err(_) => "it panicked; see the log".to_owned(),
                };
                tell_failed.send_replace(Some(format!("worker {index} failed: {cause}")));
            });
            handles.push(thread.map_err(|error| format!("failed to start a worker thread: {error}"))?);
        }
        Ok(Threads { handles, drained, failed })
    }

    /// Resolves when every worker has finished what was under way.
    pub async fn drained(&self) {
        let all = self.handles.len();
        // An error means that all of them have ended.
        let _ = self.drained.clone().wait_for(|count| *count >= all).await;
    }

    /// Resolves when a worker has failed, with the cause.
    pub async fn failed(&self) -> String {
        match self.failed.clone().wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for the threads to end.
    pub fn join(self) {
        for handle in self.handles {
            // A panic was told when it happened.
            let _ = handle.join();
        }
    }
}

/// One thread's work.
struct Run {
    index: usize,
    sockets: Vec<(ListenAddress, TcpListener)>,
    traffic: Arc<TrafficSettings>,
    live: Arc<ArcSwap<Snapshot>>,
    resolver: Resolver,
    stats: Arc<Stats>,
    access_log: Option<Arc<AccessLog>>,
    clock: Clock,
    overload: Overload,
    tls: Arc<ServerConfig>,
    phases: watch::Receiver<Phase>,
    drained: Arc<watch::Sender<usize>>,
}

impl Run {
    fn run(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .map_err(|error| format!("failed to start its runtime: {error}"))?;
        runtime.block_on(self.serve())
    }

    async fn serve(mut self) -> Result<(), String> {
        let counters = self.stats.worker(self.index);
        let worker = Worker::new(
            self.traffic,
            self.live,
            self.resolver,
            Arc::clone(&counters),
            self.access_log,
            self.clock,
            self.overload,
        );
        let sweeping = tokio::task::spawn_local(Rc::clone(&worker.deadlines).run());
        let mut accepting = Vec::new();
        for (listen, socket) in self.sockets {
            let socket = tokio::net::TcpListener::from_std(socket)
                .map_err(|error| format!("failed to accept on {}: {error}", listen.address))?;
            let (worker, tls) = (Rc::clone(&worker), Arc::clone(&self.tls));
            let mut phases = self.phases.clone();
            let closing = async move {
                // An error means that nobody is left to tell us.
                let _ = phases.wait_for(|phase| *phase >= Phase::Drain).await;
            };
            accepting.push(tokio::task::spawn_local(listener::run(worker, socket, listen, tls, closing)));
        }
        let mut housekeeping = tokio::time::interval(Duration::from_millis(HOUSEKEEPING_MS));
        let mut leaving = self.phases.clone();
        loop {
            tokio::select! {
                changed = self.phases.wait_for(|phase| *phase >= Phase::Drain) => {
                    // Nobody left to tell us anything means that it is over.
                    if changed.is_err() { return Ok(()); }
                    break;
                }
                Ok(_) = leaving.wait_for(|phase| *phase >= Phase::Leave), if !worker.leaves() => worker.leave(),
                _ = housekeeping.tick() => worker.tidy(),
            }
        }
        worker.drain();
        for accepting in accepting {
            // A listener that failed has said so.
            let _ = accepting.await;
        }
        let mut stopped = self.phases.clone();
        loop {
            if counters.connections_open.get() == 0 {
                self.drained.send_modify(|count| *count += 1);
                break;
            }
            tokio::select! {
                _ = stopped.wait_for(|phase| *phase == Phase::Stop) => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => worker.drain(),
            }
        }
        sweeping.abort();
        Ok(())
    }
}
