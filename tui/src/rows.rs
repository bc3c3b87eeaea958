//! The rows of all lists: what they hold, what a filter can ask about them, how they are ordered. How they look is
//! the business of the panes.

use std::borrow::Cow;
use std::cmp::Ordering;

use admin_api::Reason;
use admin_api::feed::PluginTotals;

use crate::exchanges::Row;
use crate::filter::{Field, Kind, Subject, Value};
use crate::latencies::Latencies;
use crate::tally::{Classes, TargetTally};
use crate::widgets::text;

/// The name shown for requests that matched no route.
pub const NO_ROUTE: &str = "(no route)";

/// An order of rows, by the name of the column that shows it.
pub struct Order<R: 'static> {
    pub name: &'static str,
    /// The natural direction: big numbers and early letters first.
    pub compare: fn(&R, &R) -> Ordering,
}

/// A row with a name that stays the same while its numbers change.
pub trait Named {
    fn name(&self) -> &str;
}

/// One route over the chosen window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteRow {
    /// Empty for requests that matched none.
    pub route: String,
    pub service: String,
    pub plugins: Vec<String>,
    pub per_second: f64,
    pub classes: Classes,
    pub latency: Latencies,
    /// Most frequent first.
    pub reasons: Vec<(Reason, u64)>,
}

/// One plugin over the chosen window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginRow {
    pub plugin: String,
    pub per_second: f64,
    pub counts: PluginTotals,
    /// On how many routes it runs.
    pub routes: usize,
}

/// One target over the chosen window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetRow {
    pub address: String,
    pub health: String,
    pub per_second: f64,
    pub counts: TargetTally,
    pub in_flight: u64,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Note,
}

/// Where a finding leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    Route(String),
    Target(String),
    Plugin(String),
    /// There is nothing more to see.
    None,
}

/// Something that deserves a look.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub level: Level,
    /// Which rule found it; with the subject it names the finding while its numbers change.
    pub rule: &'static str,
    /// What it is about; names the object to blame.
    pub subject: String,
    pub text: String,
    /// What the gateway does meanwhile.
    pub effect: String,
    pub lead: Lead,
}

impl RouteRow {
    pub fn shown_name(&self) -> &str {
        if self.route.is_empty() { NO_ROUTE } else { &self.route }
    }

    pub fn failed_share(&self) -> f64 {
        share(self.classes.failed(), self.classes.total())
    }

    pub const ORDERS: &'static [Order<RouteRow>] = &[
        Order { name: "route", compare: |a, b| a.route.cmp(&b.route) },
        Order { name: "service", compare: |a, b| a.service.cmp(&b.service) },
        Order { name: "req/s", compare: |a, b| down(a.per_second, b.per_second) },
        Order { name: "p50", compare: |a, b| b.latency.quantile(0.5).cmp(&a.latency.quantile(0.5)) },
        Order { name: "p95", compare: |a, b| b.latency.quantile(0.95).cmp(&a.latency.quantile(0.95)) },
        Order { name: "p99", compare: |a, b| b.latency.quantile(0.99).cmp(&a.latency.quantile(0.99)) },
        Order { name: "2xx", compare: |a, b| down(a.class_share(2), b.class_share(2)) },
        Order { name: "3xx", compare: |a, b| down(a.class_share(3), b.class_share(3)) },
        Order { name: "4xx", compare: |a, b| down(a.class_share(4), b.class_share(4)) },
        Order { name: "5xx", compare: |a, b| down(a.class_share(5), b.class_share(5)) },
        Order { name: "refused", compare: |a, b| down(a.refused_share(), b.refused_share()) },
    ];
    pub const BY_RATE: usize = 2;

    fn class_share(&self, class: usize) -> f64 {
        share(self.classes.by_hundred[class - 1], self.classes.total())
    }

    fn refused_share(&self) -> f64 {
        share(self.classes.refused, self.classes.total())
    }
}

