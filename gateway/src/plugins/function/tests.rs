use serde_json::{Value, json};
use smallvec::SmallVec;

use super::*;
use crate::exchange::{Outcome, Times};
use crate::plugins::testing::{Bench, exchange, verdict};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn plugin(settings: Value) -> Arc<dyn Plugin> {
    Bench::new().build("pre-function", settings)
}

#[test]
fn access_code_may_change_answer_or_fail() {
    let mut exchange = exchange(GET);
    let passes = plugin(
        json!({"access": ["kong.service.request.set_header('X-A', '1')", "kong.service.request.set_header('X-B', kong.request.get_header('X-A'))"]}),
    );
    assert_eq!(verdict(passes.access(&mut exchange)), None);
    assert_eq!(exchange.request.fields.get_str("x-b"), Some("1"));
    let answers = plugin(json!({"access": ["kong.response.exit(200, 'hi')", "error('never')"]}));
    assert_eq!(verdict(answers.access(&mut exchange)), Some((200, "hi".to_owned())));
    let fails = plugin(json!({"access": ["error('x')"]}));
    let (status, text) = verdict(fails.access(&mut exchange)).unwrap();
    assert!(status == 500 && text.contains('x'), "{text}");
}

#[test]
fn header_code_edits_the_answer_and_can_only_complain() {
    let plugin = plugin(json!({"header_filter": [
        "kong.response.set_header('X-Was', kong.response.get_status()) kong.response.clear_header('X-Gone') kong.response.set_status(201)",
        "error('told in the log')",
    ]}));
    assert_eq!(plugin.phases(), Phases::HEADER_FILTER);
    let mut exchange = exchange(GET);
    exchange.response.status = 200;
    exchange.response.fields.append("x-gone", "1");
    plugin.header_filter(&mut exchange);
    assert_eq!((exchange.response.status, exchange.response.fields.get_str("X-Was")), (201, Some("200")));
    assert!(!exchange.response.fields.contains("x-gone"));
}

#[test]
fn log_code_looks_at_what_is_over() {
    let plugin = plugin(
        json!({"log": ["kong.log.notice('status ', kong.response.get_status())", "kong.log('plain')"]}),
    );
    assert_eq!(plugin.phases(), Phases::LOG);
    let exchange = exchange(GET);
    let record = Finished {
        id: exchange.id,
        client: exchange.client,
        target: b"/a".to_vec(),
        request: exchange.request,
        response: exchange.response,
        matched: None,
        consumer: None,
        credential: None,
        outcome: Outcome::default(),
        times: Times::default(),
        tries: SmallVec::new(),
        upstream_target: Vec::new(),
        correlation_id: None,
        sent: crate::exchange::Sent::default(),
        trace: None,
    };
    plugin.log(&Arc::new(record));
}

#[test]
fn the_body_is_wanted_when_code_mentions_it() {
    assert!(!plugin(json!({"access": ["return 1"]})).wants_body());
    assert!(plugin(json!({"access": ["return kong.request.get_raw_body()"]})).wants_body());
}

#[test]
fn settings_without_code_with_bad_code_and_for_other_phases_are_refused() {
    let error = |settings| Bench::new().try_build("post-function", settings).err().unwrap();
    assert!(error(json!({})).contains("at least one of these fields must be non-empty: 'config.access'"));
    assert!(error(json!({"access": ["return ("]})).contains("unexpected symbol"));
    let other = error(json!({"body_filter": ["return 1"], "access": ["return 1"]}));
    assert!(other.contains("code for this phase is not available"), "{other}");
}
