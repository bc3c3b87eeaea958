//! What arrives on the wire, byte for byte: what must be refused, what must be served, and that nothing reaches an
//! upstream which two servers could read differently.
//!
//! Every case is sent twice, in one piece and byte by byte, with a further request behind it. A refusal ends the
//! connection, so that request must not be served then; and whatever the case, no request hidden in it may be.

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Gate, Message, OK, Origin, find};

/// What is to become of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    /// A status from 400 on, then the end of the connection; nothing goes upstream.
    Refused,
    /// So many requests are served, and the one behind them.
    Served(usize),
}
use Want::{Refused, Served};

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    want: Want,
    /// The case never ends by itself: there is no place for a request behind it.
    open: bool,
}

fn case(name: &'static str, bytes: impl AsRef<[u8]>, want: Want) -> Case {
    Case { name, bytes: bytes.as_ref().to_vec(), want, open: false }
}

fn open(name: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    Case { open: true, ..case(name, bytes, Refused) }
}

const POST: &str = "POST /p HTTP/1.1\r\nHost: localhost\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n";
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BEHIND: &str = "GET /behind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A request with a header line.
fn get(line: &str) -> String {
    format!("{GET}{line}\r\n\r\n")
}

/// A request with lines and a body.
fn post(lines: &str, body: &str) -> String {
    format!("{POST}{lines}\r\n\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked", body)
}