impl PluginRow {
    pub const ORDERS: &'static [Order<PluginRow>] = &[
        Order { name: "plugin", compare: |a, b| a.plugin.cmp(&b.plugin) },
        Order { name: "runs/s", compare: |a, b| down(a.per_second, b.per_second) },
        Order { name: "ended", compare: |a, b| b.counts.ended.cmp(&a.counts.ended) },
        Order { name: "failed", compare: |a, b| b.counts.failed.cmp(&a.counts.failed) },
    ];
    pub const BY_ENDED: usize = 2;

    pub fn runs(&self) -> u64 {
        self.counts.passed + self.counts.ended + self.counts.failed
    }
}

impl TargetRow {
    pub const ORDERS: &'static [Order<TargetRow>] = &[
        Order { name: "target", compare: |a, b| a.address.cmp(&b.address) },
        Order { name: "health", compare: |a, b| b.health.cmp(&a.health) },
        Order { name: "tries/s", compare: |a, b| down(a.per_second, b.per_second) },
        Order {
            name: "failed",
            compare: |a, b| {
                down(share(a.counts.failures, a.counts.attempts), share(b.counts.failures, b.counts.attempts))
            },
        },
        Order { name: "in flight", compare: |a, b| b.in_flight.cmp(&a.in_flight) },
    ];
    pub const BY_FAILED: usize = 3;

    pub fn is_unhealthy(&self) -> bool {
        self.health == "unhealthy"
    }
}

/// A route's name cut so that the part which tells routes apart stays. Routes made from Ingresses are called
/// `namespace.ingress.service.host.port`: host and port go first, then the namespace, then the ingress.
pub fn short_route<'a>(name: &'a str, limit: usize, ellipsis: &str) -> Cow<'a, str> {
    if text::width(name) <= limit {
        return Cow::Borrowed(name);
    }
    if let Some(rest) = name.strip_prefix("httproute.").or(name.strip_prefix("grpcroute.")) {
        let rest = format!("{ellipsis}{rest}");
        return Cow::Owned(text::cut(&rest, limit, ellipsis).into_owned());
    }
    let parts: Vec<&str> = name.split('.').collect();
    if let [namespace, ingress, service, _, ..] = parts.as_slice() {
        for shorter in [
            format!("{namespace}.{ingress}.{service}{ellipsis}"),
            format!("{ellipsis}{ingress}.{service}{ellipsis}"),
            format!("{ellipsis}{service}{ellipsis}"),
        ] {
            if text::width(&shorter) <= limit {
                return Cow::Owned(shorter);
            }
        }
    }
    text::cut(name, limit, ellipsis)
}

/// A part of a whole, 0 of nothing.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn down(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

impl Named for RouteRow {
    fn name(&self) -> &str {
        &self.route
    }
}

impl Named for PluginRow {
    fn name(&self) -> &str {
        &self.plugin
    }
}

impl Named for TargetRow {
    fn name(&self) -> &str {
        &self.address
    }
}

const fn field(name: &'static str, alias: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, alias, kind, help }
}

