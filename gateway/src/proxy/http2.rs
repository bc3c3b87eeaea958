//! A client connection that speaks HTTP/2, by hyper. Its streams are translated at the edge: behind this file
//! there is one kind of exchange.

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use admin_api::Reason;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::downstream::{Announced, Downstream, Length, Start};
use super::exchange;
use super::rewind::Rewind;
use super::worker::Worker;
use crate::exchange::{Answer, Client, Exchange, Sent};
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::http::http1::parse::HeadLimits;
use crate::http::name::{Name, NameSet};
use crate::net::deadline::Deadline;
use crate::net::http2::{Broken, Inflow, OnThisThread, Outgoing, Pipe, QUEUED};
use crate::net::metered::{Metered, Role};
use crate::net::wire::{Piece, Wire, WireError};

/// An unread request body is read and dropped up to this size and for this long, in milliseconds.
const DRAINED: u64 = 64 << 10;
const DRAINING_MS: u64 = 2_000;
/// How long a client may take to close after it was told to go and nothing is under way, in milliseconds.
const FAREWELL_MS: u64 = 5_000;

/// Lines that have no place in HTTP/2 (RFC 9113 §8.2.2).
const NOT_IN_HTTP2: NameSet = NameSet::of(&[
    Name::Connection,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::ContentLength,
]);

