//! `GET /feed`: newline-delimited JSON, one [`FeedMessage`] a line, several times a second.
//!
//! Counters are cumulative since the gateway started, so a viewer that skips messages or reconnects loses
//! detail only. Exchanges are sampled by stratum within a quota; how many were seen and how many are shown
//! travels along, so nobody takes the sample for the whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::reason::Reason;
use crate::status::Problem;

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedMessage {
    /// First line: who is speaking.
    Hello(Hello),
    /// Everything countable, cumulative.
    Totals(Box<Totals>),
    /// Sampled exchanges since the previous `Sample`.
    Sample(Sample),
    /// What serves and what is wrong with it: once after the `Hello`, then at every change.
    Config(ConfigChange),
}

/// Who sends the feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Name of this gateway: pod name, else host name.
    pub instance: String,
    pub version: String,
    /// Unix time in milliseconds when the process started; a change of it means that counters began anew.
    pub started_at_ms: u64,
}

/// Cumulative counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Unix time in milliseconds at the source.
    pub at_ms: u64,
    /// The configuration that serves.
    pub generation: u64,
    pub connections_open: u64,
    pub exchanges_in_flight: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Whole time of each exchange, first byte read to last byte written.
    pub latency: Histogram,
    /// The gateway's own share of that time.
    pub gateway_latency: Histogram,
    /// By route name; requests that matched none are under the empty name.
    pub routes: BTreeMap<String, RouteTotals>,
    /// By plugin name.
    pub plugins: BTreeMap<String, PluginTotals>,
    /// By target address `ip:port`.
    pub targets: BTreeMap<String, TargetTotals>,
    /// Lines of the access log that there was no room for, or that could not be written.
    pub events_dropped: u64,
    /// Log entries that log plugins gave up or had no room for.
    pub log_entries_dropped: u64,
    /// Spans that no collector took, or that there was no room for.
    #[serde(default)]
    pub spans_dropped: u64,
}

/// Counters of one route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteTotals {
    /// Name of the service behind it, if any.
    pub service: String,
    /// Names of the plugins that run on it.
    pub plugins: Vec<String>,
    /// Exchanges by status class: index 0 is 1xx, 4 is 5xx.
    pub classes: [u64; 5],
    /// Exchanges by reason; reasons never seen are absent.
    pub reasons: BTreeMap<Reason, u64>,
    pub latency: Histogram,
}

/// What a plugin did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginTotals {
    /// Requests it let pass.
    pub passed: u64,
    /// Requests it answered itself.
    pub ended: u64,
    /// Requests on which it failed.
    pub failed: u64,
}

/// Counters of one target, all services together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetTotals {
    pub attempts: u64,
    pub failures: u64,
    pub in_flight: u64,
    /// `healthy`, `unhealthy` or `unchecked`.
    pub health: String,
}

/// Sampled exchanges, with the size of what they were taken from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub exchanges: Vec<Exchange>,
    /// Per stratum: how many there were since the previous sample.
    pub seen: Strata,
    /// Per stratum: how many of them are in `exchanges`.
    pub shown: Strata,
}

/// Numbers per stratum of the sample. An exchange belongs to the first that fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strata {
    /// Status 500 and above, or failed without a status.
    pub failed: u64,
    /// Refused by the gateway on purpose.
    pub refused: u64,
    /// Slower than 500 ms.
    pub slow: u64,
    pub other: u64,
}

/// One finished exchange, as shown to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Unix time in milliseconds when its first byte was read.
    pub started_at_ms: u64,
    /// The request id that the response carries.
    pub id: String,
    pub client: String,
    pub method: String,
    pub host: String,
    /// Whether the client spoke TLS to the gateway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Request target, cut at 256 bytes.
    pub target: String,
    pub protocol: String,
    /// 0 when the client left before a status was known.
    pub status: u16,
    pub reason: Reason,
    /// The message that explains the reason, when there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Address of the target that answered, or was tried last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target_address: String,
    /// How many targets were tried.
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub consumer: String,
    /// The plugin that ended the exchange, when one did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ended_by: String,
    /// Whole time in microseconds.
    pub total_us: u64,
    /// Waiting for the upstream, in microseconds; 0 when there was none.
    pub upstream_us: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Trace id as 32 hex digits, when the request carried or was given one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
}

/// The configuration that serves, in numbers, and its problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigChange {
    pub at_ms: u64,
    pub generation: u64,
    pub routes: u64,
    pub services: u64,
    pub plugins: u64,
    pub problems: Vec<Problem>,
}
