//! The numbers as Prometheus reads them.

use std::fmt;

use admin_api::feed::{RouteTotals, Totals};
use admin_api::{Histogram, Reason, metric_names as names};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// The media type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the exposed latency buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is exposed.
#[derive(Debug)]
pub struct Exposition {
    pub totals: Totals,
    pub problems: usize,
    pub connections_refused: u64,
    /// Log entries by what became of them: the word and how many.
    pub log_entries: Vec<(&'static str, u64)>,
    /// Spans, likewise.
    pub spans: Vec<(&'static str, u64)>,
}

/// The exposition as text.
pub fn render(exposition: Exposition) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(exposition));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The same in Prometheus' older text format, in which other expositions can stand before it. There a counter's family
/// has its full name, and nothing marks the end.
pub fn as_plain_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let kind = if line.starts_with("# HELP ") { lines.peek().copied() } else { Some(line) };
        let is_counter = kind.is_some_and(|kind| kind.starts_with("# TYPE ") && kind.ends_with(" counter"));
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF"), ..) => {}
            (Some("#"), Some(word), Some(family), Some(rest)) if is_counter => {
                text.push_str(&["# ", word, " ", family, "_total ", rest, "\n"].concat());
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let totals = &self.totals;
        counters(&mut encoder, names::EXCHANGES, "Exchanges by status class", |out| {
            each_route(totals, |labels, route| {
                for (class, count) in CLASSES.iter().zip(route.classes) {
                    if count > 0 {
                        labelled(out, labels, (names::LABEL_CLASS, class), count)?;
                    }
                }
                Ok(())
            })
        })?;
        counters(&mut encoder, names::OUTCOMES, "Exchanges by reason", |out| {
            each_route(totals, |labels, route| {
                for (reason, count) in &route.reasons {
                    labelled(out, labels, (names::LABEL_REASON, Reason::as_str(*reason)), *count)?;
                }
                Ok(())
            })
        })?;
        histogram(&mut encoder, names::EXCHANGE_SECONDS, "Whole time of an exchange", &totals.latency)?;
        histogram(&mut encoder, names::GATEWAY_SECONDS, "The gateway's own share", &totals.gateway_latency)?;
        counters(&mut encoder, names::PLUGIN_DECISIONS, "What plugins decided", |out| {
            for (name, plugin) in &totals.plugins {
                let outcomes =
                    [("passed", plugin.passed), ("ended", plugin.ended), ("failed", plugin.failed)];
                for (outcome, count) in outcomes {
                    labelled(out, &[(names::LABEL_PLUGIN, name)], (names::LABEL_OUTCOME, outcome), count)?;
                }
            }
            Ok(())
        })?;
        counters(&mut encoder, names::ATTEMPTS, "Attempts to reach a target", |out| {
            for (address, target) in &totals.targets {
                let outcomes =
                    [("ok", target.attempts.saturating_sub(target.failures)), ("failed", target.failures)];
                for (outcome, count) in outcomes {
                    labelled(out, &[(names::LABEL_TARGET, address)], (names::LABEL_OUTCOME, outcome), count)?;
                }
            }
            Ok(())
        })?;
        counters(&mut encoder, names::LOG_ENTRIES, "Log entries by what became of them", |out| {
            for (outcome, count) in &self.log_entries {
                labelled(out, &[], (names::LABEL_OUTCOME, outcome), *count)?;
            }
            Ok(())
        })?;
        counters(&mut encoder, names::SPANS, "Spans by what became of them", |out| {
            for (outcome, count) in &self.spans {
                labelled(out, &[], (names::LABEL_OUTCOME, outcome), *count)?;
            }
            Ok(())
        })?;
        for (name, help, value) in [
            (names::BYTES_IN, "Bytes read from clients", totals.bytes_in),
            (names::BYTES_OUT, "Bytes written to clients", totals.bytes_out),
            (names::ACCESS_LINES_DROPPED, "Lines of the access log that were dropped", totals.events_dropped),
            (names::CONNECTIONS_REFUSED, "Connections closed for want of room", self.connections_refused),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        for (name, help, value) in [
            (names::CONNECTIONS, "Open client connections", totals.connections_open),
            (names::IN_FLIGHT, "Exchanges under way", totals.exchanges_in_flight),
            (names::GENERATION, "The configuration that serves", totals.generation),
            (names::PROBLEMS, "Problems in the configuration, besides advice", self.problems as u64),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&(value as i64))?;
        }
        Ok(())
    }
}

type Label<'a> = (&'a str, &'a str);

fn counters(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    fill: impl FnOnce(&mut MetricEncoder) -> fmt::Result,
) -> fmt::Result {
    fill(&mut encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn labelled(out: &mut MetricEncoder, labels: &[Label<'_>], last: Label<'_>, value: u64) -> fmt::Result {
    let all = [labels, &[last]].concat();
    out.encode_family(&all.as_slice())?.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn each_route(
    totals: &Totals,
    mut visit: impl FnMut(&[Label<'_>], &RouteTotals) -> fmt::Result,
) -> fmt::Result {
    for (name, route) in &totals.routes {
        visit(&[(names::LABEL_ROUTE, name), (names::LABEL_SERVICE, &route.service)], route)?;
    }
    Ok(())
}

fn histogram(encoder: &mut DescriptorEncoder, name: &str, help: &str, values: &Histogram) -> fmt::Result {
    let mut buckets: Vec<(f64, u64)> =
        BUCKETS.into_iter().chain([f64::MAX]).map(|bound| (bound, 0)).collect();
    let mut sum = 0.0;
    for (micros, count) in values.iter() {
        let seconds = micros as f64 / 1e6;
        sum += seconds * count as f64;
        if let Some(bucket) = buckets.iter_mut().find(|(bound, _)| seconds <= *bound) {
            bucket.1 += count;
        }
    }
    encoder.encode_descriptor(name, help, None, MetricType::Histogram)?.encode_histogram::<NoLabelSet>(
        sum,
        values.total(),
        &buckets,
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_plain_text_counters_have_their_full_name() {
        let text =
            as_plain_text("# HELP a Things.\n# TYPE a counter\na_total 1\n# TYPE b gauge\nb 2\n# EOF\n");
        assert_eq!(text, "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n# TYPE b gauge\nb 2\n");
    }

    #[test]
    fn an_exposition_is_complete_and_labelled() {
        let mut totals = Totals { generation: 3, ..Totals::default() };
        totals.latency.record(1_500);
        let mut route =
            RouteTotals { service: "up".to_owned(), classes: [0, 2, 0, 1, 0], ..RouteTotals::default() };
        route.reasons.insert(Reason::RateLimited, 1);
        totals.routes.insert("a".to_owned(), route);
        let exposition = Exposition {
            totals,
            problems: 1,
            connections_refused: 0,
            log_entries: vec![("delivered", 4)],
            spans: vec![("sent", 5)],
        };
        let text = render(exposition).unwrap();
        for line in [
            r#"limen_exchanges_total{route="a",service="up",class="2xx"} 2"#,
            r#"limen_exchange_outcomes_total{route="a",service="up",reason="rate_limited"} 1"#,
            r#"limen_exchange_duration_seconds_bucket{le="0.001"} 0"#,
            r#"limen_exchange_duration_seconds_bucket{le="0.0025"} 1"#,
            r#"limen_log_entries_total{outcome="delivered"} 4"#,
            r#"limen_spans_total{outcome="sent"} 5"#,
            "limen_config_generation 3",
            "# EOF",
        ] {
            assert!(text.lines().any(|seen| seen == line), "no line {line} in\n{text}");
        }
    }
}
