use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use smallvec::SmallVec;
use uuid::Uuid;

use super::*;
use crate::exchange::{ClientTls, Outcome, Sent, Times};
use crate::http::head::{RequestHead, ResponseHead};
use crate::model::{Route, RoutePath, Service};
use crate::plugins::testing::exchange;

/// An exchange that was proxied: `GET /l` on `a.test` from 127.0.0.1, answered 200 by the upstream.
fn proxied(request: &str) -> Record {
    let exchange = exchange(request);
    let mut response = ResponseHead::default();
    response.status = 200;
    response.fields.append("Content-Type", "text/plain");
    Record {
        id: exchange.id,
        client: exchange.client,
        target: exchange.request.target().to_vec(),
        request: exchange.request,
        response,
        matched: Some(matched()),
        consumer: None,
        credential: None,
        outcome: Outcome::default(),
        times: Times {
            started_us: 1_795_491_094_691_500,
            forwarded_us: Some(1_200),
            upstream_us: Some(41_900),
            earlier_attempts_us: 0,
            receive_us: 2_100,
            answered_us: 43_100,
            total_us: 46_300,
            request_bytes: 127,
            response_bytes: 253,
        },
        tries: SmallVec::from_iter([attempt(19_000)]),
        upstream_target: b"/p?a=1".to_vec(),
        correlation_id: None,
        sent: Sent { content_length: Some(3), connection: Some("keep-alive"), ..Sent::default() },
        trace: None,
    }
}

