//! HTTP/2 towards clients: what becomes of it on the way to an HTTP/1.1 upstream, what is refused, and what an
//! attacker gets for his trouble.

use crate::support::client::get;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, End, Frames, GOAWAY, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame,
};
use crate::support::origin::{Act, Gate, OK, Origin};
use crate::support::soon;

/// Codes of RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 11;
const REFUSED_STREAM: u32 = 7;

/// A header block, in order.
fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    fields.into_iter().flat_map(|(name, value)| field(name, value)).collect()
}

fn pseudo(method: &str, path: impl AsRef<[u8]>) -> Vec<u8> {
    [
        field(":method", method),
        field(":scheme", "http"),
        field(":authority", "localhost"),
        field(":path", path),
    ]
    .concat()
}

/// An ordinary request with further headers.
fn with(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    [pseudo("GET", "/"), block(fields.iter().copied())].concat()
}

fn post_with(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    [pseudo("POST", "/p"), block(fields.iter().copied())].concat()
}

const HIDDEN: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A case: its name, its header block, its body, the block of its trailers, and whether it is to be refused.
type Case = (&'static str, Vec<u8>, Option<&'static [u8]>, Option<Vec<u8>>, bool);

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut refused = |name, block, body| cases.push((name, block, body, None, true));
    refused("a coding", post_with(&[(b"transfer-encoding", b"chunked")]), Some(b"x"));
    refused("a coding around a request", post_with(&[(b"transfer-encoding", b"chunked")]), Some(HIDDEN));
    refused("no length and a hidden request", post_with(&[(b"content-length", b"0")]), Some(HIDDEN));
    refused("a length above the body", post_with(&[(b"content-length", b"50")]), Some(b"hello"));
    refused("a length below the body", post_with(&[(b"content-length", b"2")]), Some(b"hello"));
    refused("a length and no body", post_with(&[(b"content-length", b"5")]), None);
    refused(
        "two lengths",
        post_with(&[(b"content-length", b"5"), (b"content-length", b"6")]),
        Some(b"hello"),
    );
    refused("a length with a sign", post_with(&[(b"content-length", b"+5")]), Some(b"hello"));
    for (name, value) in [
        (&b"connection"[..], &b"close"[..]),
        (b"keep-alive", b"5"),
        (b"proxy-connection", b"close"),
        (b"upgrade", b"websocket"),
    ] {
        refused("a line of HTTP/1", with(&[(name, value)]), None);
    }
    for value in [&b"a\r\nb: c"[..], b"a\nb", b"a\rb", b"a\0b", b"a\x01b", b"a\x7fb"] {
        refused("a control character in a value", with(&[(b"x", value)]), None);
    }
    for name in [&b"X-Upper"[..], b"x y", b"x:y", b"x\r\ny", b""] {
        refused("a name that is none", with(&[(name, b"v")]), None);
    }
    for path in [
        &b"/ HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled"[..],
        b"/a b",
        b"",
        b"foo",
        b"/a\0b",
        b"ftp://localhost/x",
        b"*",
    ] {
        refused("a path that is none", pseudo("GET", path), None);
    }
    for method in ["GET / HTTP/1.1\r\n", "G T", "", "A,B", "get"] {
        refused("a method that is none", pseudo(method, "/"), None);
    }
    let own = |fields: &[(&str, &str)]| block(fields.iter().copied());
    let line = [(":method", "GET"), (":scheme", "http"), (":path", "/")];
    refused("neither authority nor host", own(&line), None);
    refused("two hosts", own(&[&line[..], &[("host", "a"), ("host", "b")]].concat()), None);
    refused("two authorities", own(&[&line[..], &[(":authority", "a"), (":authority", "b")]].concat()), None);
    refused("two paths", own(&[&line[..], &[(":authority", "a"), (":path", "/b")]].concat()), None);
    refused("a status", own(&[&line[..], &[(":authority", "a"), (":status", "200")]].concat()), None);
    refused(
        "a pseudo-header behind a header",
        own(&[(":method", "GET"), (":scheme", "http"), ("x", "y"), (":path", "/"), (":authority", "a")]),
        None,
    );
    refused(
        "a scheme that is none",
        own(&[(":method", "GET"), (":scheme", "http://evil/?"), (":path", "/"), (":authority", "a")]),
        None,
    );
    for authority in ["a, b", "u@h", "a/b", "a b", "[::1", "a:99999"] {
        refused("an authority that is none", own(&[&line[..], &[(":authority", authority)]].concat()), None);
    }
    refused(
        "CONNECT with a path",
        own(&[(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "a:80")]),
        None,
    );
    refused("CONNECT", own(&[(":method", "CONNECT"), (":authority", "a:80")]), None);
    refused(
        "a protocol nobody offered",
        own(&[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ]),
        None,
    );
    let many: Vec<(String, &str)> = (0..200).map(|number| (format!("x-{number}"), "v")).collect();
    refused("two hundred headers", [pseudo("GET", "/"), block(many)].concat(), None);
    refused("a very long value", with(&[(b"x", &[b'v'; 12_000])]), None);
    refused("a very long path", pseudo("GET", format!("/{}", "a".repeat(9_000))), None);
    refused("a very long method", pseudo(&"A".repeat(33), "/"), None);
    refused("TRACE", pseudo("TRACE", "/"), None);

    let mut served = |name, block, body| cases.push((name, block, body, None, false));
    served("a request", with(&[]), None);
    served("a body", post_with(&[(b"content-length", b"5")]), Some(b"hello"));
    served("a body of unknown length", post_with(&[]), Some(b"hello"));
    served("a host and no authority", own(&[&line[..], &[("host", "localhost")]].concat()), None);
    served("a host that differs", with(&[(b"host", b"evil")]), None);
    served("cookies in crumbs", with(&[(b"cookie", b"a=1"), (b"cookie", b"b=2")]), None);
    served("a name with an underscore", with(&[(b"x_y", b"v")]), None);
    served("TE: trailers", with(&[(b"te", b"trailers")]), None);
    served("bytes beyond ASCII in a value", with(&[(b"x", b"\xe9\xff")]), None);
    // The library cuts it off before we see it.
    served("a fragment", pseudo("GET", "/x#f"), None);
    served("Expect", post_with(&[(b"expect", b"100-continue")]), Some(b"hello"));
    cases.push((
        "trailers that would frame and route",
        post_with(&[]),
        Some(b"hello"),
        Some(own(&[("content-length", "50"), ("host", "evil"), ("x-t", "1")])),
        false,
    ));
    // The library drops it, and no trailer of a request goes on.
    cases.push(("a path as trailer", post_with(&[]), Some(b"hello"), Some(own(&[(":path", "/b")])), false));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_is_canonical() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut wrong = Vec::new();
    for (name, block, body, trailers, refused) in cases() {
        origin.forget();
        let mut frames = Frames::connect(gateway.http()).await;
        match &trailers {
            None => frames.request(1, &block, body).await,
            Some(trailers) => {
                let head = frame(HEADERS, END_HEADERS, 1, &block);
                let data = frame(DATA, 0, 1, body.unwrap_or_default());
                let last = frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers);
                frames.send(&[head, data, last].concat()).await
            }
        };
        let end = frames.end_of(1).await;
        drop(frames);
        // An orderly request on another connection comes behind everything the case may have caused.
        assert_eq!(get(gateway.http(), "/behind").await.status, 200);
        let messages = origin.messages();
        let own: Vec<_> = messages.iter().filter(|message| message.target() != "/behind").collect();
        let faults: Vec<_> = messages.iter().flat_map(|message| &message.faults).collect();
        let complete = own.iter().filter(|message| message.complete).count();
        let hidden = messages.iter().any(|message| message.target() == "/smuggled");
        let as_wanted = if refused {
            end.is_refusal() && complete == 0
        } else {
            end == End::Answered(200, b"ok\n".to_vec()) && complete == 1
        };
        if !as_wanted || !faults.is_empty() || hidden {
            let lines: Vec<String> = own.iter().map(|message| message.line()).collect();
            wrong.push(format!("{name}: {end:?}, {complete} of {lines:?} upstream, {faults:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_decides_and_cookies_are_put_together() {
    let origin = Origin::start().await;
    let config = format!(
        "services: [{{name: up, url: 'http://{}', routes: [{{name: r, hosts: [localhost], preserve_host: true}}]}}]",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    let mut frames = Frames::connect(gateway.http()).await;
    let fields: &[(&[u8], &[u8])] = &[(b"host", b"evil"), (b"cookie", b"a=1"), (b"cookie", b"b=2")];
    frames.request(1, &with(fields), None).await;
    assert_eq!(frames.end_of(1).await, End::Answered(200, b"ok\n".to_vec()));
    let seen = origin.messages().remove(0);
    assert_eq!(
        (seen.all("host"), seen.all("cookie")),
        (vec!["localhost".to_owned()], vec!["a=1; b=2".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_doesnt_wait_for_the_body_is_not_followed_by_a_reset() {
    let gateway = DataPlane::start("services: []").await;
    for body_first in [true, false] {
        let mut frames = Frames::connect(gateway.http()).await;
        let head = frame(HEADERS, END_HEADERS, 1, &pseudo("POST", "/nowhere"));
        let body = frame(DATA, END_STREAM, 1, b"hello");
        if body_first {
            frames.send(&[head, body].concat()).await;
            assert!(matches!(frames.end_of(1).await, End::Answered(404, _)));
        } else {
            frames.send(&head).await;
            assert!(matches!(frames.end_of(1).await, End::Answered(404, _)));
            frames.send(&body).await;
        }
        // What comes for this stream before the answer to the next would be a reset.
        frames.request(3, &pseudo("GET", "/nowhere"), None).await;
        assert!(matches!(frames.end_of_watching(3, 1).await, End::Answered(404, _)));
    }
}

/// A gateway with a slow and a fast path, and a client that must be served whatever happens.
async fn fortress() -> (DataPlane, Origin, Gate) {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin = Origin::with(move |message| {
        let mut acts = vec![Act::ReadBody];
        if message.target() == "/slow" {
            acts.push(Act::Wait(opened.clone()));
        }
        acts.push(Act::Send(OK.to_vec()));
        acts
    })
    .await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    (gateway, origin, gate)
}

/// Sends the same bytes again and again until the connection is ended, or so often. Says how often.
async fn flood(frames: &mut Frames, most: usize, mut next: impl FnMut(usize) -> Vec<u8>) -> usize {
    for number in 0..most {
        if !frames.send(&next(number)).await {
            return number;
        }
    }
    most
}

/// The code of the GOAWAY that ends a connection, if it ends with one.
async fn farewell(frames: &mut Frames) -> Option<u32> {
    let mut code = None;
    while let Some(next) = frames.next().await {
        if next.kind == GOAWAY {
            code = Some(u32::from_be_bytes(next.payload[4..8].try_into().unwrap()));
        }
    }
    code
}

fn stream_id(number: usize) -> u32 {
    number as u32 * 2 + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let (gateway, origin, _gate) = fortress().await;
    let mut frames = Frames::connect(gateway.http()).await;
    let block = pseudo("GET", "/slow");
    flood(&mut frames, 20_000, |number| {
        let id = stream_id(number);
        let head = frame(HEADERS, END_HEADERS | END_STREAM, id, &block);
        [head, frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat()
    })
    .await;
    let code = farewell(&mut frames).await;
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    assert!(origin.messages().len() < 1_000, "{} requests went upstream", origin.messages().len());
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_us_take_them_back_end_the_connection() {
    let (gateway, _origin, _gate) = fortress().await;
    let mut frames = Frames::connect(gateway.http()).await;
    let block = pseudo("GET", "/slow");
    flood(&mut frames, 20_000, |number| {
        let id = stream_id(number);
        let head = frame(HEADERS, END_HEADERS | END_STREAM, id, &block);
        [head, frame(WINDOW_UPDATE, 0, id, &0_u32.to_be_bytes())].concat()
    })
    .await;
    farewell(&mut frames).await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_an_end_ends_the_connection() {
    let (gateway, _origin, _gate) = fortress().await;
    for piece in [&b""[..], &field("x", [b'v'; 1_000])] {
        let mut frames = Frames::connect(gateway.http()).await;
        frames.send(&frame(HEADERS, END_STREAM, 1, &pseudo("GET", "/"))).await;
        flood(&mut frames, 20_000, |_| frame(CONTINUATION, 0, 1, piece)).await;
        farewell(&mut frames).await;
    }
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_unpack_to_much_more_are_refused() {
    let (gateway, origin, _gate) = fortress().await;
    // An entry of the dynamic table (literal with indexing), and then thousands of references to it.
    for (value, references) in [(vec![b'v'; 4_000], 4_096), (Vec::new(), 16_000)] {
        let mut entry = field("x", &value);
        entry[0] = 0x40;
        let block = [pseudo("GET", "/"), entry, vec![0xbe; references]].concat();
        let mut frames = Frames::connect_with(gateway.http(), &[(4, 0)]).await;
        let (first, rest) = block.split_at(block.len().min(16_000));
        if rest.is_empty() {
            frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, first)).await;
        } else {
            frames.send(&frame(HEADERS, END_STREAM, 1, first)).await;
            frames.send(&frame(CONTINUATION, END_HEADERS, 1, rest)).await;
        }
        let end = frames.end_of(1).await;
        assert!(end.is_refusal(), "{end:?}");
    }
    assert!(origin.messages().is_empty());
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_allowed_are_refused() {
    let (gateway, origin, gate) = fortress().await;
    let mut frames = Frames::connect(gateway.http()).await;
    let block = pseudo("GET", "/slow");
    for number in 0..150 {
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream_id(number), &block)).await;
    }
    origin.until("a hundred requests", |seen| seen.messages.len() == 100).await;
    assert_eq!(frames.end_of(stream_id(120)).await, End::Reset(REFUSED_STREAM));
    gate.open();
    assert_eq!(frames.end_of(stream_id(50)).await, End::Answered(200, b"ok\n".to_vec()));
    assert_eq!(origin.messages().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_that_mean_nothing_end_the_connection_and_cost_others_nothing() {
    let (gateway, _origin, _gate) = fortress().await;
    let open = frame(HEADERS, END_HEADERS, 1, &pseudo("POST", "/p"));
    let floods: [(&str, Vec<u8>); 7] = [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("answers to pings", frame(PING, ACK, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("unknown frames", frame(0xbb, 0, 0, b"x")),
        ("empty data", frame(DATA, 0, 1, &[])),
    ];
    for (name, one) in floods {
        let mut frames = Frames::connect(gateway.http()).await;
        frames.send(&open).await;
        let many = one.repeat(100);
        // Nothing is read meanwhile, so a connection that answered each of them would stand still at some point.
        let flooding =
            tokio::spawn(async move { (flood(&mut frames, 10_000, |_| many.clone()).await, frames) });
        for _ in 0..20 {
            assert_eq!(gateway.get("/").await.status, 200, "during {name}");
        }
        let (taken, mut frames) = soon(name, flooding).await.unwrap();
        assert!(taken < 10_000, "{name} are taken for ever");
        let code = farewell(&mut frames).await;
        assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{name}: {code:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_more_frames_than_allowed_are_answered_with_the_reason() {
    let (gateway, _origin, _gate) = fortress().await;
    let mut frames = Frames::connect(gateway.http()).await;
    frames.send(&frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(900)).await;
    frames.request(1, &pseudo("GET", "/"), None).await;
    assert_eq!(frames.end_of(1).await, End::Answered(200, b"ok\n".to_vec()));
    // The answer entitles to some.
    frames.send(&frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(109)).await;
    frames.request(3, &pseudo("GET", "/"), None).await;
    assert_eq!(frames.end_of(3).await, End::Answered(200, b"ok\n".to_vec()));
    frames.send(&frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).repeat(500)).await;
    assert_eq!(farewell(&mut frames).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_streams_finish_and_takes_no_more() {
    let (gateway, origin, gate) = fortress().await;
    let mut frames = Frames::connect(gateway.http()).await;
    let mut idle = Frames::connect(gateway.http()).await;
    idle.request(1, &pseudo("GET", "/"), None).await;
    assert_eq!(idle.end_of(1).await, End::Answered(200, b"ok\n".to_vec()));
    frames.request(1, &pseudo("GET", "/slow"), None).await;
    origin.until("the slow request", |seen| seen.messages.len() == 2).await;
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(idle.end_of(3).await, End::Closed);
    gate.open();
    assert_eq!(frames.end_of(1).await, End::Answered(200, b"ok\n".to_vec()));
    assert_eq!(frames.end_of(3).await, End::Closed);
    soon("end of the gateway", stopping).await.unwrap();
}
