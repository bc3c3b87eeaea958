//! Clients that take and don't give: slow ones, silent ones, too many. They are sent away, and everybody else is
//! served meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use gateway::overload::Level;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::client::{Client, get};
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, WINDOW_UPDATE, field, frame};
use crate::support::origin::{Act, Origin, answer};
use crate::support::soon;

/// An upstream with a path whose answer is longer than all buffers.
async fn origin() -> Origin {
    Origin::with(|message| match &*message.target() {
        "/long" => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20);
            let body = vec![b'x'; 64 << 20];
            vec![Act::ReadBody, Act::Send(head.into()), Act::Send(body)]
        }
        _ => answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"),
    })
    .await
}

/// Sends a byte now and then until the other side has had enough.
async fn drip(client: &mut Client, byte: &[u8]) {
    soon("end of the connection", async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            if !client.try_send(byte).await {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_finish_a_head_is_sent_away() {
    let origin = origin().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--header-timeout", "1"]).await;
    let (http, https) = (gateway.http(), gateway.https());
    let beginnings: [(SocketAddr, &[u8]); 8] = [
        (http, b""),
        (http, b"P"),
        (http, b"GET / HTTP/1.1\r\nHost: a\r\nX: "),
        (http, b"\r\n\r\n\r\n"),
        (http, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (https, b""),
        (https, b"\x16"),
        (https, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ];
    let mut clients = Vec::new();
    for (address, bytes) in beginnings.into_iter().cycle().take(80) {
        let mut client = Client::connect(address).await;
        client.send(bytes).await;
        clients.push(client);
    }
    let (mut tls, _) = Client::connect_tls(https, None, "http/1.1").await.unwrap();
    tls.send("GET / HT").await;
    assert_eq!(gateway.get("/").await.status, 200);
    for mut client in clients {
        client.rest().await;
    }
    tls.rest().await;
    assert_eq!(gateway.get("/").await.status, 200);
    // One that never stops gets no further.
    let mut client = Client::connect(http).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    drip(&mut client, b"X").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_refused() {
    let origin = origin().await;
    for length in [50_000, 500_000] {
        let arguments = ["--body-timeout", "1", "--min-rate", "1000"];
        let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
        let mut client = Client::connect(gateway.http()).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
        drip(&mut client, b"x").await;
        assert_eq!(gateway.get("/").await.status, 200);
        assert!(
            origin
                .messages()
                .iter()
                .filter(|message| message.line().starts_with("POST"))
                .all(|post| !post.complete)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_slow_and_steady_is_served() {
    let origin = origin().await;
    let arguments = ["--body-timeout", "1", "--min-rate", "20"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 240\r\n\r\n").await;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..24 {
        pace.tick().await;
        client.send("0123456789").await;
    }
    assert_eq!(client.response().await.status, 200);
}

/// Steadily or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_takes_too_long_altogether_is_refused() {
    let origin = origin().await;
    for length in [50_000, 500_000] {
        let arguments = ["--request-timeout", "2", "--body-timeout", "1", "--min-rate", "1"];
        let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
        let mut client = Client::connect(gateway.http()).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
        drip(&mut client, b"0123456789").await;
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert!(origin.messages().iter().all(|message| message.complete || message.line().starts_with("POST")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_given_up() {
    let origin = origin().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--write-timeout", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the end of the answer", |seen| seen.ended == 1).await;
    assert_eq!(gateway.get("/").await.status, 200);
    let got = client.rest().await.len();
    assert!(got < 64 << 20, "all {got} bytes came");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_window_end_with_their_connection() {
    let origin = origin().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--write-timeout", "1"]).await;
    // No stream may be sent a byte of a body.
    let mut frames = Frames::connect_with(gateway.http(), &[(4, 0)]).await;
    let block =
        [field(":method", "GET"), field(":scheme", "http"), field(":authority", "a"), field(":path", "/")]
            .concat();
    for number in 0..50 {
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &block)).await;
    }
    while frames.next().await.is_some() {}
    assert_eq!(gateway.get("/").await.status, 200);
}

/// The window of an answer opens by a byte now and then.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_let_on_byte_by_byte_ends() {
    let origin = origin().await;
    let arguments = ["--write-timeout", "1", "--min-rate", "1000"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut frames = Frames::connect_with(gateway.http(), &[(4, 0)]).await;
    let block = [
        field(":method", "GET"),
        field(":scheme", "http"),
        field(":authority", "a"),
        field(":path", "/long"),
    ]
    .concat();
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    soon("end of the connection", async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while frames.send(&frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())).await {
            pace.tick().await;
        }
    })
    .await;
    origin.until("the end of the answer", |seen| seen.ended == 1).await;
    assert_eq!(gateway.get("/").await.status, 200);
}

/// The program itself, which may open few files.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn out_of_files_it_waits_for_some() {
    let origin = origin().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kong.yml");
    std::fs::write(&file, format!("_format_version: \"3.0\"\n{}", proxy_to(origin.address))).unwrap();
    let run = format!(
        "ulimit -n 64 && exec {} run --config {} --http 127.0.0.1:0 --https off --admin 127.0.0.1:0 --workers 1 \
         --access-log off",
        env!("CARGO_BIN_EXE_gateway"),
        file.display()
    );
    let mut program = tokio::process::Command::new("sh")
        .args(["-c", &run])
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut line_with = async |text: &str| loop {
        let line = soon(text, lines.next_line()).await.unwrap().expect("a line");
        if line.contains(text) {
            return line;
        }
    };
    let line = line_with("listening").await;
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let address: SocketAddr = address.trim_matches('"').parse().unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(Client::connect(address).await);
    }
    line_with("raise the limit of open files").await;
    drop(held);
    assert_eq!(get(address, "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_counted() {
    let origin = origin().await;
    let arguments = ["--workers", "1", "--max-connections", "4"];
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &arguments).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(gateway.http()).await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(client);
    }
    for _ in 0..3 {
        assert_eq!(Client::connect(gateway.http()).await.rest().await, b"");
    }
    let metrics = gateway.ask("GET", "/metrics", None).await.text();
    assert!(metrics.contains("limen_connections_refused_total 3"), "{metrics}");
    assert_eq!(clients[0].get("/").await.status, 200, "those who are in stay in");
    clients.pop();
    soon("a free place", async {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        loop {
            let mut client = Client::connect(gateway.http()).await;
            client.send(request).await;
            if client.maybe_response().await.is_some() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_of_memory_the_gateway_sheds_and_recovers() {
    let origin = origin().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let overload = gateway.overload();
    let mut client = Client::connect(gateway.http()).await;
    assert_eq!(client.get("/").await.status, 200);

    overload.set(Level::Requests);
    let refused = client.get("/").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(Client::connect(gateway.http()).await.rest().await, b"");
    assert_eq!(get(gateway.admin(), "/live").await.status, 200);

    overload.set(Level::KeepAlive);
    let mut client = Client::connect(gateway.http()).await;
    let last = client.get("/").await;
    assert_eq!((last.status, last.header("connection").as_deref()), (200, Some("close")));

    overload.set(Level::Nothing);
    let mut client = Client::connect(gateway.http()).await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_names_the_client_if_its_sender_may() {
    let origin = origin().await;
    let config = proxy_to(origin.address);
    let gateway = DataPlane::start_with(&config, &["--proxy-protocol"]).await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let version_2 = |family: u8, body: &[u8]| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
        bytes.push(family);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    };
    let ipv4 = [203, 0, 113, 9, 127, 0, 0, 1, 0x30, 0x39, 0, 80];
    for (header, address) in [
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 80\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 80\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (version_2(0x11, &ipv4), "203.0.113.9"),
    ] {
        origin.forget();
        let mut client = Client::connect(gateway.http()).await;
        client.send([&header[..], request].concat()).await;
        assert_eq!(client.response().await.status, 200, "{}", header.escape_ascii());
        assert_eq!(origin.messages()[0].all("x-forwarded-for"), [address]);
    }
    origin.forget();
    for header in [
        &b""[..],
        b"PROXY TCP4 203.0.113.7 127.0.0.1 12345\r\n",
        b"PROXY TCP4 a b 1 2\r\n",
        b"proxy TCP4 203.0.113.7 127.0.0.1 12345 80\r\n",
        &version_2(0x11, &ipv4[..5]),
    ] {
        let mut client = Client::connect(gateway.http()).await;
        client.send([header, request].concat()).await;
        assert_eq!(client.rest().await, b"", "{}", header.escape_ascii());
    }
    assert!(origin.messages().is_empty());

    let arguments = ["--proxy-protocol", "--trusted-ips", "10.0.0.0/8"];
    let gateway = DataPlane::start_with(&config, &arguments).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send([&b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 80\r\n"[..], request].concat()).await;
    assert_eq!(client.rest().await, b"", "a stranger speaks for others");
}
