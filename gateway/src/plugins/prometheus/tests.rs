use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::exchange::{Matched, Source};
use crate::model::{Consumer, Route, Service};
use crate::plugins::testing::{Bench, exchange};

/// A route object, of which there is a new one in every configuration.
fn route(name: &str) -> Arc<Route> {
    Arc::new(Route { name: Some(name.to_owned()), ..Route::new(Uuid::from_u128(1)) })
}

/// An exchange that the upstream answered, with times in milliseconds.
fn answered(route: &Arc<Route>, [own, upstream, total]: [u64; 3]) -> Exchange {
    let mut exchange = exchange("GET / HTTP/1.1\r\n\r\n");
    exchange.matched =
        Some(Matched::whole(Arc::clone(route), Some(Arc::new(Service::new(Uuid::from_u128(2), "h.test")))));
    exchange.response.status = 200;
    exchange.outcome.source = Source::Service;
    exchange.times.forwarded_us = Some(own * 1_000 + 999);
    exchange.times.upstream_us = Some(upstream * 1_000);
    exchange.times.total_us = total * 1_000;
    exchange.times.request_bytes = 30;
    exchange
}

fn text(bench: &Bench) -> String {
    bench.environment.series.families().into_iter().map(|(_, text)| text).collect()
}

fn line(bench: &Bench, begin: &str) -> Vec<String> {
    text(bench).lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
}

#[test]
fn times_are_whole_milliseconds_in_kongs_buckets() {
    let bench = Bench::new();
    let plugin = bench.build("prometheus", json!({"latency_metrics": true}));
    let a = route("a");
    plugin.count(&answered(&a, [2, 25, 30]));
    plugin.count(&answered(&a, [6_001, 26, 70_000]));
    let labels = r#"{service="h.test",route="a",workspace="default""#;
    for (family, bound, below) in [
        ("kong_kong_latency_ms", "1", 0),
        ("kong_kong_latency_ms", "2", 1),
        ("kong_kong_latency_ms", "6000", 1),
        ("kong_kong_latency_ms", "+Inf", 2),
        ("kong_upstream_latency_ms", "25", 1),
        ("kong_upstream_latency_ms", "50", 2),
        ("kong_request_latency_ms", "60000", 1),
        ("kong_request_latency_ms", "+Inf", 2),
    ] {
        let begin = format!("{family}_bucket{labels},le=\"{bound}\"}}");
        assert_eq!(line(&bench, &begin), [format!("{begin} {below}")]);
    }
    let sum = format!("kong_kong_latency_ms_sum{labels}}}");
    assert_eq!(line(&bench, &sum), [format!("{sum} 6003")]);
    assert_eq!(line(&bench, "kong_http"), Vec::<String>::new());
}

#[test]
fn consumers_are_told_apart_if_asked_for_and_labels_are_escaped() {
    let bench = Bench::new();
    let odd = route("a\"b\\c\nd");
    let consumer = Consumer {
        id: Uuid::from_u128(7),
        username: Some("alice".to_owned()),
        custom_id: None,
        tags: None,
        groups: Vec::new(),
        credentials: Vec::new(),
        created_at: 0,
        updated_at: 0,
        origin: None,
    };
    let mut exchange = answered(&odd, [0, 0, 0]);
    exchange.consumer = Some(Arc::new(consumer));
    for per_consumer in [true, false] {
        let settings =
            json!({"status_code_metrics": true, "bandwidth_metrics": true, "per_consumer": per_consumer});
        bench.build("prometheus", settings).count(&exchange);
    }
    let labels = r#"service="h.test",route="a\"b\\c\nd""#;
    let series = |consumer: &str| {
        format!(
            "kong_http_requests_total{{{labels},code=\"200\",source=\"service\",workspace=\"default\",consumer=\"{consumer}\"}} 1"
        )
    };
    assert_eq!(line(&bench, "kong_http_requests_total{"), [series(""), series("alice")]);
    // Nothing was sent to the client, and nothing is no series.
    let bytes = line(&bench, "kong_bandwidth_bytes{");
    assert_eq!(bytes.len(), 2, "{bytes:?}");
    assert!(bytes.iter().all(|line| line.contains("direction=\"ingress\"") && line.ends_with(" 30")));
}

#[test]
fn what_no_longer_serves_is_added_up_by_name() {
    let bench = Bench::new();
    let plugin = bench.build("prometheus", json!({"status_code_metrics": true}));
    for _ in 0..3 {
        // A configuration that comes and goes, with a reading in between.
        plugin.count(&answered(&route("a"), [0, 0, 0]));
        text(&bench);
    }
    let kept = route("a");
    plugin.count(&answered(&kept, [0, 0, 0]));
    let all = line(&bench, "kong_http_requests_total{");
    assert!(all.len() == 1 && all[0].ends_with(" 4"), "{all:?}");
}

#[test]
fn a_request_without_a_route_is_not_counted() {
    let bench = Bench::new();
    let everything = json!({"status_code_metrics": true, "latency_metrics": true, "bandwidth_metrics": true});
    bench.build("prometheus", everything).count(&exchange("GET / HTTP/1.1\r\n\r\n"));
    assert_eq!(text(&bench), "");
}
