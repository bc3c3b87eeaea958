//! What targets are told for requests of every kind, and what collectors get.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use parking_lot::Mutex;
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::exchange::Try;
use crate::exchange::trace::{Instruments, Trace};
use crate::plugins::testing::{Bench, eventually, exchange};

/// A collector on a real socket: heads and decoded bodies of what was posted.
struct Collector {
    port: u16,
    posts: Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Collector {
    async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Arc::default();
        let served = Arc::clone(&posts);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take_posts(stream, Arc::clone(&served)));
            }
        });
        Collector { port, posts, accepting }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/traces", self.port)
    }

    async fn has_spans(&self, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans"), || self.spans().len() >= count).await;
        self.spans()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.resources().into_iter().flat_map(|resource| resource.scope_spans);
        resources.flat_map(|scope| scope.spans).collect()
    }

    fn resources(&self) -> Vec<ResourceSpans> {
        self.posts.lock().iter().flat_map(|(_, request)| request.resource_spans.clone()).collect()
    }
}

async fn take_posts(
    mut stream: TcpStream,
    posts: Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while buffer.len() < head_end + length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        let body = ExportTraceServiceRequest::decode(&buffer[head_end..head_end + length]).unwrap();
        buffer.drain(..head_end + length);
        posts.lock().push((head, body));
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 2\r\n\r\n";
        stream.write_all(&[answer.as_bytes(), &[0x0a, 0]].concat()).await.ok()?;
    }
}

/// A bench that records what there is to be recorded, or nothing.
fn bench(instruments: Instruments) -> Bench {
    let mut bench = Bench::new();
    bench.environment.instruments = instruments;
    bench
}

/// Lets a request with these header lines pass the plugin and go on once. Gives what the target is told and the
/// exchange.
fn pass(plugin: &dyn Plugin, bench: &Bench, lines: &[&str]) -> (Vec<String>, Exchange) {
    let mut exchange = exchange(&format!("GET /a HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n")));
    exchange.trace = Some(Box::new(Trace::begin(bench.clock.clone())));
    assert!(matches!(plugin.access(&mut exchange), Flow::Next));
    let trace = exchange.trace.as_mut().unwrap();
    let begun = trace.now_ns();
    trace.begin_attempt(&"up.test:80".into(), begun, &mut exchange.request.fields);
    trace.end_attempt(None);
    exchange.tries.push(Try {
        address: ([127, 0, 0, 1], 80).into(),
        balancer_start_ns: begun,
        balancer_ns: 0,
        code: None,
        failed: false,
        status: Some(200),
    });
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = exchange.request.fields.iter();
    (fields.map(|field| format!("{}: {}", text(field.name), text(field.value))).collect(), exchange)
}

/// `NEW` stands for a span id, `TRACE` for a trace id, that weren't in the request.
fn masked(lines: &[String], sent: &[&str]) -> String {
    let sent = sent.join(" ");
    let mut out = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let mut shown = String::new();
        for part in value.split_inclusive(|digit: char| !digit.is_ascii_alphanumeric()) {
            let token = part.trim_end_matches(|digit: char| !digit.is_ascii_alphanumeric());
            let known =
                token.len() < 3 || sent.contains(token) || sent.contains(token.trim_start_matches('0'));
            let hex = token.bytes().all(|digit| digit.is_ascii_hexdigit());
            let mask = match token.len() {
                _ if known || !hex => token,
                32 => "TRACE",
                _ => "NEW",
            };
            shown.push_str(mask);
            shown.push_str(&part[token.len()..]);
        }
        out.push(format!("{name}: {shown}"));
    }
    out.join(" | ")
}

const PARENT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const B3: &str = "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1";
const JAEGER: &str = "uber-trace-id: 3fd6c1a8f1ecd53c:b1d5c8e2:0:1";
const AWS: &str =
    "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const GCP: &str = "X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1";
const DATADOG: [&str; 3] =
    ["x-datadog-trace-id: 1234567890", "x-datadog-parent-id: 99", "x-datadog-sampling-priority: 1"];

