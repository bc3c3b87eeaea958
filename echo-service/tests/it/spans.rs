//! Spans of requests, as a collector gets them.

use base64::{Engine, prelude::BASE64_STANDARD};
use echo_service::{BinSettings, EchoSettings, SpanSettings, har::Archive, serve, serve_bin};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Span, span::SpanKind},
};
use prost::Message;

/// Our own bin is a collector as good as any: it keeps what is posted to it.
async fn traced(requests: impl AsyncFnOnce(&str)) -> Vec<ResourceSpans> {
    let bin = serve_bin(BinSettings::default()).await.unwrap();
    let spans = SpanSettings {
        endpoint: format!("{}/bin/spans", bin.url()).parse().unwrap(),
        speaker: vec![("service.name".to_owned(), "http-echo".to_owned())],
    };
    let echo = serve(EchoSettings { spans: Some(spans), ..EchoSettings::named("one") }).await.unwrap();
    requests(&echo.url()).await;
    // What is left goes out before the end.
    echo.stop().await;
    let log = reqwest::get(format!("{}/bin/spans/log", bin.url())).await.unwrap();
    let archive: Archive = log.json().await.unwrap();
    let posts = archive.log.entries.into_iter().map(|entry| entry.request.post_data.unwrap());
    let bytes = posts.map(|data| match data.encoding {
        Some(_) => BASE64_STANDARD.decode(data.text).unwrap(),
        None => data.text.into_bytes(),
    });
    bytes.flat_map(|bytes| ExportTraceServiceRequest::decode(&*bytes).unwrap().resource_spans).collect()
}

fn spans(resources: &[ResourceSpans]) -> Vec<Span> {
    resources
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| scope.spans.clone())
        .collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

#[tokio::test]
async fn a_request_is_a_span_under_its_callers() {
    let resources = traced(async |url| {
        let sent = reqwest::Client::new()
            .get(format!("{url}/a?b=c"))
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .send();
        assert!(sent.await.unwrap().text().await.unwrap().contains("GET /a?b=c HTTP/1.1"));
    })
    .await;
    let speaker = resources[0].resource.clone().unwrap().attributes;
    assert_eq!(speaker[0].key, "service.name");
    let [span] = &spans(&resources)[..] else { panic!("{resources:#?}") };
    assert_eq!(span.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!((span.name.as_str(), span.kind()), ("GET", SpanKind::Server));
    assert_eq!(attribute(span, "url.path"), Some(Value::StringValue("/a".to_owned())));
    assert_eq!(attribute(span, "http.response.status_code"), Some(Value::IntValue(200)));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
}

#[tokio::test]
async fn what_the_caller_does_not_sample_is_no_span_and_a_request_without_a_trace_begins_one() {
    let resources = traced(async |url| {
        for (name, value) in [
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
            ("b3", "0"),
            ("uber-trace-id", "3fd6c1a8f1ecd53c:b1d5c8e2:0:0"),
        ] {
            let request = reqwest::Client::new().get(url).header(name, value);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        assert_eq!(reqwest::get(format!("{url}/?echo-status=503")).await.unwrap().status(), 503);
    })
    .await;
    let [span] = &spans(&resources)[..] else { panic!("{resources:#?}") };
    assert!(span.parent_span_id.is_empty());
    assert_eq!(span.status.clone().unwrap().code, 2, "a server error is an error");
}

#[tokio::test]
async fn a_collector_that_is_gone_keeps_no_request_waiting() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spans = SpanSettings {
        endpoint: format!("http://{gone}/v1/traces").parse().unwrap(),
        speaker: vec![("service.name".to_owned(), "x".to_owned())],
    };
    let echo = serve(EchoSettings { spans: Some(spans), ..EchoSettings::named("one") }).await.unwrap();
    for _ in 0..100 {
        assert_eq!(reqwest::get(echo.url()).await.unwrap().status(), 200);
    }
    echo.stop().await;
}
