//! Names of metrics and labels, used by the emitter, its tests, the scenarios and the charts.

/// Counter: exchanges, by route, service and status class.
pub const EXCHANGES: &str = "limen_exchanges";
/// Counter: exchanges, by route, service and reason.
pub const OUTCOMES: &str = "limen_exchange_outcomes";
/// Histogram in seconds: whole time of an exchange.
pub const EXCHANGE_SECONDS: &str = "limen_exchange_duration_seconds";
/// Histogram in seconds: the gateway's own share.
pub const GATEWAY_SECONDS: &str = "limen_gateway_duration_seconds";
/// Counter: bytes read from clients, heads included.
pub const BYTES_IN: &str = "limen_received_bytes";
/// Counter: bytes written to clients, heads included.
pub const BYTES_OUT: &str = "limen_sent_bytes";
/// Gauge: open client connections.
pub const CONNECTIONS: &str = "limen_connections_open";
/// Gauge: exchanges under way.
pub const IN_FLIGHT: &str = "limen_exchanges_in_flight";
/// Counter: attempts to reach a target, by target and outcome.
pub const ATTEMPTS: &str = "limen_upstream_attempts";
/// Gauge: 1 when a target may be used, by upstream and target.
pub const TARGET_UP: &str = "limen_target_up";
/// Counter: what plugins decided, by plugin and outcome.
pub const PLUGIN_DECISIONS: &str = "limen_plugin_decisions";
/// Gauge: the generation that serves.
pub const GENERATION: &str = "limen_config_generation";
/// Gauge: problems in the configuration.
pub const PROBLEMS: &str = "limen_config_problems";
/// Counter: connections that were closed at once because there were too many.
pub const CONNECTIONS_REFUSED: &str = "limen_connections_refused";
/// Counter: log entries by what became of them.
pub const LOG_ENTRIES: &str = "limen_log_entries";
/// Counter: spans by what became of them.
pub const SPANS: &str = "limen_spans";
/// Counter: lines of the access log that there was no room for, or that could not be written.
pub const ACCESS_LINES_DROPPED: &str = "limen_access_log_dropped";

pub const LABEL_ROUTE: &str = "route";
pub const LABEL_SERVICE: &str = "service";
pub const LABEL_CLASS: &str = "class";
pub const LABEL_REASON: &str = "reason";
pub const LABEL_TARGET: &str = "target";
pub const LABEL_UPSTREAM: &str = "upstream";
pub const LABEL_PLUGIN: &str = "plugin";
pub const LABEL_OUTCOME: &str = "outcome";
