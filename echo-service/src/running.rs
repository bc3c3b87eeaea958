//! A server and its health port, from start to stop.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    echo::Echo,
    go_time::GoClock,
    health::Health,
    request_bin::RequestBin,
    server::{Handler, ListenError, Server, Stopped},
    settings::{BinSettings, EchoSettings, Listening},
    spans::Spans,
    wire::Voice,
};

/// A server that listens. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    server: Server,
    health: Option<Server>,
    drain_deadline: Duration,
    spans: Option<Spans>,
}

/// Starts an echo. Must be called within a tokio runtime; has listened when it returns.
pub async fn serve(settings: EchoSettings) -> Result<Running, ListenError> {
    let name = Arc::from(settings.instance.name.as_str());
    let spans = settings.spans.map(Spans::start);
    let echo = Echo {
        voice: Voice { name, clock: GoClock::start() },
        instance: settings.instance,
        defaults: settings.defaults,
        every: settings.every,
        requests: AtomicU64::new(0),
        spans: spans.clone(),
    };
    Ok(Running { spans, ..Running::start(settings.listening, echo).await? })
}

/// Starts a bin server, likewise.
pub async fn serve_bin(settings: BinSettings) -> Result<Running, ListenError> {
    Running::start(settings.listening, RequestBin::new(settings.limits)).await
}

impl Running {
    async fn start(listening: Listening, handler: impl Handler) -> Result<Self, ListenError> {
        let server = Server::start(listening.address, handler).await?;
        let health = match listening.health {
            Some(address) => {
                let ready_at = Instant::now() + listening.unready_for;
                let stopping = server.lifetime.stopping.clone();
                Some(Server::start(address, Health { ready_at, stopping }).await?)
            }
            None => None,
        };
        Ok(Self { server, health, drain_deadline: listening.drain_deadline, spans: None })
    }

    /// Where it listens, with the port it really has.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Where it tells of its health.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|health| health.address)
    }

    /// `http://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Takes no more connections and waits for exchanges under way, up to the deadline; then sends the last spans.
    pub async fn stop(self) -> Stopped {
        let stopped = self.server.stop(self.drain_deadline).await;
        if let Some(spans) = self.spans {
            spans.flush().await;
        }
        stopped
    }
}
