//! Traces through a whole gateway: what targets are told, and exactly what a collector receives.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Message, OK, Origin, answer};
use crate::support::soon;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

/// A collector that takes everything.
pub(crate) async fn collector() -> Origin {
    Origin::with(|_| {
        answer(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n\n\0")
    })
    .await
}

/// The spans it has, once there are so many.
pub(crate) async fn spans(collector: &Origin, count: usize) -> Vec<Span> {
    let decoded = |message: &Message| ExportTraceServiceRequest::decode(&*message.body).unwrap();
    let all = |messages: &[Message]| -> Vec<Span> {
        let resources = messages.iter().flat_map(|message| decoded(message).resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    };
    let seen = collector.until(&format!("{count} spans"), |seen| all(&seen.messages).len() >= count).await;
    all(&seen.messages)
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => format!("{number:?}"),
        other => format!("{other:?}"),
    };
    let pair = |of: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        (of.key.clone(), text(of.value.as_ref().unwrap().value.as_ref().unwrap()))
    };
    span.attributes.iter().map(pair).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let width = 2 * bytes.len();
    let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("{number:0width$x}")
}

async fn get_with(gateway: &DataPlane, target: &str, lines: &str) -> u16 {
    let mut client = Client::connect(gateway.http()).await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nUser-Agent: t\r\n{lines}\r\n")).await;
    client.response().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_traces_headers_pass_as_they_are_and_none_is_added() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    get_with(&gateway, "/", "").await;
    get_with(&gateway, "/", &format!("traceparent: {PARENT}-01\r\nb3: 0\r\n")).await;
    let seen = origin.messages();
    for name in ["traceparent", "tracestate", "b3", "x-b3-traceid", "uber-trace-id"] {
        assert_eq!(seen[0].header(name), None, "{name}");
    }
    assert_eq!(seen[1].header("traceparent").unwrap(), format!("{PARENT}-01"));
    assert_eq!(seen[1].header("b3").unwrap(), "0");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_traces_every_request_with_each_attempt() {
    let (origin, collector) = (Origin::start().await, collector().await);
    // The first connection is reset, the second one answered.
    let flaky =
        Origin::with(|message| if message.connection == 0 { vec![Act::Reset] } else { answer(OK) }).await;
    let config = format!(
        "services:\n\
         - {{name: up, url: 'http://{}', routes: [{{name: one, paths: [/one], plugins: [{{name: rate-limiting, config: {{year: 1}}}}]}}]}}\n\
         - {{name: flaky, url: 'http://{}', retries: 1, routes: [{{name: flaky, paths: [/flaky]}}]}}\n",
        origin.address, flaky.address
    );
    let endpoint = format!("http://{}", collector.address);
    let gateway =
        DataPlane::start_with(&config, &["--otlp-endpoint", &endpoint, "--service-name", "edge"]).await;
    assert_eq!(get_with(&gateway, "/one", &format!("traceparent: {PARENT}-01\r\n")).await, 200);
    assert_eq!(get_with(&gateway, "/one", "").await, 429);
    assert_eq!(get_with(&gateway, "/flaky", "").await, 200);
    assert_eq!(get_with(&gateway, "/none", "").await, 404);
    // A caller who doesn't sample is followed.
    assert_eq!(get_with(&gateway, "/flaky", &format!("traceparent: {PARENT}-00\r\n")).await, 200);
    // Everything that was recorded leaves before the gateway does.
    gateway.stop().await;
    let mut spans = spans(&collector, 8).await;
    // Workers hand in theirs when they come to it.
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let of = |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();

    let [one, refused] = &of("GET /one")[..] else { panic!("{spans:#?}") };
    assert_eq!(hex(&one.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&one.parent_span_id), "b7ad6b7169203331");
    assert_eq!(attributes(one)["http.response.status_code"], "200");
    assert_eq!(attributes(refused)["limen.reason"], "rate_limited");
    assert_eq!(attributes(refused)["limen.ended_by"], "rate-limiting");
    let of_one = |span: &&Span| span.parent_span_id == one.span_id && span.kind == 3;
    let attempt = spans.iter().find(of_one).unwrap();
    let told = origin.messages()[0].header("traceparent").unwrap();
    assert_eq!(told, format!("00-{}-{}-01", hex(&one.trace_id), hex(&attempt.span_id)));

    let [flaky_one] = &of("GET /flaky")[..] else { panic!("one was not sampled: {spans:#?}") };
    let attempts: Vec<_> =
        spans.iter().filter(|span| span.parent_span_id == flaky_one.span_id && span.kind == 3).collect();
    let [first, second] = &attempts[..] else { panic!("{attempts:#?}") };
    assert_eq!(attributes(first)["error.type"], "upstream_reset");
    assert_eq!(attributes(second)["http.request.resend_count"], "1");
    assert_eq!(attributes(second)["http.response.status_code"], "200");
    let told: Vec<_> =
        flaky.messages().iter().map(|message| message.header("traceparent").unwrap()).collect();
    assert!(told[0].contains(&hex(&first.span_id)) && told[1].contains(&hex(&second.span_id)), "{told:?}");
    assert_eq!(told[2].get(..36), Some(&PARENT[..36]));
    assert!(told[2].ends_with("-00"));

    let unrouted = of("GET").into_iter().find(|span| span.kind == 2).unwrap();
    assert_eq!(attributes(&unrouted)["http.response.status_code"], "404");
    let first = ExportTraceServiceRequest::decode(&*collector.messages()[0].body).unwrap();
    let resource = first.resource_spans[0].resource.clone().unwrap();
    assert!(matches!(
        resource.attributes[0].value.clone().unwrap().value,
        Some(Value::StringValue(name)) if name == "edge"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_traces_its_route_in_kongs_words_and_logs_tell_the_id() {
    let (origin, collector, log) = (Origin::start().await, collector().await, Origin::start().await);
    let config = format!(
        "services:\n\
         - name: up\n\
         \x20 url: 'http://{}'\n\
         \x20 routes:\n\
         \x20 - name: a\n\
         \x20   paths: [/a]\n\
         \x20   plugins:\n\
         \x20   - name: opentelemetry\n\
         \x20     config: {{traces_endpoint: 'http://{}/v1/traces', sampling_rate: 1, queue: {{max_coalescing_delay: 0.1}}}}\n\
         \x20   - name: http-log\n\
         \x20     config: {{http_endpoint: 'http://{}/log'}}\n\
         \x20 - {{name: b, paths: [/b]}}\n",
        origin.address, collector.address, log.address
    );
    let gateway = DataPlane::start_with(&config, &["--tracing-instrumentations", "all"]).await;
    assert_eq!(get_with(&gateway, "/a/x?q=1", &format!("traceparent: {PARENT}-01\r\n")).await, 200);
    assert_eq!(get_with(&gateway, "/b", "").await, 200);
    let spans = spans(&collector, 5).await;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        [
            "kong",
            "kong.router",
            "kong.access.plugin.opentelemetry",
            "kong.header_filter.plugin.opentelemetry",
            "kong.balancer"
        ]
    );
    let request = attributes(&spans[0]);
    for (key, value) in [
        ("http.method", "GET"),
        ("http.url", "http://a.test/a/x?q=1"),
        ("http.host", "a.test"),
        ("http.scheme", "http"),
        ("http.flavor", "1.1"),
        ("http.client_ip", "127.0.0.1"),
        ("net.peer.ip", "127.0.0.1"),
        ("http.status_code", "200"),
        ("http.route", "/a"),
    ] {
        assert_eq!(request[key], value, "{key}");
    }
    let attempt = attributes(&spans[4]);
    assert_eq!(attempt["try_count"], "1.0");
    assert_eq!(attempt["net.peer.port"], format!("{}.0", origin.address.port()));
    let seen = origin.messages();
    assert!(seen[0].header("traceparent").unwrap().contains(&hex(&spans[4].span_id)));
    assert_eq!(seen[1].header("traceparent"), None, "nobody traces this route");

    let entry = log.until("a log entry", |seen| !seen.messages.is_empty()).await.messages.remove(0);
    let entry: serde_json::Value = serde_json::from_slice(&entry.body).unwrap();
    assert_eq!(entry["trace_id"], serde_json::json!({"w3c": "0af7651916cd43dd8448eb211c80319c"}));
    soon("the count", async { while gateway.json("/status").await["spans"]["sent"] != 5 {} }).await;
    let metrics = gateway.ask("GET", "/metrics", None).await.text();
    assert!(metrics.contains("limen_spans_total{outcome=\"sent\"} 5\n"), "{metrics}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_spans_and_no_request() {
    let origin = Origin::start().await;
    let collector = Origin::with(|_| answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")).await;
    let config = format!(
        "{}plugins: [{{name: opentelemetry, config: {{traces_endpoint: 'http://{}/v1/traces', sampling_rate: 1, \
         queue: {{max_entries: 5, max_batch_size: 1, max_coalescing_delay: 0, max_retry_time: 0}}}}}}]\n",
        proxy_to(origin.address),
        collector.address
    );
    let gateway = DataPlane::start_with(&config, &["--tracing-instrumentations", "request"]).await;
    for _ in 0..20 {
        assert_eq!(get_with(&gateway, "/", "").await, 200);
    }
    soon("every span to be lost", async { while gateway.json("/status").await["spans"]["lost"] != 20 {} })
        .await;
    let status = gateway.json("/status").await;
    assert!(status["spans"]["failed_attempts"].as_u64().unwrap() > 0, "{status}");
    gateway.stop().await;
}