/// One that a plugin answered.
fn refused(status: u16) -> Record {
    let mut record = proxied("GET /l/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.response.status = status;
    record.outcome = Outcome {
        reason: Reason::RateLimited,
        source: Source::Exit,
        ended_by: Some("rate-limiting"),
        ..Outcome::default()
    };
    record.times.forwarded_us = None;
    record.times.upstream_us = None;
    record.times.receive_us = 0;
    record.tries.clear();
    record
}

fn matched() -> Matched {
    let (route, service) = (Uuid::from_u128(0xa), Uuid::from_u128(0xb));
    let route = Route {
        name: Some("logged".to_owned()),
        paths: Some(vec![RoutePath::parse("/l")]),
        service: Some(service),
        created_at: 1_795_491_094,
        updated_at: 1_795_491_095,
        ..Route::new(route)
    };
    let service = Service {
        name: Some("up".to_owned()),
        port: 19_000,
        tags: Some(vec!["t1".to_owned()]),
        created_at: 1_795_491_094,
        updated_at: 1_795_491_095,
        ..Service::new(service, "127.0.0.1")
    };
    Matched::whole(Arc::new(route), Some(Arc::new(service)))
}

fn attempt(port: u16) -> Try {
    Try {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        balancer_start_ns: 1_795_491_094_692_123_456,
        balancer_ns: 9_472,
        code: None,
        failed: false,
        status: Some(200),
    }
}

fn failed(port: u16, code: u16) -> Try {
    Try { code: Some(code), failed: true, status: None, ..attempt(port) }
}

fn text(record: &Record) -> String {
    let mut out = Vec::new();
    write(&mut out, record, &mut Entities::default());
    String::from_utf8(out).unwrap()
}

fn entry(record: &Record) -> Value {
    serde_json::from_str(&text(record)).unwrap()
}

#[test]
fn a_proxied_request_in_full() {
    let request = "GET /l/p?a=1&a=2&b&c=%20x HTTP/1.1\r\nHost: A.test:77\r\nUser-Agent: t\r\nX-Dup: 1\r\nx-dup: 2\r\n\
                   Authorization: Basic eDp5\r\nProxy-Authorization: x\r\nCookie: a=b\r\n\r\n";
    let record = proxied(request);
    let wanted = json!({
        "request": {
            "id": record.id.as_str(),
            "uri": "/l/p?a=1&a=2&b&c=%20x",
            "url": "http://a.test:18000/l/p?a=1&a=2&b&c=%20x",
            "method": "GET",
            "querystring": {"a": ["1", "2"], "b": true, "c": " x"},
            "headers": {
                "host": "A.test:77",
                "user-agent": "t",
                "x-dup": ["1", "2"],
                "authorization": "REDACTED",
                "proxy-authorization": "REDACTED",
                "cookie": "a=b",
            },
            "size": 127,
        },
        "upstream_uri": "/p?a=1",
        "upstream_status": "200",
        "response": {
            "status": 200,
            "headers": {"content-type": "text/plain", "content-length": "3", "connection": "keep-alive"},
            "size": 253,
        },
        "latencies": {"kong": 1, "proxy": 41, "request": 46, "receive": 2},
        "tries": [{
            "ip": "127.0.0.1",
            "port": 19000,
            "balancer_start": 1_795_491_094_692_u64,
            "balancer_start_ns": 1_795_491_094_692_123_456_u64,
            "balancer_latency": 0,
            "balancer_latency_ns": 9472,
        }],
        "route": {
            "id": "00000000-0000-0000-0000-00000000000a",
            "name": "logged",
            "protocols": ["http", "https"],
            "paths": ["/l"],
            "https_redirect_status_code": 426,
            "regex_priority": 0,
            "strip_path": true,
            "path_handling": "v0",
            "preserve_host": false,
            "request_buffering": true,
            "response_buffering": true,
            "service": {"id": "00000000-0000-0000-0000-00000000000b"},
            "created_at": 1_795_491_094,
            "updated_at": 1_795_491_095,
            "ws_id": "0dc6f45b-8f8d-40d2-a504-473544ee190b",
        },
        "service": {
            "id": "00000000-0000-0000-0000-00000000000b",
            "name": "up",
            "protocol": "http",
            "host": "127.0.0.1",
            "port": 19000,
            "retries": 5,
            "connect_timeout": 60000,
            "write_timeout": 60000,
            "read_timeout": 60000,
            "enabled": true,
            "tags": ["t1"],
            "created_at": 1_795_491_094,
            "updated_at": 1_795_491_095,
            "ws_id": "0dc6f45b-8f8d-40d2-a504-473544ee190b",
        },
        "client_ip": "127.0.0.1",
        "started_at": 1_795_491_094_691_u64,
        "source": "upstream",
        "workspace": "0dc6f45b-8f8d-40d2-a504-473544ee190b",
        "workspace_name": "default",
    });
    assert_eq!(entry(&record), wanted);
    let text = text(&record);
    assert!(text.contains(r#""uri":"\/l\/p?a=1"#) && text.contains(r#""paths":["\/l"]"#), "{text}");
}

#[test]
fn what_a_plugin_answered_has_its_route_and_no_tries() {
    let entry = entry(&refused(429));
    assert_eq!(entry["tries"], json!([]));
    assert_eq!(entry["latencies"], json!({"kong": 43, "proxy": -1, "request": 46, "receive": 0}));
    assert_eq!((&entry["upstream_status"], &entry["source"]), (&json!(""), &json!("kong")));
    assert_eq!((&entry["upstream_uri"], &entry["route"]["name"]), (&json!("/p?a=1"), &json!("logged")));
}

#[test]
fn without_a_route_there_is_no_route_service_and_tries() {
    let mut unmatched = refused(404);
    unmatched.matched = None;
    unmatched.upstream_target.clear();
    let mut redirected = refused(301);
    redirected.outcome.reason = Reason::HttpsRequired;
    redirected.upstream_target.clear();
    for record in [unmatched, redirected] {
        let entry = entry(&record);
        let absent = ["route", "service", "tries", "consumer", "authenticated_entity", "correlation_id"];
        assert!(absent.iter().all(|key| entry.get(key).is_none()), "{entry}");
        assert_eq!(entry["upstream_uri"], "");
    }
}

#[test]
fn a_route_without_a_service() {
    let mut record = refused(503);
    if let Some(matched) = &mut record.matched {
        matched.service = None;
        Arc::make_mut(&mut matched.route).service = None;
    }
    let entry = entry(&record);
    assert!(entry.get("service").is_none() && entry["route"].get("service").is_none());
    assert_eq!(entry["tries"], json!([]));
}

#[test]
fn a_consumer_shows_who_and_never_with_what() {
    let mut record = proxied("GET /k HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.credential = Some(Uuid::from_u128(5));
    record.consumer = Some(Arc::new(Consumer {
        id: Uuid::from_u128(6),
        username: Some("alice".to_owned()),
        custom_id: Some("c-1".to_owned()),
        tags: Some(vec!["gold".to_owned()]),
        created_at: 7,
        updated_at: 8,
        groups: vec!["g1".to_owned()],
        credentials: Vec::new(),
        origin: None,
    }));
    record.correlation_id = Some("mine#1".to_owned());
    let entry = entry(&record);
    let id = |last: char| format!("00000000-0000-0000-0000-00000000000{last}");
    assert_eq!(
        entry["consumer"],
        json!({"id": id('6'), "username": "alice", "custom_id": "c-1", "tags": ["gold"], "created_at": 7, "updated_at": 8})
    );
    assert_eq!(entry["authenticated_entity"], json!({"id": id('5')}));
    assert_eq!(entry["correlation_id"], "mine#1");
}

#[test]
fn failed_attempts_show_state_and_code() {
    let mut record = proxied("GET /pair HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.tries = SmallVec::from_iter([failed(19_009, 502), attempt(19_001)]);
    let shown = entry(&record);
    assert_eq!(shown["upstream_status"], "502, 200");
    assert_eq!((&shown["tries"][0]["state"], &shown["tries"][0]["code"]), (&json!("failed"), &json!(502)));
    assert!(shown["tries"][1].get("state").is_none() && shown["tries"][1].get("code").is_none());

    record.tries = SmallVec::from_iter([failed(19_009, 504), failed(19_009, 504)]);
    record.response.status = 504;
    record.outcome.source = Source::Error;
    let shown = entry(&record);
    assert_eq!((&shown["upstream_status"], &shown["source"]), (&json!("504, 504"), &json!("kong")));
}

#[test]
fn an_attempt_that_could_not_be_repeated_shows_the_answers_status() {
    let mut record = proxied("POST /post HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.tries[0].status = None;
    record.response.status = 502;
    let shown = entry(&record);
    assert_eq!(shown["upstream_status"], "502");
    assert!(shown["tries"][0].get("state").is_none());
}

#[test]
fn a_client_that_left_is_499_with_an_unknown_upstream_status() {
    let mut record = proxied("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.tries[0].status = None;
    record.response.clear();
    record.response.status = 499;
    record.sent = Sent::default();
    record.times.response_bytes = 0;
    let shown = entry(&record);
    assert_eq!(shown["upstream_status"], "-");
    assert_eq!(shown["response"], json!({"status": 499, "headers": {}, "size": 0}));
    assert_eq!(shown["source"], "upstream");
}

#[test]
fn a_request_that_could_not_be_read_is_an_empty_get() {
    let mut record = refused(400);
    record.request = RequestHead::default();
    record.target.clear();
    record.matched = None;
    let request = &entry(&record)["request"];
    assert_eq!((&request["method"], &request["uri"]), (&json!("GET"), &json!("")));
    assert_eq!((&request["url"], &request["headers"]), (&json!("http://kong:18000"), &json!({})));
}

#[test]
fn urls_of_absolute_targets_and_of_requests_without_a_host() {
    let cases = [
        ("GET http://o.test/a?x HTTP/1.1\r\nHost: a.test\r\n\r\n", "/a?x", "http://o.test:18000/a?x"),
        ("GET HTTP://O.test:81?x HTTP/1.1\r\nHost: a.test\r\n\r\n", "?x", "http://o.test:18000?x"),
        ("GET /l HTTP/1.0\r\n\r\n", "/l", "http://kong:18000/l"),
        ("GET /l HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "/l", "http://[::1]:18000/l"),
    ];
    for (request, uri, url) in cases {
        let shown = entry(&proxied(request));
        assert_eq!((&shown["request"]["uri"], &shown["request"]["url"]), (&json!(uri), &json!(url)));
    }
}

#[test]
fn an_encrypted_connection_shows_how() {
    let mut record = proxied("GET /l HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.client.tls = Some(Arc::new(ClientTls {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        server_name: Some("a.test".to_owned()),
    }));
    let request = &entry(&record)["request"];
    let tls = json!({"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "client_verify": "NONE"});
    assert_eq!((&request["tls"], &request["url"]), (&tls, &json!("https://a.test:18000/l")));
}

#[test]
fn odd_queries_and_headers_of_any_bytes_stay_one_line_of_json() {
    let mut record = proxied("GET /a?a&b=&=c&d=1&d=&d&e%5B%5D=1&%zz HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.request.fields.append(&b"X-Odd"[..], &b"\xff\x1b[31m\"\\\x7f"[..]);
    let shown = entry(&record);
    let wanted = json!({"a": true, "b": "", "d": ["1", "", true], "e[]": "1", "%zz": true});
    assert_eq!(shown["request"]["querystring"], wanted);
    assert_eq!(shown["request"]["headers"]["x-odd"], "\u{fffd}\u{1b}[31m\"\\\u{7f}");
    assert!(!text(&record).contains('\n'));
}

#[test]
fn no_more_than_a_hundred_arguments_and_header_lines_are_shown() {
    let query: Vec<String> = (0..120).map(|at| format!("k{at}=1")).collect();
    let mut record = proxied(&format!("GET /a?{} HTTP/1.1\r\nHost: a.test\r\n\r\n", query.join("&")));
    for at in 0..120 {
        record.request.fields.append(format!("h{at}").as_str(), "v");
    }
    let shown = entry(&record);
    let len = |value: &Value| value.as_object().unwrap().len();
    assert_eq!((len(&shown["request"]["querystring"]), len(&shown["request"]["headers"])), (100, 100));
}

#[test]
fn addresses_of_dual_stack_listeners_are_ipv4() {
    let mut record = proxied("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    record.client.address = "::ffff:10.1.2.3".parse().unwrap();
    assert_eq!(entry(&record)["client_ip"], "10.1.2.3");
}

#[test]
fn texts_of_entities_are_kept_until_nobody_else_has_them() {
    let mut entities = Entities::default();
    let (first, other) = (matched(), matched());
    let text = entities.route(&first.route);
    assert_eq!(entities.route(&first.route).as_ptr(), text.as_ptr(), "the same text, not an equal one");
    assert_ne!(entities.route(&other.route).as_ptr(), text.as_ptr());
    for _ in 0..10_000 {
        entities.route(&matched().route);
    }
    assert!(entities.routes_kept() <= 257, "{} texts kept", entities.routes_kept());
    assert_eq!(entities.route(&first.route).as_ptr(), text.as_ptr());
}
