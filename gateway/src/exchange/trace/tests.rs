use std::time::Duration;

use super::*;

/// The example of the W3C's recommendation.
const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

fn tracing(sampler: Sampler, instruments: Instruments) -> Arc<Tracing> {
    Arc::new(Tracing {
        propagation: Propagation::everything(&[Format::W3c]),
        sampler,
        instruments,
        response_header: None,
        collector: None,
    })
}

fn sampler(parent: Parent, rate: f64) -> Sampler {
    Sampler { parent, rate, share: Share::OpenTelemetry }
}

fn request(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.append(*name, *value);
    }
    fields
}

/// Whether a request with a caller's decision is sampled.
fn is_sampled(sampler: Sampler, decision: Option<bool>) -> bool {
    let received = Context { sampled: decision, ..Context::default() };
    sampler.samples(TraceId::from(TRACE), &received)
}

#[test]
fn the_callers_decision_counts_as_far_as_it_should() {
    use Parent::{Followed, Ignored, Veto};
    for (parent, rate, undecided, yes, no) in [
        (Ignored, 1.0, true, true, true),
        (Ignored, 0.0, false, false, false),
        (Veto, 1.0, true, true, false),
        (Veto, 0.0, false, false, false),
        (Followed, 1.0, true, true, false),
        (Followed, 0.0, false, true, false),
    ] {
        let sampler = sampler(parent, rate);
        let seen = [None, Some(true), Some(false)].map(|decision| is_sampled(sampler, decision));
        assert_eq!(seen, [undecided, yes, no], "{parent:?} at {rate}");
    }
    let debug = Context { debug: true, sampled: Some(true), ..Context::default() };
    assert!(sampler(Veto, 0.0).samples(TraceId::from(TRACE), &debug));
}

#[test]
fn a_share_is_of_trace_ids_and_so_everybodys() {
    // The last 63 bits of the id are 0.0335 of the scale, its first 8 bytes, read backwards, 0.8643.
    for (share, below, above) in [(Share::OpenTelemetry, 0.033, 0.034), (Share::Kong, 0.864, 0.865)] {
        let at = |rate| is_sampled(Sampler { parent: Parent::Veto, rate, share }, None);
        assert!(!at(below) && at(above), "{share:?}");
    }
    let half = sampler(Parent::Veto, 0.5);
    let sampled =
        (0..10_000).filter(|_| half.samples(TraceId::from(fastrand::u128(1..)), &Context::default())).count();
    assert!((4_500..5_500).contains(&sampled), "{sampled} of 10000");
}

#[test]
fn every_attempt_tells_its_target_of_a_span_of_its_own() {
    let clock = Clock::held(Duration::from_secs(1_000));
    let mut fields = request(&[("traceparent", &format!("{PARENT}-01"))]);
    let mut trace = Trace::begin(clock.clone());
    trace.decide(&tracing(sampler(Parent::Followed, 0.0), Instruments::ALL), &fields, true);
    let host: Arc<str> = "a.test:80".into();
    let mut told = Vec::new();
    for failed in [Some(Reason::ConnectFailed), None] {
        let begun = trace.now_ns();
        trace.begin_attempt(&host, begun, &mut fields);
        told.push(fields.get_str("traceparent").unwrap().to_owned());
        clock.advance(Duration::from_millis(5));
        trace.end_attempt(failed);
    }
    let [first, second] = trace.attempts() else { panic!("{:?}", trace.attempts()) };
    let expected =
        |attempt: &Attempt| format!("00-{:032x}-{:016x}-01", TraceId::from(TRACE), attempt.span_id);
    assert_eq!(told, [expected(first), expected(second)]);
    assert_eq!(first.failed, Some(Reason::ConnectFailed));
    assert_eq!((first.end_ns - first.start_ns, second.start_ns), (5_000_000, first.end_ns));
    assert_eq!(fields.len(), 1, "the line was replaced");
}

