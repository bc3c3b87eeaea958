//! Live and ready, on a port of their own: on the echo's port every path is
//! echoed.

use std::{io, time::Duration};

use http::{Request, Response, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    answer,
    body::Body,
    server::{Handler, Origin},
};

pub(crate) struct Health {
    /// Ready from then on …
    pub(crate) ready_at: Instant,
    /// … until then.
    pub(crate) stopping: CancellationToken,
}

impl Handler for Health {
    async fn answer(&self, request: Request<Body>, _: Origin) -> io::Result<Response<Body>> {
        Ok(match request.uri().path() {
            "/live" => answer::text(StatusCode::OK, "live\n"),
            "/ready" => self.readiness(),
            _ => answer::text(StatusCode::NOT_FOUND, "failed to find that: there are /live and /ready\n"),
        })
    }
}

impl Health {
    fn readiness(&self) -> Response<Body> {
        let left = self.ready_at.saturating_duration_since(Instant::now());
        if self.stopping.is_cancelled() {
            answer::text(StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n")
        } else if left > Duration::ZERO {
            let why = format!("not ready: told to be so for another {left:.1?}\n");
            answer::text(StatusCode::SERVICE_UNAVAILABLE, why)
        } else {
            answer::text(StatusCode::OK, "ready\n")
        }
    }
}