fn framing() -> Vec<Case> {
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", HIDDEN.len() + 5);
    vec![
        case(
            "length and chunked",
            post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nX"),
            Refused,
        ),
        case(
            "chunked and length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\nX"),
            Refused,
        ),
        case("both around a request", post(&both, &format!("0\r\n\r\n{HIDDEN}")), Refused),
        case("the same length twice", post("Content-Length: 5\r\nContent-Length: 5", "AAAAA"), Refused),
        case("two lengths", post("Content-Length: 5\r\nContent-Length: 6", "AAAAA"), Refused),
        case("a list of lengths", post("Content-Length: 5, 5", "AAAAA"), Refused),
        case("a length with a sign", post("Content-Length: +5", "AAAAA"), Refused),
        case("a negative length", post("Content-Length: -5", "AAAAA"), Refused),
        case("a length with an underscore", post("Content-Length: 5_0", &"A".repeat(50)), Refused),
        case("an empty length", post("Content-Length: ", ""), Refused),
        case("a length with zeros in front", post("Content-Length: 0005", "AAAAA"), Served(1)),
        case("a length beyond 64 bits", post("Content-Length: 18446744073709551616", "A"), Refused),
        case("a length with a blank", post("Content-Length: 5 5", "AAAAA"), Refused),
        case("a length with a letter", post("Content-Length: 5Z", "AAAAA"), Refused),
        case("a hexadecimal length", post("Content-Length: 0x5", "AAAAA"), Refused),
        case("a blank before the colon", post("Transfer-Encoding : chunked", "0\r\n\r\n"), Refused),
        case("an unknown coding", post("Transfer-Encoding: xchunked", "0\r\n\r\n"), Refused),
        case("an empty coding before chunked", post("Transfer-Encoding: ,chunked", "0\r\n\r\n"), Refused),
        case(
            "the same with a length",
            post("Transfer-Encoding: ,chunked\r\nContent-Length: 5", "0\r\n\r\n"),
            Refused,
        ),
        case("chunked twice in a line", post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), Refused),
        case(
            "chunked twice in two lines",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            Refused,
        ),
        case("another coding before chunked", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), Refused),
        case("identity", post("Transfer-Encoding: identity\r\nContent-Length: 5", "AAAAA"), Refused),
        case("chunked with a parameter", post("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"), Refused),
        case("chunked in other letters", post("Transfer-Encoding: Chunked", "0\r\n\r\n"), Served(1)),
        case("chunked in quotes", post("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), Refused),
        case(
            "a hard blank before chunked",
            [POST.as_bytes(), b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n"].concat(),
            Refused,
        ),
        case("a NUL behind chunked", post("Transfer-Encoding: chunked\0", "0\r\n\r\n"), Refused),
        case("a vertical tab before chunked", post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"), Refused),
        case("a folded coding", post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), Refused),
        case(
            "chunked in HTTP/1.0",
            "POST /p HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refused,
        ),
        case("a GET with a body", format!("{GET}Content-Length: 5\r\n\r\nAAAAA"), Served(1)),
        case(
            "a body that is a request",
            post(&format!("Content-Length: {}", HIDDEN.len()), HIDDEN),
            Served(1),
        ),
        case(
            "a nominated length",
            post("Connection: content-length\r\nContent-Length: 5", "AAAAA"),
            Served(1),
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let data = "AAAAA\r\n0\r\n\r\n";
    let sized = |size: &str| chunked(&format!("{size}\r\n{data}"));
    let ended = |end: &str| chunked(&format!("5\r\nAAAAA\r\n{end}"));
    vec![
        case("a chunk", sized("5"), Served(1)),
        case("a size in hex notation", sized("0x5"), Refused),
        case("a size with a sign", sized("+5"), Refused),
        case("a negative size", sized("-5"), Refused),
        case("a size with an underscore", sized("5_"), Refused),
        case("no size", chunked("\r\n0\r\n\r\n"), Refused),
        case("a blank behind the size", sized("5 "), Refused),
        case("a blank before the size", sized(" 5"), Refused),
        case("a size beyond 64 bits", sized(&format!("1{}", "0".repeat(16))), Refused),
        open("the largest size", chunked(&format!("{}\r\nA", "f".repeat(17)))),
        case("a size that is no number", sized("zz"), Refused),
        case("a size that ends with CR", chunked("5\rAAAAA\r\n0\r\n\r\n"), Refused),
        case("a size that ends with LF", chunked("5\nAAAAA\r\n0\r\n\r\n"), Refused),
        case("an empty extension", sized("5;"), Served(1)),
        case("an extension", sized("5;a=b"), Served(1)),
        case("LF in an extension", sized("5;a\nb"), Refused),
        case("CR in an extension", sized("5;a\rb"), Refused),
        case("CR CR before an extension", sized("5\r\r;a"), Refused),
        case("NUL in an extension", sized("5;a\0b"), Refused),
        case("an extension of 20 KiB", sized(&format!("5;{}", "a".repeat(20_000))), Refused),
        case("no end of a chunk", chunked("5\r\nAAAAA0\r\n\r\n"), Refused),
        case("a chunk longer than its size", chunked("3\r\nAAAAA\r\n0\r\n\r\n"), Refused),
        case("a chunk that ends with LF", chunked("5\r\nAAAAA\n0\r\n\r\n"), Refused),
        case("something behind the last chunk", ended("0\r\nXX\r\n\r\n"), Refused),
        case("a last chunk of zeros", ended("000\r\n\r\n"), Served(1)),
        case("a trailer", ended("0\r\nX-T: 1\r\n\r\n"), Served(1)),
        case("a length as trailer", ended("0\r\nContent-Length: 50\r\n\r\n"), Served(1)),
        case(
            "trailers that would route and authorise",
            ended("0\r\nHost: evil\r\nAuthorization: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"),
            Served(1),
        ),
        case("LF between trailers", ended("0\r\nX: a\nY: b\r\n\r\n"), Refused),
        case("a trailer without a colon", ended("0\r\nXYZ\r\n\r\n"), Refused),
        case("a blank before a trailer's colon", ended("0\r\nX : y\r\n\r\n"), Refused),
        case("trailers of 20 KiB", ended(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(20_000))), Refused),
    ]
}

fn lines() -> Vec<Case> {
    let many = (0..2_000).map(|number| format!("X-{number}: a\r\n")).collect::<Vec<_>>().concat();
    let large = (0..1_000)
        .map(|number| format!("X-{number}: {}\r\n", "a".repeat(1_000)))
        .collect::<Vec<_>>()
        .concat();
    let bytes = |line: &[u8]| [GET.as_bytes(), line, b"\r\n\r\n"].concat();
    vec![
        case("LF for all line ends", "GET / HTTP/1.1\nHost: localhost\n\n", Served(1)),
        case("LF behind the first line", "GET / HTTP/1.1\nHost: localhost\r\n\r\n", Served(1)),
        open("CR for all line ends", "GET / HTTP/1.1\rHost: localhost\r\r"),
        case("CR in a value", get("X: a\rY: b"), Refused),
        case("NUL in a name", get("X\0: a"), Refused),
        case("NUL in a value", get("X: a\0b"), Refused),
        case("a control character in a value", get("X: a\x01b"), Refused),
        case("DEL in a value", get("X: a\x7fb"), Refused),
        case("bytes beyond ASCII in a value", bytes(b"X: \xe9\xff"), Served(1)),
        case("letters beyond ASCII in a name", bytes(b"\xc3\xa9: a"), Refused),
        case("a blank before the colon of any line", get("X : a"), Refused),
        case("a tab before the colon", get("X\t: a"), Refused),
        case("a blank in a name", get("X Y: a"), Refused),
        case("no name", get(": a"), Refused),
        case("a colon and nothing else", get(":"), Refused),
        case("a line without a colon", get("XYZ"), Refused),
        case("a folded line", get("X: a\r\n b"), Refused),
        case("a blank before the first line", "GET / HTTP/1.1\r\n X: a\r\nHost: localhost\r\n\r\n", Refused),
        open("CR CR and more", format!("{GET}\r\rZ: a\r\n\r\n")),
        case("an empty line in front", format!("\r\n{GET}\r\n"), Served(1)),
        case("a hundred empty lines in front", format!("{}{GET}\r\n", "\r\n".repeat(100)), Served(1)),
        case("a very long name", get(&format!("{}: a", "X".repeat(70_000))), Refused),
        case("a very long value", get(&format!("X: {}", "a".repeat(70_000))), Refused),
        case("two thousand lines", format!("{GET}{many}\r\n"), Refused),
        case("a megabyte of lines", format!("{GET}{large}\r\n"), Refused),
    ]
}

fn heads() -> Vec<Case> {
    let host = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n");
    let odd = (1..=255).cycle().take(1_020).collect::<Vec<u8>>();
    vec![
        case("no Host", "GET / HTTP/1.1\r\n\r\n", Refused),
        case("an empty Host", host(""), Refused),
        case("the same Host twice", get("Host: localhost"), Refused),
        case("two Hosts", get("Host: evil"), Refused),
        case("a list of hosts", host("a, b"), Refused),
        case("a user in Host", host("a@b"), Refused),
        case("a path in Host", host("a/b"), Refused),
        case("a blank in Host", host("a b"), Refused),
        case("a port that is none", host("localhost:99999999"), Refused),
        case("a port of letters", host("localhost:x"), Refused),
        case("an IPv6 address", host("[::1]:80"), Served(1)),
        case("an IPv6 address that doesn't close", host("[::1"), Refused),
        case("a backslash in Host", host("a\\b"), Refused),
        case("NUL in Host", host("a\0.b"), Refused),
        case("an absolute target", line("GET http://localhost/x HTTP/1.1"), Served(1)),
        case("an absolute target of another host", line("GET http://other/x HTTP/1.1"), Served(1)),
        case("a user in the target", line("GET http://u:p@localhost/x HTTP/1.1"), Refused),
        case("an absolute target without Host", "GET http://localhost/x HTTP/1.1\r\n\r\n", Refused),
        case("an absolute target without a host", line("GET http:///x HTTP/1.1"), Refused),
        case("another scheme", line("GET ftp://localhost/x HTTP/1.1"), Refused),
        case("OPTIONS for the server", line("OPTIONS * HTTP/1.1"), Refused),
        case("GET for the server", line("GET * HTTP/1.1"), Refused),
        case("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", Refused),
        case("a host and port as target", line("GET localhost:80 HTTP/1.1"), Refused),
        case("a target without a slash", line("GET foo HTTP/1.1"), Refused),
        case("a fragment", line("GET /x#f HTTP/1.1"), Refused),
        case("a blank in the target", line("GET /a b HTTP/1.1"), Refused),
        case("two blanks", line("GET  / HTTP/1.1"), Refused),
        case("a tab", line("GET\t/ HTTP/1.1"), Refused),
        case("a blank in front", line(" GET / HTTP/1.1"), Refused),
        case("NUL in the target", line("GET /a\0b HTTP/1.1"), Refused),
        case("DEL in the target", line("GET /\x7f HTTP/1.1"), Refused),
        case(
            "bytes beyond ASCII in the target",
            "GET /\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Served(1),
        ),
        case(
            "bytes beyond ASCII in the query",
            "GET /?\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Served(1),
        ),
        case("a quote and brackets in the target", line("GET /\"<>?\"<> HTTP/1.1"), Served(1)),
        case("an encoded NUL", line("GET /a%00b HTTP/1.1"), Refused),
        case("an encoded line end", line("GET /a%0d%0aX:y HTTP/1.1"), Served(1)),
        case("a way up beyond the root", line("GET /a/../../etc/passwd HTTP/1.1"), Refused),
        case("a way up to the root", line("GET /a/../b HTTP/1.1"), Served(1)),
        case("an encoded way up", line("GET /a/%2e%2e/b HTTP/1.1"), Served(1)),
        case("two slashes", line("GET //a//b HTTP/1.1"), Served(1)),
        case("a long target", line(&format!("GET /{} HTTP/1.1", "a".repeat(7_900))), Served(1)),
        case("a target that is too long", line(&format!("GET /{} HTTP/1.1", "a".repeat(9_000))), Refused),
        case("a method in small letters", line("get / HTTP/1.1"), Refused),
        case("a quote in the method", line("G\"T / HTTP/1.1"), Refused),
        case("a method of 10 KB", line(&format!("{} / HTTP/1.1", "A".repeat(10_000))), Refused),
        case("a long method", line(&format!("{} / HTTP/1.1", "A".repeat(33))), Refused),
        case("a method nobody knows", line("BREW / HTTP/1.1"), Served(1)),
        case("TRACE", line("TRACE / HTTP/1.1"), Refused),
        case("HTTP/1.2", line("GET / HTTP/1.2"), Served(1)),
        case("HTTP/2.0", line("GET / HTTP/2.0"), Refused),
        case("HTTP/9.9", line("GET / HTTP/9.9"), Refused),
        case("a zero before the version", line("GET / HTTP/01.1"), Refused),
        case("half a version", line("GET / HTTP/1"), Refused),
        case("http in small letters", line("GET / http/1.1"), Refused),
        case("a blank behind the version", line("GET / HTTP/1.1 "), Refused),
        case("no version", "GET /\r\n\r\n", Refused),
        case("nonsense", odd, Refused),
    ]
}

fn connection() -> Vec<Case> {
    let three: String =
        ["/1", "/2", "/3"].map(|target| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).concat();
    vec![
        case("a nominated line", get("Connection: X-Secret\r\nX-Secret: 1"), Served(1)),
        case("a nominated Host", get("Connection: Host"), Served(1)),
        case("TE for this hop", get("TE: gzip\r\nConnection: TE"), Served(1)),
        case("three at once", three, Served(3)),
        case("one and then nonsense", format!("{GET}\r\nINVALID\r\n\r\n"), Refused),
        case(
            "Expect with the body behind it",
            post("Expect: 100-continue\r\nContent-Length: 5", "AAAAA"),
            Served(1),
        ),
        case("Upgrade without Connection", get("Upgrade: websocket"), Served(1)),
        case("Upgrade to something unknown", get("Connection: Upgrade\r\nUpgrade: foo"), Served(1)),
        case("an upgrade that is refused", get("Connection: Upgrade\r\nUpgrade: websocket"), Served(1)),
    ]
}

/// The statuses of the final answers in a stream of them.
fn statuses(mut bytes: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    while let Some(at) = find(bytes, b"HTTP/1.1 ") {
        bytes = &bytes[at + 9..];
        let status = std::str::from_utf8(&bytes[..3]).unwrap().parse().unwrap();
        if status >= 200 {
            found.push(status);
        }
    }
    found
}

async fn judge(gateway: &DataPlane, origin: &Origin, case: &Case, piecewise: bool) -> Result<(), String> {
    origin.forget();
    let mut client = Client::connect(gateway.http()).await;
    let mut bytes = case.bytes.clone();
    if !case.open {
        bytes.extend_from_slice(BEHIND.as_bytes());
    }
    if piecewise {
        for byte in bytes.chunks(1) {
            if !client.try_send(byte).await {
                break;
            }
        }
    } else {
        client.send(&bytes).await;
    }
    let answered = client.rest().await;
    let statuses = statuses(&answered);
    let messages = origin.messages();
    let faults: Vec<&String> = messages.iter().flat_map(|message| &message.faults).collect();
    let complete = messages.iter().filter(|message| message.complete).count();
    let reached = |target: &str| messages.iter().any(|message| message.target() == target);
    let told = || format!("answers {statuses:?}, upstream {messages:?}");
    if !faults.is_empty() {
        return Err(format!("forwarded {faults:?}"));
    }
    if reached("/smuggled") {
        return Err(format!("a hidden request was served: {}", told()));
    }
    match case.want {
        // A connection that is reset while bytes are still unread takes the answer with it.
        Refused => {
            let refused = statuses.last().is_none_or(|last| *last >= 400);
            let before = statuses.len().saturating_sub(1);
            let ok = refused && complete == before && !reached("/behind");
            if ok { Ok(()) } else { Err(told()) }
        }
        Served(count) => {
            let all = statuses.len() == count + 1 && statuses.iter().all(|status| *status == 200);
            if all && complete == count + 1 && reached("/behind") { Ok(()) } else { Err(told()) }
        }
    }
}

async fn check(cases: Vec<Case>) {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut wrong = Vec::new();
    for case in &cases {
        for piecewise in [false, true] {
            if piecewise && case.bytes.len() > 2_000 {
                continue;
            }
            if let Err(cause) = judge(&gateway, &origin, case, piecewise).await {
                let how = if piecewise { " byte by byte" } else { "" };
                wrong.push(format!("{}{how}: wanted {:?}: {cause}", case.name, case.want));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_a_body() {
    check(framing()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_bodies_and_trailers() {
    check(chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_their_limits() {
    check(lines()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_lines_and_hosts() {
    check(heads()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_meant_for_one_connection() {
    check(connection()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_is_served_and_the_connection_closed() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.rest().await;
    assert_eq!(statuses(&answer), [200]);
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection").as_deref()), (200, Some("keep-alive")));
    assert_eq!(origin.messages().iter().map(|message| message.faults.len()).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_found_bad_on_the_way_never_becomes_a_request() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    // Longer than what is held back, so the upstream has begun to receive it.
    let half = "A".repeat(100_000);
    client.send(chunked(&format!("186a0\r\n{half}\r\n"))).await;
    origin.until("the beginning of the request", |seen| seen.messages.len() == 1).await;
    client.send(format!("zz\r\n{HIDDEN}")).await;
    let answer = client.rest().await;
    assert_eq!(statuses(&answer), [400]);
    let seen = origin.until("the end of its connection", |seen| seen.ended == 1).await;
    assert_eq!((seen.messages.len(), seen.messages[0].complete), (1, false));
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(origin.seen().connections, 2, "what was cut off is not used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_desynchronises_nobody() {
    let gate = Gate::new();
    let origin = Origin::with({
        let gate = gate.clone();
        move |message| {
            if message.target() == "/early" {
                let refusal = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
                return vec![Act::Send(refusal.into()), Act::Wait(gate.clone()), Act::ReadBody];
            }
            vec![Act::ReadBody, Act::Send(OK.to_vec())]
        }
    })
    .await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--workers", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n").await;
    client.send(vec![b'x'; 200_000]).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection").as_deref()), (413, Some("close")));
    // The rest of the body looks like a request, and is none.
    client.send(HIDDEN).await;
    assert_eq!(client.rest().await, b"");
    gate.open();
    for _ in 0..3 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let seen = origin.seen();
    assert!(seen.messages.iter().all(|message| message.target() != "/smuggled"));
    assert!(
        seen.messages.iter().skip(1).all(|message| message.connection != 0),
        "a dirty connection was reused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_in_one_write_are_answered_in_order() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    let all: Vec<String> =
        (0..1_000).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
    client.send(all.concat()).await;
    for _ in 0..1_000 {
        assert_eq!(client.response().await.status, 200);
    }
    let targets: Vec<String> = origin.messages().iter().map(Message::target).collect();
    let wanted: Vec<String> = (0..1_000).map(|number| format!("/{number}")).collect();
    assert_eq!(targets, wanted);
}