/// Serves a connection to its end.
pub async fn serve(worker: Rc<Worker>, io: Rewind, client: Client) {
    let client = Rc::new(client);
    let limits = &worker.settings.http2;
    let streams: Rc<Streams> = Rc::default();
    let mut builder = hyper::server::conn::http2::Builder::new(OnThisThread);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(worker.settings.head_limits.head as u32)
        .max_pending_accept_reset_streams(Some(limits.pending_resets))
        .max_local_error_reset_streams(Some(limits.own_resets))
        .max_send_buf_size(QUEUED)
        .keep_alive_interval(Some(limits.ping_interval))
        .keep_alive_timeout(limits.ping_timeout);
    let service = service_fn({
        let (worker, streams) = (Rc::clone(&worker), Rc::clone(&streams));
        move |request| respond(Rc::clone(&worker), Rc::clone(&client), Rc::clone(&streams), request)
    });
    let written = io.written();
    let io = Metered::new(io, Role::Server, limits.control_frames, Rc::clone(&worker.deadlines));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let deadline = worker.deadlines.register();
    let timeouts = worker.settings.timeouts;
    let opened_ms = worker.deadlines.now_ms();
    let is_used_up = |begun| {
        let limits = &worker.settings.connection_limits;
        begun >= limits.requests || worker.deadlines.now_ms().saturating_sub(opened_ms) >= limits.age_ms
    };
    let (mut mode, mut since, mut ending, mut told) = (Mode::Busy, 0, false, false);
    poll_fn(|context| {
        if let Poll::Ready(result) = connection.as_mut().poll(context) {
            if let Err(error) = result {
                tracing::debug!("an HTTP/2 connection ended: {error}");
            }
            return Poll::Ready(());
        }
        streams.watch(context);
        let next = streams.mode();
        if next != mode {
            mode = next;
            since = written.get();
            match mode {
                Mode::Busy => deadline.clear(),
                Mode::Delivering(_) => deadline.set(timeouts.write_ms),
                Mode::Idle if ending => deadline.set(FAREWELL_MS),
                Mode::Idle if streams.begun.get() > 0 => deadline.set(timeouts.keep_alive_ms),
                Mode::Idle => deadline.set(timeouts.head_ms),
            }
        }
        if deadline.check(context).is_err() {
            match mode {
                Mode::Delivering(_) if timeouts.suffices(written.get() - since, timeouts.write_ms) => {
                    since = written.get();
                    deadline.set(timeouts.write_ms);
                    context.waker().wake_by_ref();
                }
                Mode::Idle if !ending => ending = true,
                _ => return Poll::Ready(()),
            }
        } else if !ending && (worker.drains() || streams.stalled.get() || is_used_up(streams.begun.get())) {
            ending = true;
        } else {
            return Poll::Pending;
        }
        if ending && !told {
            told = true;
            // The next look sets the deadline that goes with it.
            mode = Mode::Busy;
            connection.as_mut().graceful_shutdown();
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Exchanges are under way, which have deadlines of their own.
    Busy,
    /// They are over, and the client has still to take the ends of so many answers.
    Delivering(usize),
    /// Without a stream the connection may idle for a while and is then told to go, as it is when we drain.
    Idle,
}

/// A connection's streams.
#[derive(Default)]
struct Streams {
    /// Exchanges under way.
    running: Cell<usize>,
    /// Bodies of answers that hyper has not sent completely.
    held: Cell<usize>,
    /// Exchanges that have begun.
    begun: Cell<u32>,
    /// The client takes nothing of an answer. hyper looks at no reset of ours while it waits for a window, so the
    /// connection has to go for the stream to go.
    stalled: Cell<bool>,
    /// The connection, which has to look when one of these changes.
    connection: RefCell<Option<Waker>>,
}

impl Streams {
    fn watch(&self, context: &Context<'_>) {
        let mut connection = self.connection.borrow_mut();
        if !connection.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *connection = Some(context.waker().clone());
        }
    }

    fn mode(&self) -> Mode {
        match (self.running.get(), self.held.get()) {
            (0, 0) => Mode::Idle,
            (0, held) => Mode::Delivering(held),
            _ => Mode::Busy,
        }
    }

    fn changed(&self) {
        if let Some(connection) = &*self.connection.borrow() {
            connection.wake_by_ref();
        }
    }
}

async fn respond(
    worker: Rc<Worker>,
    client: Rc<Client>,
    streams: Rc<Streams>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Outgoing<Held>>, Broken> {
    let started_us = worker.now_us();
    let mut exchange = worker.blank_exchange();
    let (parts, body) = request.into_parts();
    let refused = translate(parts, &mut exchange.request, &worker.settings.head_limits).err();
    let (answer, answered) = oneshot::channel();
    let guard = Leave::after_joining(Rc::clone(&streams));
    let stream = Stream {
        streams,
        announced: announced(&body, &exchange.request),
        incoming: Inflow::new(body),
        answer: Some(answer),
        pipe: Pipe::default(),
        deadline: worker.deadlines.register(),
        written: 0,
        sent: Sent::default(),
        aborted: false,
    };
    tokio::task::spawn_local(async move {
        let mut stream = stream;
        exchange::run(&worker, &mut stream, &client, exchange, started_us, refused).await;
        stream.drain(&worker).await;
        drop(guard);
    });
    // An exchange that ends without an answer resets the stream.
    answered.await.map_err(|_| Broken)
}

/// Counts an exchange as under way until it is dropped.
struct Leave(Rc<Streams>);

impl Leave {
    fn after_joining(streams: Rc<Streams>) -> Leave {
        streams.running.set(streams.running.get() + 1);
        streams.begun.set(streams.begun.get().saturating_add(1));
        Leave(streams)
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.changed();
    }
}

/// Counts an answer's body as held by hyper until it is dropped.
struct Held(Rc<Streams>);

impl Held {
    fn by(streams: Rc<Streams>) -> Held {
        streams.held.set(streams.held.get() + 1);
        Held(streams)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.set(self.0.held.get() - 1);
        self.0.changed();
    }
}

/// One stream with its exchange.
struct Stream {
    streams: Rc<Streams>,
    announced: Announced,
    incoming: Inflow,
    answer: Option<oneshot::Sender<hyper::Response<Outgoing<Held>>>>,
    pipe: Pipe,
    deadline: Deadline,
    written: u64,
    sent: Sent,
    /// The answer was broken off.
    aborted: bool,
}

/// Puts the request's head into our form; gives the answer when it must be refused. `:authority` decides; a Host line
/// beside it is dropped.
fn translate(parts: http::request::Parts, head: &mut RequestHead, limits: &HeadLimits) -> Result<(), Answer> {
    head.clear();
    head.version = Version::Http2;
    head.set_method(parts.method.as_str().as_bytes());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    head.set_target(target.as_bytes());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let host = authority.or_else(|| hosts.next().map(http::HeaderValue::as_bytes));
    if let Some(host) = host {
        head.fields.append(Name::Host, host);
    }
    if authority.is_none() && hosts.next().is_some() {
        return Err(Answer::FrontEnd { status: 400, reason: Reason::BadRequest });
    }
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        match *name {
            http::header::HOST => {}
            // Crumbs are put together again (RFC 9113 §8.2.3).
            http::header::COOKIE => {
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value.as_bytes());
            }
            _ => head.fields.append(name.as_str(), value.as_bytes()),
        }
    }
    if !cookies.is_empty() {
        head.fields.append("cookie", &cookies);
    }
    let too_large = |status| Answer::FrontEnd { status, reason: Reason::HeaderTooLarge };
    if target.len() + head.method_bytes().len() > limits.line {
        return Err(too_large(414));
    }
    // As they came, so that crumbs count one by one.
    let is_large = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + 2 > limits.field
    };
    if parts.headers.len() > limits.fields || parts.headers.iter().any(is_large) {
        return Err(too_large(494));
    }
    Ok(())
}

