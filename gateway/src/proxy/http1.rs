//! A client connection that speaks HTTP/1.x: one request after the other until one side has had enough.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use admin_api::Reason;

use super::downstream::{Announced, Downstream, Length, Start};
use super::headers::{self, After};
use super::rewind::Rewind;
use super::worker::Worker;
use super::{exchange, http2};
use crate::exchange::{Answer, Client, Exchange, Sent};
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::http::http1::decode::BodyDecoder;
use crate::http::http1::encode;
use crate::http::http1::framing::{self, Framing, FramingError};
use crate::http::http1::parse::{self, HeadError};
use crate::http::name::Name;
use crate::net::deadline::Deadline;
use crate::net::io::Io;
use crate::net::wire::{Piece, Wire, WireError};
use crate::overload::Level;

/// An unread request body up to this size is read and dropped to keep the connection.
const DRAINED: u64 = 64 << 10;
/// How long a connection that we close stays half-open, so that the client can read our answer, in milliseconds.
const LINGER_MS: u64 = 2_000;

/// One connection, and the exchange under way on it.
pub struct Http1 {
    worker: Rc<Worker>,
    wire: Wire,
    deadline: Deadline,
    version: Version,
    announced: Announced,
    body: BodyDecoder,
    /// The client waits for 100 Continue before it sends the body.
    waits_for_invitation: bool,
    wants_keep_alive: bool,
    framing: Framing,
    sent: Sent,
    after: After,
    requests: u32,
    opened_ms: u64,
    /// Byte counts of the wire when the exchange began.
    mark: (u64, u64),
}

/// Serves a connection to its end.
/// `deadline` is set to the end of the time for its first head.
pub async fn serve(worker: Rc<Worker>, io: Io, client: Client, deadline: Deadline) {
    let mut connection = Http1::new(&worker, io, deadline);
    loop {
        let (exchange, started_us, refused) = match connection.next_head().await {
            Ok((exchange, started_us)) => {
                let refused = connection.begin(&exchange.request);
                (exchange, started_us, refused)
            }
            Err(WireError::Head(HeadError::Http2)) if connection.requests == 0 => {
                let (io, ahead) = connection.wire.into_parts();
                // In a box: connections that speak HTTP/1.1 need not keep the room for it.
                return Box::pin(http2::serve(worker, Rewind::new(ahead, io), client)).await;
            }
            Err(error) => match front_end_answer(&error) {
                Some(answer) => {
                    let mut exchange = worker.blank_exchange();
                    // As in nginx, a line that is too long is not looked into.
                    if !matches!(error, WireError::Head(HeadError::LineTooLong)) {
                        parse::salvage(connection.wire.input(), &mut exchange.request);
                    }
                    (exchange, worker.now_us(), Some(connection.refuse(answer)))
                }
                None => break,
            },
        };
        exchange::run(&worker, &mut connection, &client, exchange, started_us, refused).await;
        if connection.after == After::Upgrade {
            return;
        }
        if connection.after == After::Close || !connection.drain().await {
            break;
        }
    }
    connection.close().await;
}

/// Tells a client that it speaks in clear to a port for TLS.
pub async fn refuse_clear_text(worker: Rc<Worker>, io: Io, client: Client, deadline: Deadline) {
    let mut connection = Http1::new(&worker, io, deadline);
    let Ok((exchange, started_us)) = connection.next_head().await else { return };
    let detail = "The plain HTTP request was sent to HTTPS port";
    let answer = connection.refuse(Answer::Page { status: 400, detail, reason: Reason::BadRequest });
    Box::pin(exchange::run(&worker, &mut connection, &client, exchange, started_us, Some(answer))).await;
    connection.close().await;
}

impl Http1 {
    fn new(worker: &Rc<Worker>, io: Io, deadline: Deadline) -> Http1 {
        Http1 {
            worker: Rc::clone(worker),
            wire: Wire::new(io),
            deadline,
            version: Version::Http11,
            announced: Announced::Nothing,
            body: BodyDecoder::Done,
            waits_for_invitation: false,
            wants_keep_alive: true,
            framing: Framing::None,
            sent: Sent::default(),
            after: After::KeepAlive,
            requests: 0,
            opened_ms: worker.deadlines.now_ms(),
            mark: (0, 0),
        }
    }

    /// Makes an answer the last one.
    fn refuse(&mut self, answer: Answer) -> Answer {
        self.announced = Announced::Nothing;
        self.body = BodyDecoder::Done;
        self.wants_keep_alive = false;
        answer
    }

