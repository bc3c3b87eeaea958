//! Builds every part in start order, connects them, and takes them down again. The only module that knows all
//! others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin_api::status::Listener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, FeedHub};
use crate::clock::Clock;
use crate::control;
use crate::plugins::Environment;
use crate::plugins::registry::PLUGINS;
use crate::proxy::tls;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::snapshot::compile::Compiler;
use crate::snapshot::publish::Publisher;
use crate::telemetry::stats::Stats;
use crate::threads::{self, Phase, Threads};
use crate::upstream::dns::Resolver;
use crate::upstream::probe::Prober;

/// How long log entries may still be delivered after the last request.
const LAST_ENTRIES: Duration = Duration::from_secs(5);

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
    let runtime = Handle::current();
    let clock = Clock::system();
    let readiness = Readiness::default();
    let configured = readiness.pending("the first configuration");
    let listening = readiness.pending("listeners");

    let resolver = Resolver::new(runtime.clone(), settings.dns).map_err(AppError::Start)?;
    let environment = Environment::new(runtime, clock.clone(), Some(Arc::new(resolver.clone())));
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

    let stop = CancellationToken::new();
    let source = control::start(&settings, &publisher, &readiness, configured, &stop)
        .await
        .map_err(AppError::Start)?;
    let (phase, phases) = watch::channel(Phase::Serve);
    let shared = threads::Shared {
        traffic: Arc::new(settings.traffic.clone()),
        live: publisher.live(),
        resolver: resolver.clone(),
        stats: Arc::clone(&stats),
        clock: clock.clone(),
        tls: tls::server_config(publisher.live()).map_err(AppError::Start)?,
    };
    let threads = Threads::start(sockets, &shared, phases).map_err(AppError::Start)?;
    drop(listening);

    let prober = Prober::new(resolver.clone(), clock.clone());
    let probing = tokio::spawn(probe(prober, Arc::clone(&publisher)));

    let admin = Admin {
        instance: instance().into(),
        source: settings.source.name(),
        started_at_ms: clock.unix().as_millis() as u64,
        clock,
        publisher,
        stats,
        environment: environment.clone(),
        readiness: readiness.clone(),
        listeners,
        feed: FeedHub::new(),
        declarative: source.declarative.clone(),
    };
    let feed = tokio::spawn(admin.feed.clone().run(admin.clone()));
    if let Some(listener) = health_listener {
        tokio::spawn(admin::serve_health(admin.clone(), listener, stop.clone().cancelled_owned()));
    }
    let admin_server = tokio::spawn(admin::serve(admin, admin_listener, stop.clone().cancelled_owned()));

    let result = tokio::select! {
        () = stop_signal() => Ok(()),
        failed = threads.failed() => Err(AppError::Running(failed)),
    };
    shut_down(&settings, &readiness, &phase, threads, environment).await;
    stop.cancel();
    feed.abort();
    probing.abort();
    source.finish().await;
    // Feeds of viewers who stay would otherwise keep us.
    let _ = tokio::time::timeout(Duration::from_secs(1), admin_server).await;
    result
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

/// Stops taking requests without losing one: readiness goes first, then the listeners, then what is under way,
/// then the log entries about it.
async fn shut_down(
    settings: &Settings,
    readiness: &Readiness,
    phase: &watch::Sender<Phase>,
    threads: Threads,
    environment: Environment,
) {
    let _stopping = readiness.pending("the gateway is stopping");
    if !settings.shutdown_delay.is_zero() {
        tracing::info!("stopping: still accepting for {} s", settings.shutdown_delay.as_secs());
        tokio::select! {
            () = tokio::time::sleep(settings.shutdown_delay) => {}
            () = stop_signal() => {}
        }
    }
    tracing::info!("stopping: waiting for requests under way");
    phase.send_replace(Phase::Drain);
    tokio::select! {
        () = threads.drained() => {}
        () = tokio::time::sleep(settings.drain_deadline) => {
            tracing::warn!("stopping: the drain deadline has passed, closing what is left");
        }
        () = stop_signal() => tracing::warn!("stopping at once on a second signal"),
    }
    phase.send_replace(Phase::Stop);
    threads.join();
    let lost = environment.shutdown(LAST_ENTRIES).await;
    if lost > 0 {
        tracing::warn!("stopped: {lost} log entries could not be delivered in time");
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<tokio::net::TcpListener, AppError> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
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

/// SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("failed to listen for signals; end the process by force");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
