//! Builds every part in start order, connects them, and takes them down again. The only module that knows all
//! others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use admin_api::status::Listener;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, FeedHub};
use crate::clock::Clock;
use crate::control::{self, Source};
use crate::overload::Overload;
use crate::plugins::Environment;
use crate::plugins::environment::Resolve;
use crate::plugins::registry::PLUGINS;
use crate::proxy::tls;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::snapshot::compile::Compiler;
use crate::snapshot::publish::Publisher;
use crate::telemetry::access_log::AccessLogWriter;
use crate::telemetry::stats::Stats;
use crate::threads::{self, Phase, Threads};
use crate::upstream::dns::Resolver;
use crate::upstream::probe::Prober;

/// How long log entries and spans may still be delivered after the last request.
const LAST_ENTRIES: Duration = Duration::from_secs(5);

/// How long the last lines of the access log may still be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why the gateway could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address or the configuration can't be used.
    #[error("{0}")]
    Start(String),
    #[error("{0}")]
    Running(String),
}

/// Serves until a signal says stop.
pub async fn run(settings: Settings) -> Result<(), AppError> {
    let signals = Signals::listen()?;
    let running = tokio::select! {
        running = Running::start(settings) => running?,
        () = signals.reach(1) => return Ok(()),
    };
    let result = tokio::select! {
        () = signals.reach(1) => Ok(()),
        failed = running.failed() => Err(AppError::Running(failed)),
    };
    running.stop(|| signals.reach(2)).await;
    result
}

/// A gateway that serves.
pub struct Running {
    /// What is listened on, the admin port last.
    pub listeners: Arc<[Listener]>,
    /// What is shed for want of memory.
    pub overload: Overload,
    settings: Settings,
    readiness: Readiness,
    phase: watch::Sender<Phase>,
    threads: Threads,
    access_writer: Option<AccessLogWriter>,
    environment: Environment,
    source: Source,
    stop: CancellationToken,
    admin_server: JoinHandle<()>,
    /// What ends with us and has nothing to finish.
    helpers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts every part. Requests are taken when this returns; whether there is a configuration to serve them with is
    /// for `/ready` to say.
    ///
    /// # Errors
    /// What can't be used, in words.
    pub async fn start(settings: Settings) -> Result<Running, AppError> {
        let runtime = Handle::current();
        let clock = Clock::system();
        let readiness = Readiness::default();
        let configured = readiness.pending("the first configuration");
        let listening = readiness.pending("listeners");

        let resolver = Resolver::new(runtime.clone(), settings.dns).map_err(AppError::Start)?;
        let environment = Environment::new(runtime, clock.clone(), Some(Arc::new(resolver.clone())))
            .traced(&settings.tracing)
            .map_err(AppError::Start)?;
        let stats = Stats::new(settings.workers, PLUGINS.len());
        let compiler = Compiler { environment: environment.clone(), stats: Arc::clone(&stats) };
        let publisher = Arc::new(Publisher::new(compiler, clock.clone()));

        let admin_listener = bind("--admin", settings.admin).await?;
        let health_listener = match settings.health {
            Some(address) => Some(bind("--health", address).await?),
            None => None,
        };
        let sockets = threads::bind(&settings).map_err(AppError::Start)?;
        let listeners = described(&sockets, health_listener.as_ref(), &admin_listener);
        for listener in &*listeners {
            tracing::info!(address = listener.address, protocol = listener.protocol, "listening");
        }

        let access_writer = match &settings.access_log {
            Some(wanted) => Some(AccessLogWriter::start(wanted, settings.workers).map_err(AppError::Start)?),
            None => None,
        };
        let access_log = access_writer.as_ref().map(AccessLogWriter::log);

        let stop = CancellationToken::new();
        let source = control::start(&settings, &publisher, &readiness, configured, &stop)
            .await
            .map_err(AppError::Start)?;
        let (phase, phases) = watch::channel(Phase::Serve);
        let overload = Overload::default();
        let shared = threads::Shared {
            traffic: Arc::new(settings.traffic.clone()),
            live: publisher.live(),
            resolver: resolver.clone(),
            stats: Arc::clone(&stats),
            access_log: access_log.clone(),
            clock: clock.clone(),
            overload: overload.clone(),
            tls: tls::server_config(publisher.live()).map_err(AppError::Start)?,
        };
        let threads = Threads::start(sockets, &shared, phases).map_err(AppError::Start)?;
        drop(listening);

        let prober = Prober::new(resolver, clock.clone());
        let probing = tokio::spawn(probe(prober, Arc::clone(&publisher)));
        let admin = Admin {
            instance: instance().into(),
            source: settings.source.name(),
            started_at_ms: clock.unix().as_millis() as u64,
            clock,
            publisher,
            stats,
            access_log,
            environment: environment.clone(),
            readiness: readiness.clone(),
            listeners: Arc::clone(&listeners),
            feed: FeedHub::new(),
            declarative: source.declarative.clone(),
        };
        let shedding = tokio::spawn(overload.clone().watch(settings.shed_at));
        let mut helpers = vec![probing, shedding, tokio::spawn(admin.feed.clone().run(admin.clone()))];
        if let Some(listener) = health_listener {
            let serving = admin::serve_health(admin.clone(), listener, stop.clone().cancelled_owned());
            helpers.push(tokio::spawn(serving));
        }
        let admin_server = tokio::spawn(admin::serve(admin, admin_listener, stop.clone().cancelled_owned()));
        Ok(Running {
            listeners,
            overload,
            settings,
            readiness,
            phase,
            threads,
            access_writer,
            environment,
            source,
            stop,
            admin_server,
            helpers,
        })
    }