    /// Waits for the next request and reads its head. Gives it and the time of its first byte.
    async fn next_head(&mut self) -> Result<(Box<Exchange>, u64), WireError> {
        let timeouts = self.worker.settings.timeouts;
        self.wire.shrink();
        self.mark = (self.wire.bytes_in - self.wire.input().len() as u64, self.wire.bytes_out);
        // The first head has what is left of its time since the connection was accepted.
        let first = self.requests == 0;
        let mut started_us = self.wire.has_input().then(|| self.worker.now_us());
        if !first {
            let begun = started_us.is_some();
            self.deadline.set(if begun { timeouts.head_ms } else { timeouts.keep_alive_ms });
        }
        let limits = self.worker.settings.head_limits;
        // Not before there is something to put into it: who is silent keeps none.
        let mut exchange = None;
        let result = poll_fn(|context| {
            let mut scratch = self.worker.scratch.borrow_mut();
            let parse = |bytes: &[u8]| {
                // A client that knows we speak HTTP/2 begins with its preface (RFC 9113 §3.3).
                if bytes.starts_with(b"PRI * HTTP/2.0\r\n") {
                    return Err(HeadError::Http2);
                }
                let exchange = exchange.get_or_insert_with(|| self.worker.blank_exchange());
                parse::request(bytes, &mut exchange.request, &limits)
            };
            let polled = self.wire.poll_head(context, &mut scratch, &self.deadline, parse);
            if polled.is_pending() && started_us.is_none() {
                if self.wire.has_input() {
                    started_us = Some(self.worker.now_us());
                    if first {
                        self.deadline.begun();
                    } else {
                        self.deadline.set(timeouts.head_ms);
                    }
                } else if !first && self.worker.drains() {
                    return Poll::Ready(Err(WireError::Closed));
                }
            }
            polled
        })
        .await;
        match result {
            Ok(()) => {
                let exchange = exchange.unwrap_or_else(|| self.worker.blank_exchange());
                Ok((exchange, started_us.unwrap_or_else(|| self.worker.now_us())))
            }
            // Nobody has asked anything, so nobody is told.
            Err(WireError::TimedOut) if !self.wire.has_input() => Err(WireError::Closed),
            Err(error) => Err(error),
        }
    }

    /// Takes the framing and the wishes of a new request; gives the answer when it must be refused.
    fn begin(&mut self, head: &RequestHead) -> Option<Answer> {
        self.requests += 1;
        self.version = head.version;
        self.after = After::KeepAlive;
        self.sent = Sent::default();
        let fields = &head.fields;
        self.wants_keep_alive = match head.version {
            Version::Http10 => headers::connection_lists(fields, b"keep-alive"),
            _ => !fields.contains(Name::Connection) || !headers::connection_lists(fields, b"close"),
        };
        let expects =
            fields.get(Name::Expect).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        self.waits_for_invitation = expects && head.version == Version::Http11;
        match framing::of_request(head) {
            Ok(framing) => {
                self.announced = match framing {
                    Framing::None => Announced::Nothing,
                    Framing::Length(length) => Announced::Known(length),
                    _ => Announced::Unknown,
                };
                self.body = BodyDecoder::new(framing);
                None
            }
            Err(FramingError::Coding) => {
                Some(self.refuse(Answer::Page { status: 501, detail: "", reason: Reason::BadRequest }))
            }
            Err(_) => Some(self.refuse(Answer::FrontEnd { status: 400, reason: Reason::BadRequest })),
        }
    }

