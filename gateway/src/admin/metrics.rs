//! `GET /metrics`: the gateway's own numbers as `OpenMetrics`; with a `prometheus` plugin in the configuration Kong's
//! exposition, in Prometheus' text format, and the gateway's own behind it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Admin, message};
use crate::model::Plugin;
use crate::plugins::prometheus::{header, label_set, line};
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::{self, Exposition};
use crate::upstream::group::TargetHealth;

/// Kong's own, for `/metrics`.
const KONGS_CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

pub(super) async fn show(State(admin): State<Admin>) -> Response {
    let published = admin.publisher.subscribe().borrow().clone();
    let (logs, spans) = (admin.environment.log_totals(), admin.environment.span_totals());
    let exposition = Exposition {
        totals: admin.totals(),
        problems: published.problems.iter().filter(|problem| !problem.advice).count(),
        connections_refused: admin.stats.connections_refused(),
        log_entries: vec![
            ("sent", logs.sent),
            ("waiting", logs.waiting + logs.sending),
            ("lost", logs.lost()),
        ],
        spans: vec![("sent", spans.sent), ("lost", spans.lost())],
    };
    let own = match metrics::render(exposition) {
        Ok(text) => text,
        Err(error) => {
            return message(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to write metrics: {error}"));
        }
    };
    let snapshot = admin.publisher.live().load_full();
    if !plugins(&snapshot).any(|_| true) {
        return ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], own).into_response();
    }
    let mut text = admin.kongs_metrics(&snapshot);
    text.push_str(&metrics::as_plain_text(&own));
    ([(header::CONTENT_TYPE, KONGS_CONTENT_TYPE)], text).into_response()
}

/// Instances of the plugin that take part.
fn plugins(snapshot: &Snapshot) -> impl Iterator<Item = &Plugin> {
    snapshot.model.plugins.values().filter(|plugin| plugin.enabled && plugin.name == "prometheus")
}

impl Admin {
    /// Kong's families, sorted by name.
    fn kongs_metrics(&self, snapshot: &Snapshot) -> String {
        let mut families = self.environment.series.families();
        families.extend([
            one_of("kong_datastore_reachable", "Datastore reachable from Kong, 0 is unreachable", "gauge", 1),
            self.connections(),
            one_of(
                "kong_nginx_metric_errors_total",
                "Number of series that had no room",
                "counter",
                self.environment.series.overflowed(),
            ),
            self.requests(),
            self.node(),
        ]);
        let wants_health = |plugin: &Plugin| plugin.config["upstream_health_metrics"] == true;
        if plugins(snapshot).any(wants_health) {
            families.push(target_health(snapshot));
        }
        families.sort_by_key(|(name, _)| *name);
        families.into_iter().map(|(_, text)| text).collect()
    }

    fn connections(&self) -> (&'static str, String) {
        let name = "kong_nginx_connections_total";
        let totals = self.totals();
        let refused = self.stats.connections_refused();
        let accepted = self.stats.connections_accepted();
        let busy = totals.exchanges_in_flight.min(totals.connections_open);
        let mut text = String::new();
        header(&mut text, name, "Number of connections by subsystem", "gauge");
        for (state, value) in [
            ("accepted", accepted),
            ("active", totals.connections_open),
            ("handled", accepted.saturating_sub(refused)),
            ("reading", 0),
            ("total", totals.latency.total()),
            ("waiting", totals.connections_open - busy),
            ("writing", busy),
        ] {
            let labels = [("node_id", &*self.node_id()), ("subsystem", "http"), ("state", state)];
            line(&mut text, name, &label_set(&labels), value);
        }
        (name, text)
    }

    fn requests(&self) -> (&'static str, String) {
        let name = "kong_nginx_requests_total";
        let mut text = String::new();
        header(&mut text, name, "Number of requests total", "gauge");
        let labels = label_set(&[("node_id", &self.node_id()), ("subsystem", "http")]);
        line(&mut text, name, &labels, self.totals().latency.total());
        (name, text)
    }

    fn node(&self) -> (&'static str, String) {
        let name = "kong_node_info";
        let mut text = String::new();
        header(&mut text, name, "Kong Node metadata information", "gauge");
        let labels = label_set(&[("node_id", &self.node_id()), ("version", env!("CARGO_PKG_VERSION"))]);
        line(&mut text, name, &labels, 1);
        (name, text)
    }

    fn node_id(&self) -> String {
        self.environment.node.id.to_string()
    }
}

fn one_of(name: &'static str, help: &str, kind: &str, value: u64) -> (&'static str, String) {
    let mut text = String::new();
    header(&mut text, name, help, kind);
    line(&mut text, name, "", value);
    (name, text)
}

/// Four lines for an address: which of the states it is in.
fn target_health(snapshot: &Snapshot) -> (&'static str, String) {
    let name = "kong_upstream_target_health";
    let help = "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value \
                is 1 when state is populated.";
    let mut lines = Vec::new();
    for group in snapshot.groups() {
        for (target, address, health) in group.address_health() {
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            for (state, is) in [
                ("dns_error", TargetHealth::NoAddress),
                ("healthchecks_off", TargetHealth::Unchecked),
                ("healthy", TargetHealth::Healthy),
                ("unhealthy", TargetHealth::Unhealthy),
            ] {
                let labels = label_set(&[
                    ("upstream", &group.upstream.name),
                    ("target", &target),
                    ("address", &address),
                    ("state", state),
                    ("subsystem", "http"),
                ]);
                lines.push((labels, u64::from(is == health)));
            }
        }
    }
    lines.sort();
    let mut text = String::new();
    if !lines.is_empty() {
        header(&mut text, name, help, "gauge");
    }
    for (labels, value) in lines {
        line(&mut text, name, &labels, value);
    }
    (name, text)
}
