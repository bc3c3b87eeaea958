use std::sync::Arc;
use std::time::Duration;

use admin_api::Reason;

use super::*;
use crate::clock::Clock;
use crate::exchange::trace::{Instruments, Parent, Propagation, Sampler, Share, Tracing, Work};
use crate::exchange::{Exchange, Try};
use crate::plugins::testing::exchange;

/// An exchange whose first attempt was refused and whose second was answered with `status`, in microseconds: routing
/// 10, a plugin 20, attempts of 30 and 40, the answer's body 5 more.
fn retried(status: u16) -> Record {
    let mut exchange = exchange("GET /a/x?q=1 HTTP/1.1\r\nHost: A.test:80\r\nUser-Agent: t\r\n\r\n");
    let clock = Clock::held(Duration::from_micros(exchange.times.started_us));
    let pass = |micros| clock.advance(Duration::from_micros(micros));
    let mut trace = Trace::begin(clock.clone());
    let begun = trace.now_ns();
    pass(10);
    trace.step(Work::Routing { found: true }, begun);
    let tracing = Tracing {
        propagation: Propagation::everything(&[traces::Format::W3c]),
        sampler: Sampler { parent: Parent::Followed, rate: 1.0, share: Share::OpenTelemetry },
        instruments: Instruments::ALL,
        response_header: None,
        collector: None,
    };
    trace.decide(&Arc::new(tracing), &exchange.request.fields, true);
    let begun = trace.now_ns();
    pass(20);
    trace.step(Work::Access("rate-limiting"), begun);
    let begun = trace.now_ns();
    trace.step(Work::HeaderFilter("correlation-id"), begun);
    for (port, took, failed, answer) in
        [(1, 30, Some(Reason::ConnectFailed), None), (2, 40, None, Some(status))]
    {
        let begun = trace.now_ns();
        trace.begin_attempt(&"up.test:8000".into(), begun, &mut exchange.request.fields);
        pass(took);
        trace.end_attempt(failed);
        exchange.tries.push(Try {
            address: ([127, 0, 0, 1], port).into(),
            balancer_start_ns: begun,
            balancer_ns: 0,
            code: failed.map(|_| 502),
            failed: failed.is_some(),
            status: answer,
        });
    }
    exchange.response.status = status;
    exchange.times.receive_us = 5;
    exchange.times.total_us = 105;
    exchange.upstream_target = b"/x?q=1".to_vec();
    exchange.trace = Some(Box::new(trace));
    Record::of(&mut exchange)
}

/// Name, kind, start and duration in microseconds, status, attributes but for ids.
fn shown(record: &Record, vocabulary: Vocabulary) -> Vec<String> {
    let started = UNIX_EPOCH + Duration::from_micros(record.times.started_us);
    let spans = vocabulary.spans(record);
    let root = spans[0].span_context.span_id();
    assert!(spans[1..].iter().all(|span| span.parent_span_id == root), "all hang under the request");
    let one = |span: SpanData| {
        let micros =
            |duration: Result<Duration, _>| duration.map_or(-1, |time: Duration| time.as_micros() as i128);
        let (start, took) = (
            micros(span.start_time.duration_since(started)),
            micros(span.end_time.duration_since(span.start_time)),
        );
        let failed = if matches!(span.status, Status::Error { .. }) { " failed" } else { "" };
        let attributes: Vec<String> = span
            .attributes
            .iter()
            .filter(|attribute| !attribute.key.as_str().ends_with("id"))
            .map(|attribute| match &attribute.value {
                Value::F64(number) => format!("{}={number:?}", attribute.key),
                other => format!("{}={other}", attribute.key),
            })
            .collect();
        let kind = span.span_kind;
        format!("{} {kind:?} {start}+{took}{failed} {}", span.name, attributes.join(" "))
    };
    spans.into_iter().map(one).collect()
}

#[test]
fn kongs_names_and_attributes() {
    insta::assert_snapshot!(shown(&retried(200), Vocabulary::Kong).join("\n"));
}

#[test]
fn opentelemetrys_names_and_attributes() {
    insta::assert_snapshot!(shown(&retried(200), Vocabulary::OpenTelemetry).join("\n"));
}

#[test]
fn a_server_error_of_the_target_fails_request_and_attempt() {
    let record = retried(503);
    let failed: Vec<String> = shown(&record, Vocabulary::OpenTelemetry)
        .into_iter()
        .filter(|span| span.contains(" failed "))
        .map(|span| span.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(failed.len(), 3, "the request and both attempts: {failed:?}");
}

#[test]
fn a_request_that_found_no_route_has_a_failed_router() {
    let mut exchange: Exchange = exchange("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut trace = Trace::begin(Clock::held(Duration::from_secs(1)));
    trace.step(Work::Routing { found: false }, 5);
    trace.decide(
        &Arc::new(Tracing {
            propagation: Propagation::everything(&[]),
            sampler: Sampler { parent: Parent::Ignored, rate: 1.0, share: Share::Kong },
            instruments: Instruments::ALL,
            response_header: None,
            collector: None,
        }),
        &exchange.request.fields,
        false,
    );
    exchange.trace = Some(Box::new(trace));
    let record = Record::of(&mut exchange);
    let kong = Vocabulary::Kong.spans(&record);
    assert!(kong[1].name == "kong.router" && matches!(kong[1].status, Status::Error { .. }));
    // A method that nobody knows is no name.
    assert_eq!(Vocabulary::OpenTelemetry.spans(&record)[0].name, "_OTHER");
}

#[test]
fn hosts_lose_their_port_whatever_they_are() {
    for (host, name) in [
        ("a.test:80", "a.test"),
        ("a.test", "a.test"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("10.0.0.1:1", "10.0.0.1"),
    ] {
        assert_eq!(host_name(host), name);
    }
}
