//! The clients: HTTP/1.1 over connections that are kept or new every time, and HTTP/2. They are strict: an answer is
//! good when status, length and mark are, and when the connection ends where it may.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::swaps::MARKS;
use super::{ANSWER, Tally};

/// Requests with one connection after the other, each kept for as long as the gateway keeps it.
pub(super) async fn kept(address: SocketAddr, tally: Rc<Tally>) {
    let request = format!("GET /r0/{ANSWER} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut connection = None;
    while tally.take() {
        let begun = Instant::now();
        let outcome = match connection.take() {
            Some(open) => exchange(open, &request).await,
            None => match connect(address).await {
                Ok(open) => exchange(open, &request).await,
                Err(error) => Err(error),
            },
        };
        let outcome = outcome.map(|kept| connection = kept);
        tally.over(begun, outcome);
    }
}

/// Requests with a connection each.
pub(super) async fn new_for_each(address: SocketAddr, tally: Rc<Tally>) {
    let request = format!("GET /r0/{ANSWER} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    while tally.take() {
        let begun = Instant::now();
        let outcome = match connect(address).await {
            Ok(open) => exchange(open, &request).await,
            Err(error) => Err(error),
        };
        tally.over(begun, outcome.map(drop));
    }
}

/// Requests over HTTP/2, one at a time.
pub(super) async fn http2(address: SocketAddr, tally: Rc<Tally>) {
    let mut sender = None;
    while tally.take() {
        let begun = Instant::now();
        let outcome = exchange_http2(address, &mut sender).await;
        if outcome.is_err() {
            sender = None;
        }
        tally.over(begun, outcome);
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let connection = TcpStream::connect(address).await.context("failed to connect")?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

/// One request and its answer. Gives the connection when it may be used again.
async fn exchange(mut connection: TcpStream, request: &str) -> anyhow::Result<Option<TcpStream>> {
    connection.write_all(request.as_bytes()).await.context("failed to send")?;
    let mut bytes = Vec::with_capacity(1 << 10);
    loop {
        let read = connection.read_buf(&mut bytes).await.context("failed to read")?;
        ensure!(read > 0, "the connection ended without an answer, after {} bytes", bytes.len());
        let mut lines = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut lines);
        let httparse::Status::Complete(length) = head.parse(&bytes).context("the answer is malformed")?
        else {
            continue;
        };
        if bytes.len() < length + ANSWER {
            continue;
        }
        let value = |name: &str| head.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name));
        let is =
            |name: &str, expected: &str| value(name).is_some_and(|line| line.value == expected.as_bytes());
        ensure!(
            is("content-length", &ANSWER.to_string()) && bytes.len() == length + ANSWER,
            "the answer has another length"
        );
        let marks = MARKS.iter().filter(|mark| value(mark).is_some()).count();
        judge(head.code.unwrap_or(0), marks)?;
        return Ok((!is("connection", "close")).then_some(connection));
    }
}

async fn exchange_http2(
    address: SocketAddr,
    kept: &mut Option<SendRequest<Empty<Bytes>>>,
) -> anyhow::Result<()> {
    let mut open = kept.take();
    if let Some(sender) = &mut open
        && sender.ready().await.is_err()
    {
        // It has ended between two requests, as it may.
        open = None;
    }
    let mut sender = if let Some(sender) = open {
        sender
    } else {
        let io = TokioIo::new(connect(address).await?);
        let (sender, connection) = handshake(TokioExecutor::new(), io).await.context("no handshake")?;
        tokio::spawn(connection);
        sender
    };
    let request = hyper::Request::get(format!("http://localhost/r0/{ANSWER}")).body(Empty::new())?;
    let answer = sender.send_request(request).await.context("HTTP/2: no answer")?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.context("HTTP/2: the body ended early")?.to_bytes();
    ensure!(body.len() == ANSWER, "HTTP/2: the answer has another length");
    let marks = MARKS.iter().filter(|mark| head.headers.contains_key(**mark)).count();
    judge(head.status.as_u16(), marks)?;
    *kept = Some(sender);
    Ok(())
}

fn judge(status: u16, marks: usize) -> anyhow::Result<()> {
    if status != 200 {
        bail!("the answer is {status}");
    }
    ensure!(marks == 1, "the answer bears the marks of {marks} configurations");
    Ok(())
}
