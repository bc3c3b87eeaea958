//! Upstreams that misbehave: what the client gets, that it can tell a cut answer from a whole one, and that nothing of
//! it is left for the next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Gate, Message, OK, Origin, answer};
use crate::support::soon;

/// Far more than all buffers hold.
const ALL: usize = 64 << 20;

/// What a client is to see.
#[derive(Debug, PartialEq)]
enum Want {
    /// Whole.
    Body(u16, &'static str),
    /// A refusal of the gateway's own.
    Status(u16),
    /// An answer that has begun and visibly not ended.
    Cut(u16),
}
use Want::{Body, Cut, Status};

fn send(bytes: impl AsRef<[u8]>) -> Act {
    Act::Send(bytes.as_ref().to_vec())
}

/// What the upstream does, by the path it is asked for.
fn fault(message: &Message) -> Vec<Act> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let mut acts = vec![Act::ReadBody];
    acts.extend(match message.target().trim_start_matches('/') {
        "reset-before" => vec![Act::Reset],
        "close-before" => vec![Act::Close],
        "close-in-head" => vec![send(format!("{ok}Content-Le")), Act::Close],
        "reset-in-body" => {
            vec![send(format!("{ok}Content-Length: 100000\r\n\r\n{}", "x".repeat(5_000))), Act::Reset]
        }
        "close-in-body" => {
            vec![send(format!("{ok}Content-Length: 100000\r\n\r\n{}", "x".repeat(5_000))), Act::Close]
        }
        "close-in-chunks" => {
            vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")), Act::Close]
        }
        "no-end-of-chunks" => {
            vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")), Act::Close]
        }
        "bad-chunk" => vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"))],
        "more-than-said" => vec![send(format!("{ok}Content-Length: 5\r\n\r\nhello{}", "y".repeat(50)))],
        "two-answers" => vec![send([OK, OK].concat())],
        "length-and-chunked" => {
            vec![send(format!(
                "{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            ))]
        }
        "two-lengths" => vec![send(format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"))],
        "odd-length" => vec![send(format!("{ok}Content-Length: +5\r\n\r\nhello"))],
        "odd-coding" => vec![send(format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"))],
        "endless-head" => vec![send(format!("{ok}{}", "X-A: b\r\n".repeat(200_000)))],
        "many-lines" => vec![send(format!("{ok}{}Content-Length: 0\r\n\r\n", "X-A: b\r\n".repeat(300)))],
        "long-line" => vec![send(format!("{ok}X-A: {}\r\nContent-Length: 2\r\n\r\nhi", "b".repeat(7_000)))],
        "nul-in-head" => vec![send(format!("{ok}X: a\0b\r\nContent-Length: 2\r\n\r\nhi"))],
        "cr-in-head" => vec![send(format!("{ok}X: a\rb\r\nContent-Length: 2\r\n\r\nhi"))],
        "folded" => vec![send(format!("{ok}X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"))],
        "blank-before-colon" => vec![send(format!("{ok}Content-Length : 2\r\n\r\nhi"))],
        "no-http" => vec![send("this is not http\r\n\r\n"), Act::Close],
        "old-http" => vec![send("hello"), Act::Close],
        "status-of-two-digits" => vec![send("HTTP/1.1 20 OK\r\n\r\n"), Act::Close],
        "status-99" => vec![send("HTTP/1.1 099 OK\r\n\r\n"), Act::Close],
        "http2-answer" => vec![send("HTTP/2.0 200 OK\r\n\r\n"), Act::Close],
        "unasked-upgrade" => vec![send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")],
        "interim-flood" => vec![send(format!(
            "{}{}",
            "HTTP/1.1 102 Processing\r\n\r\n".repeat(2_000),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        ))],
        "some-interim" => vec![send(format!(
            "{}{ok}Content-Length: 2\r\n\r\nhi",
            "HTTP/1.1 102 Processing\r\n\r\n".repeat(5)
        ))],
        "no-content-with-body" => vec![send("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello")],
        "until-close" => vec![send(format!("{ok}\r\nhello")), Act::Close],
        "until-close-1.0" => vec![send("HTTP/1.0 200 OK\r\n\r\nhello"), Act::Close],
        "says-close" => vec![send(format!("{ok}Connection: close\r\nContent-Length: 5\r\n\r\nhello"))],
        "empty-chunked" => vec![send(format!("{ok}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))],
        "500" => vec![send("HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nown")],
        _ => vec![send(OK)],
    });
    acts
}

const CASES: &[(&str, Want)] = &[
    ("reset-before", Status(502)),
    ("close-before", Status(502)),
    ("close-in-head", Status(502)),
    ("reset-in-body", Cut(200)),
    ("close-in-body", Cut(200)),
    ("close-in-chunks", Cut(200)),
    ("no-end-of-chunks", Cut(200)),
    ("bad-chunk", Cut(200)),
    ("more-than-said", Body(200, "hello")),
    ("two-answers", Body(200, "ok\n")),
    ("length-and-chunked", Status(502)),
    ("two-lengths", Status(502)),
    ("odd-length", Status(502)),
    ("odd-coding", Status(502)),
    ("endless-head", Status(502)),
    ("many-lines", Status(502)),
    ("long-line", Body(200, "hi")),
    ("nul-in-head", Status(502)),
    ("cr-in-head", Status(502)),
    ("folded", Status(502)),
    ("blank-before-colon", Status(502)),
    ("no-http", Status(502)),
    ("old-http", Status(502)),
    ("status-of-two-digits", Status(502)),
    ("status-99", Status(502)),
    ("http2-answer", Status(502)),
    ("unasked-upgrade", Status(502)),
    ("interim-flood", Status(502)),
    ("some-interim", Body(200, "hi")),
    ("no-content-with-body", Body(204, "")),
    ("until-close", Body(200, "hello")),
    ("until-close-1.0", Body(200, "hello")),
    ("says-close", Body(200, "hello")),
    ("empty-chunked", Body(200, "")),
    ("500", Body(500, "own")),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_what_is_true_and_the_next_request_is_served() {
    let origin = Origin::with(fault).await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--workers", "1"]).await;
    let mut wrong = Vec::new();
    for (name, want) in CASES {
        for method in ["GET", "POST"] {
            origin.forget();
            let mut client = Client::connect(gateway.http()).await;
            client.send(format!("{method} /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
            let response = client.response().await;
            let body = response.text();
            let as_wanted = match want {
                Status(status) => {
                    response.status == *status && response.complete && body.contains("request_id")
                }
                Body(status, text) => response.status == *status && response.complete && body == *text,
                Cut(status) => response.status == *status && !response.complete,
            };
            if !as_wanted {
                let complete = if response.complete { "whole" } else { "cut" };
                wrong.push(format!(
                    "{method} {name}: wanted {want:?}, got {} {complete} {body:.80}",
                    response.status
                ));
            }
            if response.status == 204 && response.header("content-length").is_some() {
                wrong.push(format!("{method} {name}: a length where none may be"));
            }
            let attempts = origin.messages().len();
            if method == "POST" && attempts != 1 {
                wrong.push(format!("POST {name}: sent {attempts} times"));
            }
            for _ in 0..3 {
                let next = gateway.get("/fine").await;
                if (next.status, next.text().as_str()) != (200, "ok\n") {
                    wrong.push(format!("{method} {name}: afterwards {} {}", next.status, next.text()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_answers_without_a_body_say_the_length() {
    let origin = Origin::with(|_| answer("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")).await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = client.head_response().await;
    assert_eq!(response.header("content-length").as_deref(), Some("12345"));
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head_response().await.status, 200, "the connection goes on behind the head");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_can_tell_a_cut_answer_from_a_whole_one() {
    let origin = Origin::with(fault).await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET /until-close HTTP/1.0\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.text().as_str(), response.header("transfer-encoding")), ("hello", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_slows_the_upstream_down_and_not_the_memory() {
    let written = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counted = Arc::clone(&written);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4 << 10];
        let _ = stream.read(&mut head).await;
        let _ =
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {ALL}\r\n\r\n").as_bytes()).await;
        let piece = vec![b'x'; 64 << 10];
        while counted.load(Ordering::Relaxed) < ALL {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
            counted.fetch_add(piece.len(), Ordering::Relaxed);
        }
        let _ = stream.read(&mut head).await;
    });
    let gateway = DataPlane::start(&proxy_to(address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.response_head().await;
    // Reading nothing, wait until the upstream can write no more.
    let mut last = 0;
    soon("a standstill", async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = written.load(Ordering::Relaxed);
            if now == last {
                break;
            }
            last = now;
        }
    })
    .await;
    assert!(last < ALL / 2, "{last} bytes were taken for a client that reads nothing");
    let mut left = ALL;
    while left > 0 {
        let piece = left.min(1 << 20);
        client.bytes(piece).await;
        left -= piece;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_no_faster_than_the_upstream_takes_it() {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin = Origin::with(move |_| vec![Act::Wait(opened.clone()), Act::ReadBody, send(OK)]).await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {ALL}\r\n\r\n")).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..ALL / piece.len() {
            client.send(&piece).await;
            counted.fetch_add(piece.len(), Ordering::Relaxed);
        }
        client.response().await
    });
    let mut last = 0;
    soon("a standstill", async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = sent.load(Ordering::Relaxed);
            if now == last && now > 0 {
                break;
            }
            last = now;
        }
    })
    .await;
    assert!(last < ALL / 2, "{last} bytes were taken for an upstream that reads nothing");
    gate.open();
    let response = soon("the answer", sending).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(origin.messages()[0].body.len(), ALL);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_answer_nothing_are_not_asked_much_more_than_targets_that_do() {
    const REQUESTS: usize = 1_500;
    let origin = Origin::with(|_| vec![Act::Close]).await;
    let config = format!(
        "services: [{{name: up, url: 'http://{}', retries: 5, routes: [{{name: all, paths: [/]}}]}}]",
        origin.address
    );
    let gateway = DataPlane::start_with(&config, &["--workers", "1", "--max-retry-share", "20"]).await;
    let began = std::time::Instant::now();
    let mut client = Client::connect(gateway.http()).await;
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/").await.status, 502);
    }
    // A thousand were saved up, a fifth is earned by the requests, ten in each second by time.
    let by_time = 10 * (began.elapsed().as_secs() as usize + 2);
    let asked = origin.seen().messages.len();
    assert!(asked > REQUESTS + 1_000 && asked <= REQUESTS + 1_000 + REQUESTS / 5 + by_time, "{asked}");
}

/// Its backlog is full, so the kernel answers nobody.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_takes_no_connection_is_given_up_and_passed_over() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let silent = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    while let Ok(Ok(filler)) =
        tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(silent)).await
    {
        fillers.push(filler);
    }
    let origin = Origin::start().await;
    let config = |targets: &[std::net::SocketAddr]| {
        let targets: Vec<String> = targets.iter().map(|target| format!("{{target: '{target}'}},")).collect();
        format!(
            "services: [{{name: up, host: group, connect_timeout: 300, routes: [{{name: all, paths: [/]}}]}}]\n\
             upstreams: [{{name: group, targets: [{}]}}]",
            targets.concat()
        )
    };
    let gateway = DataPlane::start(&config(&[silent])).await;
    assert_eq!(gateway.get("/").await.status, 504);
    gateway.replace(&config(&[silent, origin.address])).await;
    let mut client = Client::connect(gateway.http()).await;
    for _ in 0..4 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
        assert_eq!(client.response().await.status, 200, "nothing was sent, so it may be tried elsewhere");
    }
    assert_eq!(origin.messages().len(), 4);
}

/// One after another they go, whatever they are doing, and come back.
#[tokio::test(flavor = "multi_thread")]
async fn targets_restart_in_turn_and_nobody_notices() {
    let mut origins = vec![Origin::start().await, Origin::start().await, Origin::start().await];
    let targets: Vec<String> =
        origins.iter().map(|origin| format!("{{target: '{}'}},", origin.address)).collect();
    let config = format!(
        "services: [{{name: up, host: group, routes: [{{name: all, paths: [/]}}]}}]\n\
         upstreams: [{{name: group, targets: [{}]}}]",
        targets.concat()
    );
    let gateway = DataPlane::start(&config).await;
    let (http, done) = (gateway.http(), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let done = Arc::clone(&done);
        clients.spawn(async move {
            let mut client = Client::connect(http).await;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(client.get("/").await.status, 200);
            }
        });
    }
    for _ in 0..3 {
        for _ in 0..3 {
            let next = origins.remove(0);
            next.until("traffic", |seen| seen.messages.len() >= 10).await;
            let address = next.address;
            next.end().await;
            origins.push(Origin::at(address));
        }
    }
    for origin in &origins {
        origin.until("traffic", |seen| seen.messages.len() >= 10).await;
    }
    done.store(true, Ordering::Relaxed);
    soon("end of the clients", clients.join_all()).await;
}