#[test]
fn a_request_that_is_not_sampled_records_nothing_and_reads_no_clock() {
    let mut fields = request(&[("traceparent", &format!("{PARENT}-00"))]);
    let mut trace = Trace::begin(Clock::held(Duration::from_secs(1_000)));
    trace.step(Work::Routing { found: true }, 5);
    assert_eq!(trace.steps().len(), 1, "until it is decided everything may be wanted");
    trace.decide(&tracing(sampler(Parent::Followed, 1.0), Instruments::ALL), &fields, true);
    trace.step(Work::Access("cors"), 5);
    trace.begin_attempt(&"a".into(), 5, &mut fields);
    trace.end_attempt(None);
    assert_eq!((trace.now_ns(), trace.steps().len(), trace.attempts().len()), (0, 0, 0));
    assert!(!trace.is_sampled());
    // The target is told all the same, of the same trace, that it is not sampled.
    let told = fields.get_str("traceparent").unwrap();
    assert!(told.starts_with(&PARENT[..36]) && told.ends_with("-00") && !told.contains("b7ad6b7169203331"));
}

#[test]
fn only_what_is_asked_for_is_recorded() {
    let mut trace = Trace::begin(Clock::held(Duration::from_secs(1_000)));
    trace.step(Work::Routing { found: true }, 5);
    trace.step(Work::Access("cors"), 5);
    let some = Instruments::REQUEST.and(Instruments::ACCESS);
    trace.decide(&tracing(sampler(Parent::Veto, 1.0), some), &request(&[]), true);
    trace.step(Work::HeaderFilter("cors"), 5);
    trace.step(Work::Access("acl"), 5);
    let mut fields = request(&[]);
    trace.begin_attempt(&"a".into(), 5, &mut fields);
    let works: Vec<_> = trace.steps().iter().map(|step| step.what.clone()).collect();
    assert_eq!(works, [Work::Access("cors"), Work::Access("acl")]);
    // Without spans of attempts the target hangs under the request.
    assert_eq!(trace.attempts().len(), 0);
    let own = format!("{:016x}", trace.span_id());
    assert!(fields.get_str("traceparent").unwrap().contains(&own));
}

#[test]
fn the_format_a_request_came_in_is_kept_beside_the_configured_ones() {
    let mut fields = request(&[("uber-trace-id", "3fd6c1a8f1ecd53c:b1d5c8e2:0:1")]);
    let mut trace = Trace::begin(Clock::held(Duration::from_secs(1_000)));
    trace.decide(&tracing(sampler(Parent::Followed, 0.0), Instruments::ALL), &fields, true);
    trace.begin_attempt(&"a".into(), 5, &mut fields);
    let span = trace.attempts()[0].span_id;
    let own = trace.span_id();
    assert_eq!(
        fields.get_str("uber-trace-id").unwrap(),
        format!("3fd6c1a8f1ecd53c:{span:016x}:{own:016x}:01")
    );
    assert_eq!(
        fields.get_str("traceparent").unwrap(),
        format!("00-00000000000000003fd6c1a8f1ecd53c-{span:016x}-01")
    );
    assert_eq!(
        trace.told(),
        [("jaeger", "3fd6c1a8f1ecd53c".to_owned()), ("w3c", "00000000000000003fd6c1a8f1ecd53c".to_owned())]
    );
}

#[test]
fn a_second_decision_changes_nothing() {
    let mut trace = Trace::begin(Clock::held(Duration::from_secs(1_000)));
    let fields = request(&[]);
    trace.decide(&tracing(sampler(Parent::Veto, 0.0), Instruments::ALL), &fields, false);
    let id = trace.trace_id();
    trace.decide(&tracing(sampler(Parent::Veto, 1.0), Instruments::ALL), &fields, true);
    assert_eq!((trace.trace_id(), trace.is_sampled()), (id, false));
    assert!(trace.told().is_empty(), "the request did not go on");
}