fn told(settings: Value, instruments: Instruments, sent: &[&str]) -> String {
    let bench = bench(instruments);
    let mut all = json!({"traces_endpoint": "http://127.0.0.1:9/v1/traces"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let plugin = bench.build("opentelemetry", all);
    masked(&pass(&*plugin, &bench, sent).0, sent)
}

#[test]
fn with_nothing_recorded_traces_go_on_and_are_said_not_to_be_sampled() {
    let same_format: &[(&[&str], &str)] = &[
        (&[], "traceparent: 00-TRACE-NEW-00"),
        (&[PARENT], "traceparent: 00-0af7651916cd43dd8448eb211c80319c-NEW-00"),
        (&[B3], "b3: 80f198ee56343ba864fe8b2a57d3eff7-NEW-0-e457b5a2e4d86bd1"),
        (&["b3: 0"], "b3: TRACE-NEW-0"),
        (&[JAEGER], "uber-trace-id: 3fd6c1a8f1ecd53c:NEW:00000000b1d5c8e2:00"),
        (
            &DATADOG,
            "x-datadog-trace-id: 1234567890 | x-datadog-parent-id: NEW | x-datadog-sampling-priority: 0",
        ),
        (&[AWS], "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=NEW;Sampled=0"),
        (&[GCP], "X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/NEW;o=0"),
        (&["traceparent: 00-xyz-1-01"], "traceparent: 00-TRACE-NEW-00"),
        // Not the first of several formats: B3 comes before W3C.
        (
            &[PARENT, B3],
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 | \
                         b3: 80f198ee56343ba864fe8b2a57d3eff7-NEW-0-e457b5a2e4d86bd1",
        ),
    ];
    for (sent, expected) in same_format {
        for settings in
            [json!({}), json!({"sampling_rate": 1}), json!({"propagation": {"default_format": "w3c"}})]
        {
            assert_eq!(told(settings, Instruments::NONE, sent), *expected, "{sent:?}");
        }
    }
}

#[test]
fn another_members_trace_state_does_not_hide_the_parent() {
    for state in ["tracestate: v=1", "tracestate:"] {
        let seen = told(json!({}), Instruments::NONE, &[PARENT, state]);
        assert!(
            seen.starts_with("traceparent: 00-0af7651916cd43dd8448eb211c80319c-NEW-00 | tracestate:"),
            "{seen}"
        );
    }
}

#[test]
fn formats_that_are_named_are_read_and_written_and_no_others() {
    let new = "traceparent: 00-TRACE-NEW-00";
    let w3c_only = json!({"propagation": {"extract": ["w3c"], "inject": ["w3c"], "default_format": "w3c"}});
    assert_eq!(told(w3c_only.clone(), Instruments::NONE, &[B3]), format!("{B3} | {new}"));
    assert_eq!(told(w3c_only, Instruments::NONE, &[GCP]), format!("{GCP} | {new}"));

    let preserving = json!({"propagation":
        {"extract": ["w3c", "b3"], "inject": ["preserve"], "clear": ["b3", "x-other"], "default_format": "b3"}});
    for (sent, expected) in [
        (&[][..], "x-b3-traceid: TRACE | x-b3-spanid: NEW | x-b3-sampled: 0"),
        (&[PARENT], "traceparent: 00-0af7651916cd43dd8448eb211c80319c-NEW-00"),
        (&[B3], "b3: 80f198ee56343ba864fe8b2a57d3eff7-NEW-0-e457b5a2e4d86bd1"),
        (&[PARENT, B3, "X-Other: 1"], "traceparent: 00-0af7651916cd43dd8448eb211c80319c-NEW-00"),
    ] {
        assert_eq!(told(preserving.clone(), Instruments::NONE, sent), expected, "{sent:?}");
    }

    let all_of_them = json!({"propagation": {"extract": ["w3c"], "inject": ["w3c", "b3", "jaeger"]}});
    assert_eq!(
        told(all_of_them, Instruments::NONE, &[PARENT]),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-NEW-00 | \
         x-b3-traceid: 0af7651916cd43dd8448eb211c80319c | x-b3-spanid: NEW | \
         x-b3-parentspanid: b7ad6b7169203331 | x-b3-sampled: 0 | \
         uber-trace-id: 0af7651916cd43dd8448eb211c80319c:NEW:b7ad6b7169203331:00"
    );
}

#[test]
fn the_format_of_old_is_added_to_the_requests_own_or_stands_alone() {
    for (sent, expected) in [
        (&[][..], "traceparent: 00-TRACE-NEW-00"),
        (
            &[B3],
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-NEW-0-e457b5a2e4d86bd1 | \
                 traceparent: 00-80f198ee56343ba864fe8b2a57d3eff7-NEW-00",
        ),
        (
            &[JAEGER],
            "uber-trace-id: 3fd6c1a8f1ecd53c:NEW:00000000b1d5c8e2:00 | \
                     traceparent: 00-00000000000000003fd6c1a8f1ecd53c-NEW-00",
        ),
        (
            &[AWS],
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=NEW;Sampled=0 | \
                  traceparent: 00-5759e988bd862e3fe1be46a994272793-NEW-00",
        ),
    ] {
        let seen = told(json!({"header_type": "w3c"}), Instruments::NONE, sent);
        // The id of X-Ray is written apart there and together here.
        let expected = expected.replace("5759e988bd862e3fe1be46a994272793", "TRACE");
        assert_eq!(seen, if sent == [AWS] { expected } else { expected.clone() }, "{sent:?}");
    }
    let ignoring = json!({"header_type": "ignore"});
    assert_eq!(told(ignoring.clone(), Instruments::NONE, &[PARENT]), "traceparent: 00-TRACE-NEW-00");
    assert_eq!(told(ignoring, Instruments::NONE, &[B3]), format!("{B3} | traceparent: 00-TRACE-NEW-00"));
}

#[test]
fn with_everything_recorded_the_target_hangs_under_its_attempt() {
    let bench = bench(Instruments::ALL);
    let settings = json!({"traces_endpoint": "http://127.0.0.1:9", "sampling_rate": 1});
    let plugin = bench.build("opentelemetry", settings);
    let (told, exchange) = pass(&*plugin, &bench, &[B3]);
    let trace = exchange.trace.as_ref().unwrap();
    let (attempt, own) = (trace.attempts()[0].span_id, trace.span_id());
    assert_eq!(told, [format!("b3: 80f198ee56343ba864fe8b2a57d3eff7-{attempt:016x}-1-{own:016x}")]);
    assert_eq!(trace.parent_id().unwrap().to_string(), "e457b5a2e4d86bd1");
    assert_eq!(trace.told(), [("b3", "80f198ee56343ba864fe8b2a57d3eff7".to_owned())]);
    // A veto is obeyed at any rate.
    let (told, exchange) = pass(&*plugin, &bench, &[&PARENT.replace("-01", "-00")]);
    assert!(told[0].ends_with("-00") && !exchange.trace.unwrap().is_sampled());
}

#[test]
fn answers_carry_the_trace_id_if_asked_to() {
    let bench = bench(Instruments::NONE);
    let settings =
        json!({"traces_endpoint": "http://127.0.0.1:9", "http_response_header_for_traceid": "X-Trace-Id"});
    let plugin = bench.build("opentelemetry", settings);
    let (_, mut exchange) = pass(&*plugin, &bench, &[JAEGER]);
    plugin.header_filter(&mut exchange);
    assert_eq!(exchange.response.fields.get_str("X-Trace-Id"), Some("00000000000000003fd6c1a8f1ecd53c"));
    // Also when another plugin answered before this one had its turn.
    let mut refused = crate::plugins::testing::exchange(&format!("GET /a HTTP/1.1\r\n{PARENT}\r\n\r\n"));
    refused.trace = Some(Box::new(Trace::begin(bench.clock.clone())));
    plugin.header_filter(&mut refused);
    assert_eq!(refused.response.fields.get_str("X-Trace-Id"), Some("0af7651916cd43dd8448eb211c80319c"));
    assert!(refused.trace.unwrap().told().is_empty());
}

#[tokio::test]
async fn a_collector_gets_what_the_settings_say() {
    let collector = Collector::start().await;
    let bench = bench(Instruments::ALL);
    let plugin = bench.build(
        "opentelemetry",
        json!({
            "endpoint": collector.url(),
            "headers": {"X-Tok": "t"},
            "resource_attributes": {"env": "test", "service.name": "edge"},
            "queue": {"max_coalescing_delay": 0},
            "sampling_rate": 1,
        }),
    );
    let (_, mut exchange) = pass(&*plugin, &bench, &[PARENT]);
    let own = exchange.trace.as_ref().unwrap().span_id();
    Trace::finish(&Arc::new(Finished::of(&mut exchange)));
    let spans = collector.has_spans(2).await;
    let (head, _) = collector.posts.lock()[0].clone();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("X-Tok: t\r\n") && head.contains("Content-Type: application/x-protobuf\r\n"),
        "{head}"
    );
    let resource = collector.resources()[0].clone();
    let attributes: Vec<_> = resource.resource.unwrap().attributes.into_iter().map(|kv| kv.key).collect();
    assert_eq!(attributes, ["service.name", "service.instance.id", "service.version", "env"]);
    let scope = resource.scope_spans[0].scope.clone().unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("kong-internal", "0.1.0"));
    let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(spans.iter().all(|span| span.trace_id == trace_id));
    assert_eq!([&*spans[0].name, &*spans[1].name], ["kong", "kong.balancer"]);
    assert_eq!(spans[0].parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(spans[1].parent_span_id, own.to_bytes());
    eventually("the count", || bench.environment.span_totals().sent == 2).await;
    collector.accepting.abort();
}

#[tokio::test]
async fn what_a_dead_collector_costs_is_counted_and_no_request() {
    let bench = bench(Instruments::ALL);
    // Bound and not accepting: whoever connects waits.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = json!({
        "traces_endpoint": format!("http://127.0.0.1:{port}/v1/traces"),
        "queue": {"max_entries": 10, "max_batch_size": 1, "max_coalescing_delay": 0},
        "read_timeout": 60_000,
        "sampling_rate": 1,
    });
    let plugin = bench.build("opentelemetry", settings);
    for _ in 0..50 {
        let (_, mut exchange) = pass(&*plugin, &bench, &[]);
        Trace::finish(&Arc::new(Finished::of(&mut exchange)));
    }
    let totals = || bench.environment.span_totals();
    // Two spans each: one is being sent, and ten wait, or nine if they came before it was.
    eventually("one to be sent and the rest to be dropped", || {
        totals().sending == 1 && totals().lost_full >= 89
    })
    .await;
    assert_eq!(totals().accepted, 100);
    assert_eq!(totals().waiting + totals().sending + totals().lost_full, 100);
    let left = totals().waiting + totals().sending;
    // A stop waits no longer than it may, and counts the rest.
    let clock = bench.clock.clone();
    let environment = bench.environment.clone();
    let stopping = tokio::spawn(async move { environment.shutdown(Duration::from_secs(5)).await });
    eventually("the stop to wait", || clock.next_wake().is_some()).await;
    clock.advance(Duration::from_secs(5));
    assert_eq!(stopping.await.unwrap(), left);
}

