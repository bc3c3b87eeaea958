//! Samples of finished exchanges for people who watch: taken by stratum within a quota, so that a failure is
//! seen among ten thousand successes. What was left out is counted.

use admin_api::feed::{self, Sample, Strata};

use crate::exchange::Exchange;

/// How many of each stratum one worker keeps between two sendings.
const QUOTA: Strata = Strata { failed: 20, refused: 15, slow: 10, other: 5 };
/// An exchange that takes longer is slow, in microseconds.
const SLOW_US: u64 = 500_000;
/// A target is cut at this many bytes.
const LONGEST_TARGET: usize = 256;

/// One worker's sample since it was last taken.
#[derive(Default)]
pub struct Reservoir(Sample);

impl Reservoir {
    /// Counts an exchange, and keeps it if its stratum has room.
    pub fn offer(&mut self, exchange: &Exchange) {
        let status = exchange.response.status;
        let stratum: fn(&mut Strata) -> &mut u64 = if status >= 500 || status == 0 {
            |strata| &mut strata.failed
        } else if exchange.outcome.reason.is_refusal() {
            |strata| &mut strata.refused
        } else if exchange.times.total_us > SLOW_US {
            |strata| &mut strata.slow
        } else {
            |strata| &mut strata.other
        };
        *stratum(&mut self.0.seen) += 1;
        let shown = stratum(&mut self.0.shown);
        if *shown < *stratum(&mut { QUOTA }) {
            *shown += 1;
            self.0.exchanges.push(row(exchange));
        }
    }

    /// Hands over what was kept.
    pub fn drain_into(&mut self, sample: &mut Sample) {
        let Sample { exchanges, seen, shown } = std::mem::take(&mut self.0);
        sample.exchanges.extend(exchanges);
        for (sum, part) in [(&mut sample.seen, seen), (&mut sample.shown, shown)] {
            sum.failed += part.failed;
            sum.refused += part.refused;
            sum.slow += part.slow;
            sum.other += part.other;
        }
    }
}

fn row(exchange: &Exchange) -> feed::Exchange {
    let request = &exchange.request;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let target = request.target();
    feed::Exchange {
        started_at_ms: exchange.times.started_us / 1_000,
        id: exchange.id.as_str().to_owned(),
        client: exchange.client.address.to_string(),
        method: text(request.method_bytes()),
        host: request.fields.get(crate::http::name::Name::Host).map(text).unwrap_or_default(),
        target: text(&target[..target.len().min(LONGEST_TARGET)]),
        protocol: format!("HTTP/{}", request.version.as_str()),
        tls: exchange.client.tls.is_some(),
        status: exchange.response.status,
        reason: exchange.outcome.reason,
        detail: exchange.outcome.detail.clone().into_owned(),
        route: exchange.route().and_then(|route| route.name.clone()).unwrap_or_default(),
        service: exchange.service().and_then(|service| service.name.clone()).unwrap_or_default(),
        target_address: exchange.tries.last().map(|attempt| attempt.address.to_string()).unwrap_or_default(),
        attempts: exchange.tries.len() as u32,
        consumer: exchange
            .consumer
            .as_ref()
            .and_then(|consumer| consumer.username.clone().or_else(|| consumer.custom_id.clone()))
            .unwrap_or_default(),
        ended_by: exchange.outcome.ended_by.unwrap_or_default().to_owned(),
        total_us: exchange.times.total_us,
        upstream_us: exchange.times.upstream_us.unwrap_or(0),
        request_bytes: exchange.times.request_bytes,
        response_bytes: exchange.times.response_bytes,
        trace_id: exchange.trace_id().map(|id| id.to_string()).unwrap_or_default(),
    }
}