    /// Resolves when a part has failed that the gateway can't do without, with the cause.
    pub async fn failed(&self) -> String {
        self.threads.failed().await
    }

    /// Stops taking requests without losing one: readiness goes first, then the listeners, then what is under way,
    /// then the log entries and spans about it. `hurry` is waited for in each step that takes time, and cuts it short.
    pub async fn stop<F: Future<Output = ()>>(self, hurry: impl Fn() -> F) {
        let _stopping = self.readiness.pending("the gateway is stopping");
        self.source.retire();
        let delay = self.settings.shutdown_delay;
        if !delay.is_zero() {
            tracing::info!("stopping: still accepting for {} s", delay.as_secs());
            self.phase.send_replace(Phase::Leave);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = hurry() => {}
            }
        }
        tracing::info!("stopping: waiting for requests under way");
        self.phase.send_replace(Phase::Drain);
        tokio::select! {
            () = self.threads.drained() => {}
            () = tokio::time::sleep(self.settings.drain_deadline) => {
                tracing::warn!("stopping: the drain deadline has passed, closing what is left");
            }
            () = hurry() => tracing::warn!("stopping at once on a second signal"),
        }
        self.phase.send_replace(Phase::Stop);
        self.threads.join();
        if let Some(writer) = self.access_writer {
            writer.finish(LAST_LINES).await;
        }
        // What is lost is told where it is.
        self.environment.shutdown(LAST_ENTRIES).await;
        self.stop.cancel();
        for helper in self.helpers {
            helper.abort();
        }
        self.source.finish().await;
        // Feeds of viewers who stay would otherwise keep us.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.admin_server).await;
    }
}

/// Plugins ask for names what traffic asks.
impl Resolve for Resolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.lookup(&host).await.map_err(|error| io::Error::other(error.to_string()))?;
            Ok(found.to_vec())
        })
    }
}

/// Has the targets of every configuration probed from when it serves.
async fn probe(mut prober: Prober, publisher: Arc<Publisher>) {
    let mut published = publisher.subscribe();
    loop {
        prober.follow(publisher.live().load().groups());
        if published.changed().await.is_err() {
            return;
        }
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<tokio::net::TcpListener, AppError> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("another process does; stop it or choose another with {flag}")
            }
            _ => error.to_string(),
        };
        AppError::Start(format!("failed to listen on {address}: {hint}"))
    })
}

fn described(
    sockets: &threads::Sockets,
    health: Option<&tokio::net::TcpListener>,
    admin: &tokio::net::TcpListener,
) -> Arc<[Listener]> {
    let traffic = sockets.addresses().map(|(address, tls)| Listener {
        address: address.to_string(),
        protocol: if tls { "https" } else { "http" }.to_owned(),
    });
    let ours = [("health", health), ("admin", Some(admin))].into_iter().filter_map(|(protocol, listener)| {
        let address = listener?.local_addr().ok()?;
        Some(Listener { address: address.to_string(), protocol: protocol.to_owned() })
    });
    traffic.chain(ours).collect()
}

/// The pod's name, else the host's.
fn instance() -> String {
    crate::args::instance_name().unwrap_or_else(|| "gateway".to_owned())
}

/// SIGTERM and SIGINT, as they come. Listening begins before anything that would have to be stopped in order.
struct Signals(watch::Receiver<u64>);

impl Signals {
    fn listen() -> Result<Signals, AppError> {
        let failed = |error| AppError::Start(format!("failed to listen for signals: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (count, signals) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Signals(signals))
    }

    /// Resolves when so many have come since the beginning.
    fn reach(&self, count: u64) -> impl Future<Output = ()> + use<> {
        let mut signals = self.0.clone();
        async move {
            if signals.wait_for(|come| *come >= count).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
