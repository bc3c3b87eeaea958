//! Kong's `prometheus`: counts requests under Kong's names, for dashboards and alerts that know them.
//!
//! An instance says which of its requests' numbers are counted; the numbers are one set for the process and outlive
//! configurations. They are served where Kong serves them, at `/metrics`, with the gateway's own behind. Families about
//! Lua's memory and nginx's timers have nothing to show here and are absent, as are those for AI and streams.

mod series;

use std::sync::Arc;

use serde::Deserialize;

use self::series::Counted;
pub use self::series::{Series, header, label_set, line};
use super::registry::Build;
use super::{Phases, Plugin};
use crate::exchange::Exchange;
use crate::schema::Literal::Bool;
use crate::schema::{PluginSchema, Record, boolean, field};

static CONFIG: Record = Record::new(&[
    field(
        "per_consumer",
        boolean()
            .default(Bool(false))
            .about("tell consumers apart in kong_http_requests_total and kong_bandwidth_bytes"),
    ),
    field("status_code_metrics", boolean().default(Bool(false)).about("kong_http_requests_total")),
    field("ai_metrics", boolean().default(Bool(false)).about("has no effect")),
    field(
        "latency_metrics",
        boolean()
            .default(Bool(false))
            .about("kong_kong_latency_ms, kong_upstream_latency_ms and kong_request_latency_ms"),
    ),
    field("bandwidth_metrics", boolean().default(Bool(false)).about("kong_bandwidth_bytes")),
    field(
        "upstream_health_metrics",
        boolean().default(Bool(false)).about("kong_upstream_target_health, of all upstreams"),
    ),
    field("wasm_metrics", boolean().default(Bool(false)).about("has no effect")),
]);
pub static SCHEMA: PluginSchema =
    PluginSchema::new("prometheus", &CONFIG).about("counts requests under Kong's names, at /metrics");

struct Prometheus {
    counted: Counted,
    series: Arc<Series>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    per_consumer: bool,
    #[serde(default)]
    status_code_metrics: bool,
    #[serde(default)]
    latency_metrics: bool,
    #[serde(default)]
    bandwidth_metrics: bool,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let config: Config = build.settings()?;
    let counted = Counted {
        statuses: config.status_code_metrics,
        latencies: config.latency_metrics,
        bytes: config.bandwidth_metrics,
        by_consumer: config.per_consumer,
    };
    Ok(Arc::new(Prometheus { counted, series: Arc::clone(&build.environment.series) }))
}

impl Plugin for Prometheus {
    fn phases(&self) -> Phases {
        Phases::COUNT
    }

    fn count(&self, exchange: &Exchange) {
        self.series.count(self.counted, exchange);
    }
}

#[cfg(test)]
mod tests;
