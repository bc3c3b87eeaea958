//! The signals that ask a process to stop: SIGINT and SIGTERM, elsewhere than
//! on Unix Ctrl-C. Where none can be had it runs until it is killed.

use std::future::pending;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals from the moment of installing; none is lost between two waits.
pub(crate) struct Signals {
    #[cfg(unix)]
    streams: Option<(Signal, Signal)>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn install() -> Self {
        let streams =
            signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
        Self { streams: streams.ok() }
    }

    pub(crate) async fn next(&mut self) {
        let Some((interrupt, terminate)) = &mut self.streams else { return pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn install() -> Self {
        Self {}
    }

    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            pending().await
        }
    }
}
