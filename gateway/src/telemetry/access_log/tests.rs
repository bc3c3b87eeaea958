use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::exchange::{Client, RequestId, Try};
use crate::http::head::RequestHead;
use crate::http::name::Name;

/// 2026-11-28T21:31:08.25Z in microseconds.
const STARTED: u64 = 1_795_901_468_250_000;

fn exchange(target: &str) -> Exchange {
    let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    let mut request = RequestHead::default();
    request.set_method(b"GET");
    request.set_target(target.as_bytes());
    request.fields.append(Name::Host, "a.test");
    request.fields.append(Name::UserAgent, "curl/8 \"x\"\n");
    let client = Client::new(peer, "192.0.2.1:80".parse().unwrap());
    let mut exchange = Exchange::new(RequestId::random(), client, request, STARTED);
    exchange.response.status = 200;
    exchange.times.total_us = 1_500;
    exchange.times.response_bytes = 300;
    exchange.sent.head_bytes = 236;
    exchange
}

fn line(format: Format, exchange: &Exchange) -> String {
    let (mut text, mut out) = (Vec::new(), Vec::new());
    let row = Row::of(exchange, &mut text);
    assert!(Writer::new(format).line(&mut out, &row, &text).is_empty(), "all text belongs to the row");
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_of_text_is_kongs_and_stays_one_line() {
    let exchange = exchange("/a?b=c");
    assert_eq!(
        line(Format::Text, &exchange),
        format!(
            "192.0.2.7 - - [28/Nov/2026:21:31:08 +0000] \"GET /a?b=c HTTP/1.1\" 200 64 \"-\" \
             \"curl/8 \\x22x\\x22\\x0A\" kong_request_id: \"{}\"\n",
            exchange.id.as_str()
        )
    );
}

#[test]
fn a_request_that_was_not_understood_has_a_line_too() {
    let mut exchange = exchange("/");
    exchange.request.clear();
    exchange.response.status = 400;
    assert!(line(Format::Text, &exchange).contains("] \"-\" 400 64 \"-\" \"-\" kong_request_id: "));
}

#[test]
fn a_line_of_json_says_the_rest() {
    let mut exchange = exchange("/a");
    exchange.tries.push(Try {
        address: "10.0.0.1:80".parse().unwrap(),
        balancer_start_ns: 0,
        balancer_ns: 0,
        code: None,
        failed: false,
        status: Some(200),
    });
    exchange.times.upstream_us = Some(900);
    let line = line(Format::Json, &exchange);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "started_at": "2026-11-28T21:31:08.250000Z",
        "id": exchange.id.as_str(),
        "client": "192.0.2.7",
        "method": "GET",
        "host": "a.test",
        "target": "/a",
        "protocol": "HTTP/1.1",
        "tls": false,
        "status": 200,
        "reason": "proxied",
        "route": "",
        "service": "",
        "target_address": "10.0.0.1:80",
        "attempts": 1,
        "consumer": "",
        "total_us": 1500,
        "upstream_us": 900,
        "request_bytes": 0,
        "response_bytes": 300,
        "referer": "",
        "user_agent": "curl/8 \"x\"\n",
    });
    assert_eq!(value, expected);
    assert!(line.ends_with("}\n"));
}

fn start(file: &Path) -> AccessLogWriter {
    let settings = AccessLogSettings { format: Format::Text, file: Some(file.to_owned()) };
    AccessLogWriter::start(&settings, 2).unwrap()
}

#[tokio::test]
async fn lines_of_all_workers_are_written_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let writer = start(&file);
    let log = writer.log();
    let workers = [0, 1].map(|worker| {
        let log = Arc::clone(&log);
        std::thread::spawn(move || {
            for number in 0..500 {
                log.note(worker, &exchange(&format!("/{worker}/{number}")));
            }
        })
    });
    for worker in workers {
        worker.join().unwrap();
    }
    writer.finish(Duration::from_secs(30)).await;
    let text = std::fs::read_to_string(&file).unwrap();
    for worker in 0..2 {
        let start = format!("GET /{worker}/");
        let own = text.lines().filter_map(|line| line.split_once(&start)?.1.split(' ').next());
        let numbers: Vec<usize> = own.map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>(), "each once and in order");
    }
    assert_eq!(log.dropped(), 0);
}

#[tokio::test]
async fn a_writer_that_sleeps_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let writer = start(&file);
    let log = writer.log();
    for count in 1..=3 {
        tokio::time::timeout(Duration::from_secs(30), async {
            while !log.asleep.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            log.note(0, &exchange("/"));
            while std::fs::read_to_string(&file).unwrap().lines().count() < count {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a line is written within 30 s");
    }
    writer.finish(Duration::from_secs(30)).await;
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let log = AccessLog {
        trays: std::iter::repeat_with(Tray::default).take(1).collect(),
        asleep: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        lost: AtomicU64::new(2),
    };
    let exchange = exchange("/");
    for _ in 0..ROWS + 5 {
        log.note(0, &exchange);
    }
    assert_eq!(log.dropped(), 7);
}
