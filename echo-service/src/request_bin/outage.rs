//! A bin that is down for a while: how it fails, and for how long.

use std::time::Duration;

use http::{StatusCode, request::Parts};
use serde::Serialize;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::behaviour::{Behaviour, duration};

#[derive(Clone, Debug)]
pub(super) struct Outage {
    behaviour: Behaviour,
    requests_left: Option<u64>,
    until: Option<Instant>,
}

/// What is left of an outage, as told.
#[derive(Debug, Serialize)]
pub(super) struct Remaining {
    down: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<f64>,
}

impl Outage {
    /// Reads the request that sets it.
    pub(super) fn asked_by(parts: &Parts) -> Result<Self, String> {
        let mut behaviour = Behaviour::default().asked_by(parts).map_err(|bad| bad.to_string())?;
        if behaviour == Behaviour::default() {
            behaviour.status = Some(StatusCode::SERVICE_UNAVAILABLE);
        }
        let mut outage = Self { behaviour, requests_left: None, until: None };
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let bad = |accepts| format!("failed to read {name} \"{value}\": give it {accepts}");
            match &*name {
                "requests" => {
                    outage.requests_left = Some(value.parse().map_err(|_| bad("a number of requests"))?);
                }
                "for" => {
                    let left: Duration =
                        duration(&value).ok_or_else(|| bad("a duration up to 1h, such as 2s"))?;
                    outage.until = Some(Instant::now() + left);
                }
                echo if echo.starts_with("echo-") => {}
                other => {
                    return Err(format!(
                        "failed to understand {other}: there are requests, for and the echo- fields"
                    ));
                }
            }
        }
        Ok(outage)
    }

    /// How the next request fails, unless the outage is over.
    pub(super) fn strike(&mut self) -> Option<Behaviour> {
        if self.is_over() {
            return None;
        }
        if let Some(left) = &mut self.requests_left {
            *left -= 1;
        }
        Some(self.behaviour.clone())
    }

    pub(super) fn is_over(&self) -> bool {
        self.requests_left == Some(0) || self.until.is_some_and(|until| until <= Instant::now())
    }

    pub(super) fn left(outage: Option<&Self>) -> Remaining {
        let outage = outage.filter(|outage| !outage.is_over());
        Remaining {
            down: outage.is_some(),
            requests_left: outage.and_then(|outage| outage.requests_left),
            seconds_left: outage
                .and_then(|outage| outage.until)
                .map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64()),
        }
    }
}
