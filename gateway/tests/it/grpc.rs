//! gRPC: HTTP/2 on both sides, messages that flow both ways at once, and a status behind them.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, Channel};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::dataplane::DataPlane;
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, End, Frames, GOAWAY, HEADERS, PING, RST_STREAM, field, frame,
};
use crate::support::origin::Origin;
use crate::support::soon;

/// What the service was asked: method, path and headers of the last call, and how many connections there were.
#[derive(Clone, Default)]
struct Seen {
    connections: usize,
    calls: usize,
    path: String,
    headers: http::HeaderMap,
}

/// A service that sends every message back as it comes, and `grpc-status: 0` behind the last.
async fn service() -> (SocketAddr, watch::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = watch::channel(Seen::default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tell.send_modify(|seen| seen.connections += 1);
            let tell = tell.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request: hyper::Request<Incoming>| {
                    tell.send_modify(|seen| {
                        seen.calls += 1;
                        request.uri().path().clone_into(&mut seen.path);
                        seen.headers = request.headers().clone();
                    });
                    async { Ok::<_, Infallible>(echo(request.into_body())) }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (address, seen)
}

fn echo(mut body: Incoming) -> hyper::Response<Channel<Bytes, Infallible>> {
    let (mut sender, answer) = Channel::new(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data()
                && sender.send(Frame::data(data)).await.is_err()
            {
                return;
            }
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    hyper::Response::builder().header("content-type", "application/grpc").body(answer).unwrap()
}

fn call(path: &str) -> Vec<u8> {
    [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":authority", "grpc.test"),
        field(":path", path),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
        field("x-meta", "v"),
    ]
    .concat()
}

fn config(address: SocketAddr) -> String {
    format!(
        "services:\n\
         - name: g\n\
         \x20 host: {}\n\
         \x20 port: {}\n\
         \x20 protocol: grpc\n\
         \x20 routes: [{{name: g, paths: [/pkg.Service], protocols: [grpc, grpcs], strip_path: false}}]\n",
        address.ip(),
        address.port()
    )
}

/// The next frame with a payload of a stream, as its kind, flags and payload.
async fn next(frames: &mut Frames, stream: u32) -> (u8, u8, Vec<u8>) {
    loop {
        let frame = frames.next().await.expect("a frame");
        if frame.stream == stream && matches!(frame.kind, DATA | HEADERS) {
            return (frame.kind, frame.flags, frame.payload);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_flow_both_ways_and_the_status_comes_behind_them() {
    let (address, seen) = service().await;
    let gateway = DataPlane::start_with(&config(address), &["--workers", "1"]).await;
    let mut frames = Frames::connect(gateway.http()).await;
    for stream in [1, 3] {
        frames.send(&frame(HEADERS, END_HEADERS, stream, &call("/pkg.Service/Chat"))).await;
        frames.send(&frame(DATA, 0, stream, b"one")).await;
        assert_eq!(next(&mut frames, stream).await.0, HEADERS);
        assert_eq!(next(&mut frames, stream).await, (DATA, 0, b"one".to_vec()));
        frames.send(&frame(DATA, 0, stream, b"two")).await;
        assert_eq!(next(&mut frames, stream).await, (DATA, 0, b"two".to_vec()));
        frames.send(&frame(DATA, END_STREAM, stream, b"")).await;
        let (kind, flags, _) = next(&mut frames, stream).await;
        assert_eq!((kind, flags & END_STREAM), (HEADERS, END_STREAM), "the trailers");
    }
    let seen = seen.borrow().clone();
    assert_eq!((seen.calls, seen.connections, seen.path.as_str()), (2, 1, "/pkg.Service/Chat"));
    for (name, value) in [("x-meta", "v"), ("te", "trailers"), ("x-forwarded-host", "grpc.test")] {
        assert_eq!(seen.headers.get(name).unwrap(), value, "{name}");
    }
    for hidden in ["connection", "host", "transfer-encoding"] {
        assert!(seen.headers.get(hidden).is_none(), "{hidden}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_speaks_no_http2_is_502() {
    let origin = Origin::with(|_| vec![crate::support::origin::Act::Close]).await;
    let gateway = DataPlane::start(&config(origin.address)).await;
    let mut frames = Frames::connect(gateway.http()).await;
    frames.request(1, &call("/pkg.Service/Call"), Some(b"x")).await;
    let end = frames.end_of(1).await;
    assert!(matches!(end, End::Answered(0, _)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_comes_back_is_found_again() {
    let (address, mut seen) = service().await;
    let gateway = DataPlane::start_with(&config(address), &["--workers", "1"]).await;
    for round in 1..=3 {
        let mut frames = Frames::connect(gateway.http()).await;
        frames.request(1, &call("/pkg.Service/Call"), Some(b"x")).await;
        assert_eq!(frames.end_of(1).await, End::Answered(200, b"x".to_vec()));
        soon("the call", seen.wait_for(|seen| seen.calls == round)).await.unwrap();
    }
}

/// What a target does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Move {
    Answer,
    /// `REFUSED_STREAM`: nothing was done.
    Refuse,
    /// Any other reset: something may have been done.
    Reset,
    /// Says that the request before was the last, and closes.
    LeaveWithout,
    /// Says that this request is the last, and closes without an answer to it.
    LeaveAfter,
    /// Sends pings and nothing else.
    Flood,
}

/// A target that makes these moves one after another, the last again and again. Tells how many requests it has seen.
async fn target(moves: &'static [Move]) -> (SocketAddr, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut frames = Frames::accept(stream).await;
            while let Some(stream) = frames.next_request().await {
                let at = seen_before(&tell).min(moves.len() - 1);
                match moves[at] {
                    Move::Answer => {
                        let head = [vec![0x88], field("content-type", "application/grpc")].concat();
                        frames.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
                        let trailers = field("grpc-status", "0");
                        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers)).await;
                    }
                    Move::Refuse => {
                        frames.send(&frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes())).await;
                    }
                    Move::Reset => {
                        frames.send(&frame(RST_STREAM, 0, stream, &2_u32.to_be_bytes())).await;
                    }
                    Move::Flood => {
                        let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
                        while frames.send(&pings).await {}
                        break;
                    }
                    leave => {
                        let last = if leave == Move::LeaveAfter { stream } else { stream.saturating_sub(2) };
                        let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
                        frames.send(&frame(GOAWAY, 0, 0, &payload)).await;
                        break;
                    }
                }
            }
        }
    });
    (address, seen)
}

fn seen_before(tell: &watch::Sender<usize>) -> usize {
    let mut before = 0;
    tell.send_modify(|seen| {
        before = *seen;
        *seen += 1;
    });
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_has_not_looked_at_is_sent_again_and_nothing_else() {
    use Move::{Answer, Flood, LeaveAfter, LeaveWithout, Refuse, Reset};
    let answered = End::Answered(200, Vec::new());
    let failed = End::Answered(0, Vec::new());
    let cases: [(&str, &[Move], [&End; 2], usize); 6] = [
        ("refused once", &[Answer, Refuse, Answer], [&answered, &answered], 3),
        ("refused for ever", &[Answer, Refuse], [&answered, &failed], 7),
        ("reset", &[Answer, Reset, Answer], [&answered, &failed], 2),
        ("left before", &[Answer, LeaveWithout, Answer], [&answered, &answered], 3),
        ("left after", &[Answer, LeaveAfter, Answer], [&answered, &failed], 2),
        ("flooded", &[Flood, Answer], [&failed, &answered], 2),
    ];
    for (name, moves, ends, requests) in cases {
        let (address, seen) = target(moves).await;
        let gateway = DataPlane::start_with(&config(address), &["--workers", "1"]).await;
        let mut frames = Frames::connect(gateway.http()).await;
        for (stream, end) in [1, 3].into_iter().zip(ends) {
            frames.request(stream, &call("/pkg.Service/Call"), Some(b"x")).await;
            let without_text = match frames.end_of(stream).await {
                End::Answered(status, _) => End::Answered(status, Vec::new()),
                other => other,
            };
            assert_eq!(without_text, *end, "{name}, request {stream}");
        }
        assert_eq!(*seen.borrow(), requests, "{name}");
    }
}