    /// Reads what is left of a request's body, within bounds. Says whether the connection can go on.
    async fn drain(&mut self) -> bool {
        if self.body.is_done() {
            return true;
        }
        self.deadline.set(self.worker.settings.timeouts.body_ms);
        let mut left = DRAINED;
        poll_fn(|context| {
            let mut scratch = self.worker.scratch.borrow_mut();
            loop {
                match self.wire.poll_body(context, &mut scratch, &self.deadline, &mut self.body) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(piece)) if piece.done => return Poll::Ready(true),
                    Poll::Ready(Ok(piece)) if piece.payload as u64 <= left => left -= piece.payload as u64,
                    Poll::Ready(_) => return Poll::Ready(false),
                }
            }
        })
        .await
    }

    /// Ends the connection so that the client can still read what was sent: a reset would take it away.
    async fn close(&mut self) {
        self.deadline.set(LINGER_MS);
        let flushed = poll_fn(|context| self.wire.poll_flush(context, &self.deadline)).await;
        let unread = !self.body.is_done() || self.wire.has_input();
        // Where nothing is unread the end of the socket says all, but TLS has a word of its own for it.
        if flushed.is_err() || (!unread && matches!(self.wire.io(), Io::Tcp(_))) {
            return;
        }
        if poll_fn(|context| self.wire.poll_shutdown(context)).await.is_err() || !unread {
            return;
        }
        poll_fn(|context| {
            let mut scratch = self.worker.scratch.borrow_mut();
            loop {
                match self.wire.poll_raw(context, &mut scratch) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.deadline.check(context).is_ok() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    fn may_go_on(&self) -> bool {
        let limits = &self.worker.settings.connection_limits;
        let age_ms = self.worker.deadlines.now_ms().saturating_sub(self.opened_ms);
        self.wants_keep_alive
            && self.requests < limits.requests
            && age_ms < limits.age_ms
            && !self.worker.leaves()
            && self.worker.overload.level() == Level::Nothing
            && match (&self.body, self.announced) {
                (BodyDecoder::Done, _) => true,
                // A client that waits for an invitation may never send the body.
                _ if self.waits_for_invitation => false,
                (BodyDecoder::Length(left), _) => *left <= DRAINED,
                _ => true,
            }
    }
}

impl Downstream for Http1 {
    fn announced(&self) -> Announced {
        self.announced
    }

    fn body_done(&self) -> bool {
        self.body.is_done()
    }

    fn poll_body(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<Piece, WireError>> {
        self.wire.poll_body(context, scratch, &self.deadline, &mut self.body)
    }

    fn invite_body(&mut self, _: &mut Context<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.waits_for_invitation) {
            self.wire.output().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Ok(())
    }

    fn interim(&mut self, _: &mut Context<'_>, head: &ResponseHead) -> io::Result<()> {
        if self.version == Version::Http10 {
            return Ok(());
        }
        let out = self.wire.output();
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(encode::reason_phrase(head.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        headers::end_to_end_lines(out, &head.fields);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn start(&mut self, context: &mut Context<'_>, exchange: &Exchange, answer: Start<'_>) -> io::Result<()> {
        self.framing = match answer.length {
            Length::Known(length) => Framing::Length(length),
            Length::Unknown if self.version == Version::Http10 => Framing::UntilClose,
            Length::Unknown => Framing::Chunked,
            Length::Absent(_) => Framing::None,
        };
        self.after = if answer.upgrade {
            After::Upgrade
        } else if answer.close || self.framing == Framing::UntilClose || !self.may_go_on() {
            After::Close
        } else {
            After::KeepAlive
        };
        let announced = match answer.length {
            Length::Absent(Some(length)) => Framing::Length(length),
            _ => self.framing,
        };
        self.sent = Sent {
            content_length: answer.length.announced(),
            chunked: self.framing == Framing::Chunked,
            connection: Some(self.after.connection()),
            head_bytes: 0,
        };
        let (framing, after) = (self.framing, self.after);
        let out = self.wire.output();
        let before = out.len();
        headers::to_client(out, exchange, announced, after, answer.date);
        self.sent.head_bytes = (out.len() - before) as u64;
        if answer.complete && self.framing == Framing::Chunked {
            encode::body(self.wire.output(), framing, answer.first);
            return self.wire.end(context, framing, None);
        }
        self.wire.send(context, framing, answer.first)
    }

    fn send(&mut self, context: &mut Context<'_>, payload: &[u8]) -> io::Result<()> {
        self.wire.send(context, self.framing, payload)
    }

    fn end(&mut self, context: &mut Context<'_>, trailers: Option<&Fields>) -> io::Result<()> {
        self.wire.end(context, self.framing, trailers)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.wire.poll_flush(context, &self.deadline)
    }

    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // While a body is still to come, reading it tells.
        if self.body.is_done() { self.wire.poll_closed(context) } else { Poll::Pending }
    }

    fn abort(&mut self) {
        self.after = After::Close;
        self.body = BodyDecoder::Done;
        // Closing with an unfinished body tells; for a body that lasts until the close only a reset does.
        if self.framing == Framing::UntilClose {
            let _ = socket2::SockRef::from(self.wire.io().tcp()).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    fn wire(&mut self) -> Option<&mut Wire> {
        Some(&mut self.wire)
    }

    fn delivered(&self) -> u64 {
        self.wire.bytes_out
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    fn sent(&self) -> Sent {
        self.sent
    }

    fn transferred(&self) -> (u64, u64) {
        let read = self.wire.bytes_in - self.wire.input().len() as u64;
        (read.saturating_sub(self.mark.0), self.wire.bytes_out - self.mark.1)
    }
}

/// What a client is told whose request could not even be read; `None` when there is nobody to tell.
fn front_end_answer(error: &WireError) -> Option<Answer> {
    let (status, reason) = match error {
        WireError::Head(HeadError::LineTooLong) => (414, Reason::HeaderTooLarge),
        WireError::Head(HeadError::TooLarge | HeadError::TooMany) => (494, Reason::HeaderTooLarge),
        WireError::Head(HeadError::Version) => {
            return Some(Answer::Page { status: 505, detail: "", reason: Reason::BadRequest });
        }
        WireError::Head(_) => (400, Reason::BadRequest),
        WireError::TimedOut => (408, Reason::RequestTimeout),
        _ => return None,
    };
    Some(Answer::FrontEnd { status, reason })
}