fn announced(body: &Incoming, head: &RequestHead) -> Announced {
    match crate::http::http1::framing::content_length(&head.fields) {
        Ok(Some(length)) => Announced::Known(length),
        _ if body.is_end_stream() => Announced::Nothing,
        _ => Announced::Unknown,
    }
}

impl Stream {
    /// Reads what is left of a request's body, within bounds. Letting go of it resets the stream, and there are clients
    /// that lose the answer over that, although it says that nothing is wrong.
    async fn drain(&mut self, worker: &Worker) {
        if self.aborted {
            return;
        }
        self.deadline.set(DRAINING_MS);
        let mut left = DRAINED;
        poll_fn(|context| {
            let mut scratch = worker.scratch.borrow_mut();
            while !self.incoming.is_done() {
                match self.incoming.poll(context, &mut scratch, &self.deadline) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(piece)) if !piece.done && piece.payload as u64 <= left => {
                        left -= piece.payload as u64;
                    }
                    Poll::Ready(_) => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Downstream for Stream {
    fn announced(&self) -> Announced {
        self.announced
    }

    fn body_done(&self) -> bool {
        self.incoming.is_done()
    }

    fn poll_body(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<Piece, WireError>> {
        // Trailers of requests are not passed on.
        self.incoming.poll(context, scratch, &self.deadline).map_ok(|piece| Piece { trailers: None, ..piece })
    }

    fn invite_body(&mut self, _: &mut Context<'_>) -> io::Result<()> {
        Ok(())
    }

    fn interim(&mut self, _: &mut Context<'_>, _: &ResponseHead) -> io::Result<()> {
        // hyper has no way to send one.
        Ok(())
    }

    fn start(&mut self, context: &mut Context<'_>, exchange: &Exchange, start: Start<'_>) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let status = http::StatusCode::from_u16(exchange.response.status).map_err(io::Error::other)?;
        let mut response = hyper::Response::builder().status(status);
        if let Some(date) = start.date {
            response = response.header(http::header::DATE, date);
        }
        for field in exchange.response.fields.iter() {
            if !NOT_IN_HTTP2.contains(field.id) {
                response = response.header(field.name, field.value);
            }
        }
        let length = match start.length {
            Length::Known(length) => Some(length),
            Length::Unknown => None,
            Length::Absent(_) => Some(0),
        };
        self.sent = Sent { content_length: start.length.announced(), ..Sent::default() };
        if let Some(announced) = self.sent.content_length {
            response = response.header(http::header::CONTENT_LENGTH, announced);
        }
        let body = self.pipe.outgoing(length, Held::by(Rc::clone(&self.streams)));
        let response = response.body(body).map_err(io::Error::other)?;
        self.answer.take().ok_or_else(gone)?.send(response).map_err(|_| gone())?;
        self.send(context, start.first)?;
        if start.complete { self.end(context, None) } else { Ok(()) }
    }

    fn send(&mut self, _: &mut Context<'_>, payload: &[u8]) -> io::Result<()> {
        self.written += payload.len() as u64;
        self.pipe.send(payload);
        Ok(())
    }

    fn end(&mut self, _: &mut Context<'_>, trailers: Option<&Fields>) -> io::Result<()> {
        self.pipe.end(trailers).map_err(io::Error::other)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.pipe.poll_flush(context, &self.deadline)
    }

    fn stalled(&mut self) {
        self.streams.stalled.set(true);
        self.streams.changed();
    }

    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.answer {
            Some(answer) => answer.poll_closed(context),
            None => self.pipe.poll_gone(context),
        }
    }

    fn abort(&mut self) {
        self.aborted = true;
        self.answer = None;
        self.pipe.abort();
    }

    fn wire(&mut self) -> Option<&mut Wire> {
        None
    }

    fn delivered(&self) -> u64 {
        self.pipe.taken()
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    fn sent(&self) -> Sent {
        self.sent
    }

    fn transferred(&self) -> (u64, u64) {
        (self.incoming.read, self.written)
    }
}
