use uuid::Uuid;

use super::*;
use crate::exchange::Matched;
use crate::model::Route;
use crate::plugins::testing::{Bench, exchange};

/// Status, content type and body.
type Exit = (u16, Option<String>, String);

fn ask(settings: Value, target: &str, line: &str) -> Option<Exit> {
    let plugin = Bench::new().build("request-termination", settings);
    let mut exchange = exchange(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{line}\r\n"));
    match plugin.access(&mut exchange) {
        Flow::Next => None,
        Flow::Answer(Answer::Exit { status, content_type, body, reason: Reason::Answered }) => {
            Some((status, content_type.map(Cow::into_owned), String::from_utf8(body.to_vec()).unwrap()))
        }
        _ => unreachable!("it answers with an exit or not at all"),
    }
}

fn json_answer(status: u16, body: &str) -> Exit {
    (status, Some("application/json; charset=utf-8".to_owned()), body.to_owned())
}

#[test]
fn messages_bodies_and_statuses() {
    let ask = |settings| ask(settings, "/", "");
    assert_eq!(ask(json!({})), Some(json_answer(503, r#"{"message":"Service unavailable"}"#)));
    assert_eq!(ask(json!({"status_code": 404})), Some(json_answer(404, r#"{"message":"Not found"}"#)));
    let message = json!({"status_code": 403, "message": "so \"long\"/"});
    assert_eq!(ask(message), Some(json_answer(403, r#"{"message":"so \"long\"\/"}"#)));
    assert_eq!(ask(json!({"status_code": 200, "body": "hi\n"})), Some((200, None, "hi\n".to_owned())));
    let html = json!({"status_code": 451, "body": "<p>", "content_type": "text/html"});
    assert_eq!(ask(html), Some((451, Some("text/html".to_owned()), "<p>".to_owned())));
    for silent in [204, 302, 418] {
        assert_eq!(ask(json!({"status_code": silent})), Some((silent, None, String::new())));
    }
}

#[test]
fn with_a_trigger_only_requests_that_have_it_are_answered() {
    let settings = || json!({"trigger": "X-Stop", "status_code": 404});
    assert_eq!(ask(settings(), "/", ""), None);
    assert_eq!(ask(settings(), "/?x-stop=1", ""), None);
    assert!(ask(settings(), "/", "x-stop: 0\r\n").is_some());
    assert!(ask(settings(), "/?X-Stop", "").is_some());
}

#[test]
fn an_echo_tells_what_came_and_what_took_it() {
    let bench = Bench::new();
    let plugin = bench.build("request-termination", json!({"echo": true, "status_code": 404}));
    assert!(plugin.wants_body());
    let mut exchange = exchange("POST /re/x?y=1&y HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n");
    exchange.body = Some(Bytes::from_static(br#"{"n": 1}"#));
    exchange.matched = Some(Matched {
        index: 0,
        path: None,
        route: Arc::new(Route::new(Uuid::from_u128(1))),
        service: None,
        captures: vec!["/re/x".to_owned(), "x".to_owned()],
        named_captures: vec![("id".to_owned(), "x".to_owned())],
    });
    let Flow::Answer(Answer::Exit { body, .. }) = plugin.access(&mut exchange) else { unreachable!() };
    let echo: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(echo["message"], "Not found");
    assert_eq!(
        echo["request"],
        json!({
            "scheme": "http", "host": "a.test", "port": 18000, "method": "POST", "path": "/re/x",
            "headers": {"host": "a.test", "x-a": "b"}, "query": {"y": ["1", true]},
            "raw_body": "{\"n\": 1}", "body": {"n": 1},
            "uri_captures": {"named": {"id": "x"}, "unnamed": ["x"]},
        })
    );
    assert_eq!(echo["matched_route"]["id"], "00000000-0000-0000-0000-000000000001");
    assert!(echo.get("matched_service").is_none() && echo["kong"]["node_id"].is_string());
}

#[test]
fn settings_that_exclude_each_other_are_named() {
    let error = |settings| Bench::new().try_build("request-termination", settings).err().unwrap();
    assert!(
        error(json!({"message": "a", "body": "b"}))
            .contains("message cannot be used with content_type or body")
    );
    assert!(error(json!({"content_type": "a"})).contains("content_type requires a body"));
    assert!(
        error(json!({"echo": true, "body": "b"})).contains("echo cannot be used with content_type and body")
    );
}