#[test]
fn settings_are_refused_in_kongs_words() {
    let refused = |settings: Value| SCHEMA.check(&settings).unwrap_err().to_json();
    for (settings, expected) in [
        (
            json!({}),
            json!({"config": {"@entity":
                ["at least one of these fields must be non-empty: 'traces_endpoint', 'logs_endpoint'"]}}),
        ),
        (json!({"traces_endpoint": "nope"}), json!({"config": {"traces_endpoint": "missing host in url"}})),
        (
            json!({"traces_endpoint": "http://c", "sampling_rate": 2}),
            json!({"config": {"sampling_rate": "value should be between 0 and 1"}}),
        ),
        (json!({"traces_endpoint": "http://c", "foo": 1}), json!({"config": {"foo": "unknown field"}})),
        (
            json!({"traces_endpoint": "http://c", "queue": {"max_batch_size": 0}}),
            json!({"config": {"queue": {"max_batch_size": "value should be between 1 and 1000000"}}}),
        ),
        (
            json!({"traces_endpoint": "http://c", "propagation": {"clear": ["a b"]}}),
            json!({"config": {"propagation": {"clear":
                ["bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"]}}}),
        ),
        (
            json!({"traces_endpoint": "http://c", "resource_attributes": {"a": ""}}),
            json!({"config": {"resource_attributes": "length must be at least 1"}}),
        ),
    ] {
        assert_eq!(refused(settings.clone()), expected, "{settings}");
    }
    let checked = SCHEMA.check(&json!({"endpoint": "http://c/v1/traces"})).unwrap();
    assert_eq!(checked["traces_endpoint"], "http://c/v1/traces");
    assert_eq!(checked["queue"]["max_batch_size"], 200);
    assert_eq!(checked["propagation"]["default_format"], "w3c");
    let wrong_scheme = json!({"traces_endpoint": "ftp://c/"});
    assert!(SCHEMA.check(&wrong_scheme).unwrap_err().message().contains("use http or https"));
}
