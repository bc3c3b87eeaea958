//! The limits of one connection and one request: each has a flag, a default that is safe at the edge of a network, and an
//! effect. Slow clients and floods are in `exhaustion` and `http2`.

use clap::Parser;
use gateway::args::{Cli, Command};
use gateway::settings::Settings;

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::frames::{
    END_HEADERS, END_STREAM, End, Frames, GOAWAY, HEADERS, PING, SETTINGS, WINDOW_UPDATE, field, frame,
};
use crate::support::origin::{Act, Gate, OK, Origin};
use crate::support::soon;

fn settings(arguments: &[&str]) -> Result<Settings, String> {
    let Command::Run(arguments) = Cli::parse_from(["gateway", "run"].iter().chain(arguments)).command else {
        unreachable!("`run` was asked for")
    };
    Settings::new(*arguments)
}

#[test]
fn defaults_are_safe_at_the_edge() {
    let traffic = settings(&["--workers", "4"]).unwrap().traffic;
    let head = traffic.head_limits;
    assert_eq!((head.line, head.field, head.head, head.fields), (8 << 10, 8 << 10, 32 << 10, 100));
    let connection = traffic.connection_limits;
    assert_eq!((connection.requests, connection.age_ms, connection.open), (10_000, 3_600_000, 2_500));
    let time = traffic.timeouts;
    assert_eq!(
        (time.head_ms, time.body_ms, time.write_ms, time.keep_alive_ms),
        (10_000, 30_000, 30_000, 75_000)
    );
    // Uploads may take their time, at that rate.
    assert_eq!((time.request_ms, time.least_rate), (0, 64));
    assert_eq!((traffic.pool.idle, traffic.pool.idle_ms), (512, 55_000));
    let http2 = traffic.http2;
    assert_eq!((http2.streams, http2.stream_window, http2.connection_window), (100, 64 << 10, 1 << 20));
    assert_eq!((http2.pending_resets, http2.own_resets, http2.control_frames), (20, 500, 1_000));
    // A client that is gone is noticed within a minute.
    assert_eq!((http2.ping_interval + http2.ping_timeout).as_secs(), 60);
    assert_eq!(traffic.retry_share, 20);
}

#[test]
fn what_makes_no_sense_is_refused_by_its_flag() {
    for (flag, wrong) in [
        ("--max-request-line", "255"),
        ("--max-header-line", "1048577"),
        ("--max-header", "0"),
        ("--max-header-lines", "513"),
        ("--max-connections", "0"),
        ("--max-requests-per-connection", "0"),
        ("--max-connection-age", "0"),
        ("--max-streams", "0"),
        ("--stream-window", "65534"),
        ("--connection-window", "1000"),
        ("--max-control-frames", "0"),
        ("--ping-interval", "0"),
        ("--header-timeout", "0"),
        ("--body-timeout", "86401"),
        ("--request-timeout", "86401"),
        ("--write-timeout", "0"),
        ("--keep-alive-timeout", "0"),
        ("--upstream-idle-timeout", "0"),
        ("--max-retry-share", "1001"),
        ("--shed-at", "101"),
    ] {
        let error = settings(&[flag, wrong]).expect_err(flag);
        assert!(error.starts_with(&format!("{flag} {wrong}: expected")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_be_so_large() {
    let origin = Origin::start().await;
    let arguments = [
        ["--max-request-line", "300"],
        ["--max-header-line", "300"],
        ["--max-header", "1000"],
        ["--max-header-lines", "8"],
    ];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), arguments.as_flattened()).await;
    let get = |target: usize, lines: usize, length: usize| {
        let line = format!("X: {}\r\n", "v".repeat(length));
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n{}\r\n", "t".repeat(target), line.repeat(lines))
    };
    for (request, status) in [
        (get(250, 3, 200), 200),
        (get(300, 0, 0), 414),
        (get(1, 1, 300), 400),
        (get(1, 4, 250), 400),
        (get(1, 7, 1), 200),
        (get(1, 8, 1), 400),
    ] {
        let mut client = Client::connect(gateway.http()).await;
        client.send(&request).await;
        assert_eq!(client.response().await.status, status, "{request}");
    }
    assert_eq!(origin.messages().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_so_many_requests() {
    let origin = Origin::start().await;
    let arguments = ["--max-requests-per-connection", "3"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut client = Client::connect(gateway.http()).await;
    for expected in ["keep-alive", "keep-alive", "close"] {
        assert_eq!(client.get("/").await.header("connection").as_deref(), Some(expected));
    }
    assert_eq!(client.rest().await, b"");
    let mut frames = Frames::connect(gateway.http()).await;
    for stream in [1, 3, 5] {
        frames.request(stream, &get_block(), None).await;
        assert_eq!(frames.end_of(stream).await, End::Answered(200, b"ok\n".to_vec()));
    }
    until(&mut frames, GOAWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_grows_so_old() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--max-connection-age", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    while client.get("/").await.header("connection").as_deref() != Some("close") {}
    let mut frames = Frames::connect(gateway.http()).await;
    soon("farewell", async {
        for stream in (1..).step_by(2) {
            frames.request(stream, &get_block(), None).await;
            loop {
                match frames.next().await {
                    Some(next) if next.kind == GOAWAY => return,
                    Some(next) if next.stream == stream && next.flags & END_STREAM != 0 => break,
                    Some(_) => {}
                    None => panic!("it ended without a word"),
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_idles_so_long() {
    let origin = Origin::start().await;
    let arguments = ["--keep-alive-timeout", "1", "--upstream-idle-timeout", "1"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut client = Client::connect(gateway.http()).await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(client.rest().await, b"");
    let mut frames = Frames::connect(gateway.http()).await;
    frames.request(1, &get_block(), None).await;
    until(&mut frames, GOAWAY).await;
    origin.until("the end of what was kept for later", |seen| seen.ended == seen.connections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_to_a_target_are_kept() {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin =
        Origin::with(move |_| vec![Act::ReadBody, Act::Wait(opened.clone()), Act::Send(OK.to_vec())]).await;
    let arguments = ["--workers", "1", "--upstream-pool-size", "2"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(gateway.http()).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        clients.push(client);
    }
    origin.until("five connections", |seen| seen.connections == 5).await;
    gate.open();
    for mut client in clients {
        assert_eq!(client.response().await.status, 200);
    }
    origin.until("three of them closed", |seen| seen.ended == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_client_is_told_the_limits_and_asked_whether_it_is_there() {
    let origin = Origin::start().await;
    let arguments = [
        ["--max-streams", "7"],
        ["--stream-window", "70000"],
        ["--connection-window", "200000"],
        ["--ping-interval", "1"],
    ];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), arguments.as_flattened()).await;
    let mut frames = Frames::connect(gateway.http()).await;
    let told = until(&mut frames, SETTINGS).await;
    let setting = |number: u16| {
        let found = told.chunks(6).find(|pair| pair[..2] == number.to_be_bytes());
        found.map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    assert_eq!((setting(3), setting(4)), (Some(7), Some(70_000)));
    let window = until(&mut frames, WINDOW_UPDATE).await;
    assert_eq!(window, (200_000_u32 - 65_535).to_be_bytes());
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_block())).await;
    until(&mut frames, PING).await;
}

fn get_block() -> Vec<u8> {
    [field(":method", "GET"), field(":scheme", "http"), field(":authority", "a"), field(":path", "/")]
        .concat()
}

/// The payload of the next frame of a kind.
async fn until(frames: &mut Frames, kind: u8) -> Vec<u8> {
    loop {
        let next = frames.next().await.expect("a frame");
        if next.kind == kind {
            return next.payload;
        }
    }
}