impl Subject for Row {
    const FIELDS: &'static [Field] = &[
        field("status", "st", Kind::Status, "status code or class: 503, 5xx"),
        field("reason", "", Kind::Reason, "why it ended as it did"),
        field("route", "", Kind::Text, "name of the route"),
        field("service", "", Kind::Text, "name of the service"),
        field("method", "", Kind::Text, "GET, POST and so on"),
        field("path", "url", Kind::Text, "path and query as asked for"),
        field("host", "", Kind::Text, "host asked for"),
        field("client", "ip", Kind::Text, "the client's address"),
        field("consumer", "", Kind::Text, "who the client is"),
        field("plugin", "", Kind::Text, "the plugin that ended it"),
        field("target", "", Kind::Text, "address of the target"),
        field("dur", "total", Kind::Millis, "whole time"),
        field("upstream", "", Kind::Millis, "time spent waiting for the upstream"),
        field("attempts", "tries", Kind::Number, "targets tried"),
        field("bytes", "", Kind::Number, "bytes of the response"),
        field("protocol", "", Kind::Text, "HTTP/1.1, HTTP/2"),
        field("trace", "", Kind::Text, "trace id"),
        field("id", "", Kind::Text, "request id"),
        field("detail", "", Kind::Text, "what explains the reason"),
    ];

    fn value(&self, field: &str) -> Value<'_> {
        let exchange = &self.exchange;
        match field {
            "status" => f64::from(exchange.status).into(),
            "reason" => exchange.reason.as_str().into(),
            "route" => exchange.route.as_str().into(),
            "service" => exchange.service.as_str().into(),
            "method" => exchange.method.as_str().into(),
            "path" => exchange.target.as_str().into(),
            "host" => exchange.host.as_str().into(),
            "client" => exchange.client.as_str().into(),
            "consumer" => exchange.consumer.as_str().into(),
            "plugin" => exchange.ended_by.as_str().into(),
            "target" => exchange.target_address.as_str().into(),
            "dur" => (exchange.total_us as f64 / 1_000.0).into(),
            "upstream" => (exchange.upstream_us as f64 / 1_000.0).into(),
            "attempts" => f64::from(exchange.attempts).into(),
            "bytes" => (exchange.response_bytes as f64).into(),
            "protocol" => exchange.protocol.as_str().into(),
            "trace" => exchange.trace_id.as_str().into(),
            "id" => exchange.id.as_str().into(),
            "detail" => exchange.detail.as_str().into(),
            _ => Value::Absent,
        }
    }
}

impl Subject for RouteRow {
    const FIELDS: &'static [Field] = &[
        field("route", "", Kind::Text, "name of the route"),
        field("service", "", Kind::Text, "name of the service"),
        field("plugin", "", Kind::Text, "a plugin that runs on it"),
        field("reason", "", Kind::Text, "a reason that occurred"),
        field("rps", "rate", Kind::Number, "requests per second"),
        field("p50", "", Kind::Millis, "median of the whole time"),
        field("p95", "", Kind::Millis, "95 % were faster"),
        field("p99", "", Kind::Millis, "99 % were faster"),
        field("2xx", "", Kind::Number, "share in per cent"),
        field("3xx", "", Kind::Number, "share in per cent"),
        field("4xx", "", Kind::Number, "share in per cent"),
        field("5xx", "", Kind::Number, "share in per cent"),
        field("refused", "", Kind::Number, "share in per cent"),
    ];

    fn value(&self, field: &str) -> Value<'_> {
        let quantile =
            |q| self.latency.quantile(q).map_or(Value::Absent, |us| Value::Number(us as f64 / 1_000.0));
        match field {
            "route" => self.shown_name().into(),
            "service" => self.service.as_str().into(),
            "plugin" => joined(self.plugins.iter().map(String::as_str)),
            "reason" => joined(self.reasons.iter().map(|(reason, _)| reason.as_str())),
            "rps" => self.per_second.into(),
            "p50" => quantile(0.5),
            "p95" => quantile(0.95),
            "p99" => quantile(0.99),
            "2xx" => (self.class_share(2) * 100.0).into(),
            "3xx" => (self.class_share(3) * 100.0).into(),
            "4xx" => (self.class_share(4) * 100.0).into(),
            "5xx" => (self.class_share(5) * 100.0).into(),
            "refused" => (self.refused_share() * 100.0).into(),
            _ => Value::Absent,
        }
    }
}

impl Subject for PluginRow {
    const FIELDS: &'static [Field] = &[
        field("plugin", "", Kind::Text, "name of the plugin"),
        field("runs", "", Kind::Number, "requests per second it ran on"),
        field("ended", "", Kind::Number, "requests it ended in the window"),
        field("failed", "", Kind::Number, "requests it failed on in the window"),
    ];

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "plugin" => self.plugin.as_str().into(),
            "runs" => self.per_second.into(),
            "ended" => (self.counts.ended as f64).into(),
            "failed" => (self.counts.failed as f64).into(),
            _ => Value::Absent,
        }
    }
}

impl Subject for TargetRow {
    const FIELDS: &'static [Field] = &[
        field("target", "", Kind::Text, "address of the target"),
        field("health", "", Kind::Text, "healthy, unhealthy, unchecked"),
        field("tries", "rate", Kind::Number, "attempts per second"),
        field("failed", "", Kind::Number, "share of failed attempts in per cent"),
        field("inflight", "", Kind::Number, "requests under way"),
    ];

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "target" => self.address.as_str().into(),
            "health" => self.health.as_str().into(),
            "tries" => self.per_second.into(),
            "failed" => (share(self.counts.failures, self.counts.attempts) * 100.0).into(),
            "inflight" => (self.in_flight as f64).into(),
            _ => Value::Absent,
        }
    }
}

impl Subject for Finding {
    const FIELDS: &'static [Field] = &[
        field("object", "subject", Kind::Text, "what it is about"),
        field("text", "", Kind::Text, "what is wrong"),
        field("effect", "", Kind::Text, "what the gateway does meanwhile"),
    ];

    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "object" => self.subject.as_str().into(),
            "text" => self.text.as_str().into(),
            "effect" => self.effect.as_str().into(),
            _ => Value::Absent,
        }
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Value<'a> {
    let text = words.collect::<Vec<_>>().join(" ");
    if text.is_empty() { Value::Absent } else { Value::Text(Cow::Owned(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::demo::tests::exchange;

    #[test]
    fn a_cut_route_name_keeps_what_tells_it_apart() {
        let name = "shop.storefront.orders.shop.example.80";
        let short = |limit| short_route(name, limit, "…").into_owned();
        assert_eq!(short(40), name);
        assert_eq!(short(30), "shop.storefront.orders…");
        assert_eq!(short(20), "…storefront.orders…");
        assert_eq!(short(12), "…orders…");
        assert_eq!(short(5), "shop…");
        assert_eq!(short_route("httproute.shop.images.0.0", 17, "…"), "…shop.images.0.0");
        assert_eq!(short_route("my-favourite-route", 8, "…"), "my-favo…");
    }

    fn every_field_has_a_value<S: Subject>(row: &S) {
        for field in S::FIELDS {
            assert_ne!(row.value(field.name), Value::Absent, "{}", field.name);
        }
    }

    #[test]
    fn every_field_of_every_row_can_be_asked_for() {
        let mut full = exchange(200, Reason::Proxied);
        for text in
            [&mut full.consumer, &mut full.ended_by, &mut full.trace_id, &mut full.detail, &mut full.service]
        {
            "x".clone_into(text);
        }
        every_field_has_a_value(&Row {
            number: 1,
            gateway: 0,
            stratum: crate::exchanges::Stratum::Other,
            exchange: full,
        });
        let mut histogram = admin_api::Histogram::default();
        histogram.record(500);
        every_field_has_a_value(&RouteRow {
            service: "s".to_owned(),
            plugins: vec!["p".to_owned()],
            reasons: vec![(Reason::Proxied, 1)],
            latency: Latencies::between(None, &histogram),
            ..RouteRow::default()
        });
        every_field_has_a_value(&PluginRow { plugin: "p".to_owned(), ..PluginRow::default() });
        let target = TargetRow { address: "a".to_owned(), health: "h".to_owned(), ..TargetRow::default() };
        every_field_has_a_value(&target);
        every_field_has_a_value(&Finding {
            level: Level::Note,
            rule: "rule",
            subject: "s".to_owned(),
            text: "t".to_owned(),
            effect: "e".to_owned(),
            lead: Lead::None,
        });
    }
}
