//! Sends a request to a target and brings back the head of its answer: attempts, retries, time limits.
//!
//! Everything happens in the client connection's own task. While the answer is awaited the request's body goes
//! on to the upstream, and a client that leaves is noticed.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use admin_api::Reason;
use bytes::Bytes;

use super::downstream::{Announced, Downstream};
use super::failure::{Failure, Progress};
use super::headers::{self, Onward};
use super::leg::Leg;
use super::upgrade;
use super::worker::Worker;
use crate::exchange::trace::Work;
use crate::exchange::{Exchange, Matched, Try};
use crate::http::head::{Method, ResponseHead, Version};
use crate::http::http1::framing::Framing;
use crate::http::name::Name;
use crate::model::Service;
use crate::net::wire::{Wire, WireError};
use crate::snapshot::{CompiledService, Place};
use crate::upstream::choose::{Chooser, NoTarget, Target, Tried};
use crate::upstream::connect;
use crate::upstream::http2::Call;
use crate::upstream::pool::{Connection, Destination};

/// A request body up to this size is read before a target is chosen: a slow client then costs no upstream
/// connection, and another attempt can send the body again.
const BUFFERED: usize = 64 << 10;
/// Interim answers passed on before the final one.
const MOST_INTERIM: u32 = 16;

/// An upstream that has begun to answer: its head is in `exchange.response`, the body still to come.
pub struct Answering {
    pub leg: Leg,
    /// The request's body still going out over it.
    pub sending: Sending,
    /// What its head says of the body's length, which is there also when the body is not.
    pub announced: Option<u64>,
    /// The connection may carry another request afterwards.
    pub reusable: bool,
    /// The upstream agreed to speak WebSocket.
    pub websocket: bool,
    /// Where the request went.
    pub service: Arc<Service>,
    /// When its head was there, in microseconds of Unix time.
    pub answered_us: u64,
    /// Busy until the exchange is over.
    _target: Target,
}

/// The request's body on its way to the upstream.
pub struct Sending {
    done: bool,
    /// The upstream takes no more; it may have answered already.
    refused: bool,
    /// Bytes that may still come before the request is too large.
    allowance: u64,
    /// Whom the deadline is for.
    waits_for: Side,
    /// What that side had moved when the deadline was set.
    since: u64,
    /// Bytes of the body that have come from the client.
    received: u64,
    /// When the request began, in the worker's milliseconds.
    began_ms: u64,
}

/// The side that has to do something next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Upstream,
}

/// What was read of the body before anything was sent.
struct Gathered {
    bytes: Bytes,
    framing: Framing,
    /// There is nothing more to come.
    complete: bool,
    /// When the request began, in the worker's milliseconds.
    began_ms: u64,
}

/// Brings the request to a target of the route's service.
///
/// # Errors
/// Why no target answered; attempts are in `exchange.tries`.
pub async fn request<D: Downstream>(
    worker: &Worker,
    exchange: &mut Exchange,
    service: &CompiledService,
    down: &mut D,
) -> Result<Answering, Failure> {
    let websocket = upgrade::wants_websocket(&exchange.request.fields);
    let gathered = gather(worker, exchange, down).await?;
    let index = worker.counters.index;
    service.budget.earn(index, worker.settings.retry_share);
    let mut tried = Tried::default();
    let mut left = service.service.retries;
    let mut last_failure = None;
    loop {
        let begun = worker.now_us();
        let mut target = match choose_target(worker, service, exchange, &mut tried).await {
            Ok(target) => target,
            // What the last attempt died of says more than that nobody is left.
            Err(failure) => return Err(last_failure.unwrap_or(failure)),
        };
        // Without a name to look up choosing takes no time worth a look at the clock.
        let chosen = if target.was_looked_up { worker.now_us() } else { begun };
        let balancer_us = chosen.saturating_sub(begun);
        let forwarded_us = exchange.elapsed_us(chosen);
        if let Some(before) = exchange.times.forwarded_us.replace(forwarded_us) {
            exchange.times.earlier_attempts_us += forwarded_us.saturating_sub(before);
        }
        exchange.tries.push(Try {
            address: target.address,
            balancer_start_ns: begun * 1_000,
            balancer_ns: balancer_us * 1_000,
            code: None,
            failed: false,
            status: None,
        });
        if let Some(trace) = &mut exchange.trace {
            let begun_ns = begun * 1_000;
            if target.was_looked_up {
                let what = Work::Lookup(Arc::clone(&target.host_header), target.address);
                trace.record(what, begun_ns, chosen * 1_000);
            }
            trace.begin_attempt(&target.host_header, begun_ns, &mut exchange.request.fields);
        }
        let mut attempt = Attempt {
            worker,
            service,
            gathered: &gathered,
            target: &target,
            websocket,
            reused: false,
            sent_before: 0,
        };
        let result = attempt.run(exchange, down).await;
        let was_reused = attempt.reused;
        let answered_us = worker.now_us();
        if let Some(trace) = &mut exchange.trace {
            trace.end_attempt(result.as_ref().err().map(|failure| failure.reason));
        }
        exchange.times.upstream_us = Some(exchange.elapsed_us(answered_us).saturating_sub(forwarded_us));
        let failure = match result {
            Ok(answered) => {
                let status = exchange.response.status;
                if let Some(last) = exchange.tries.last_mut() {
                    last.status = Some(status);
                }
                let took = Duration::from_micros(answered_us.saturating_sub(chosen));
                target.answered(status, took, worker.deadlines.now_ms());
                let Answered { leg, sending, announced, reusable } = answered;
                return Ok(Answering {
                    leg,
                    sending,
                    announced,
                    reusable,
                    websocket: status == 101,
                    service: Arc::clone(&service.service),
                    answered_us,
                    _target: target,
                });
            }
            Err(failure) => failure,
        };
        // A connection that had died in the pool says nothing about its target, and a refusal is no failure.
        let refused = failure.progress == Progress::Refused;
        let was_stale = was_reused && failure.reason == Reason::UpstreamReset && !refused;
        if !was_stale && !refused {
            target.failed(failure.reason);
        }
        let repeatable = may_retry(exchange, &gathered, &failure);
        if let Some(last) = exchange.tries.last_mut() {
            // As in Kong an attempt that could not be followed by another for its method's sake has neither.
            last.failed = repeatable;
            last.code = repeatable.then(|| failure.attempt_code());
        }
        if !repeatable || (left == 0 && !was_stale) {
            return Err(failure);
        }
        // A target that may have worked on it will have to again.
        if failure.progress == Progress::Sent && !service.budget.spend(index, worker.deadlines.now_ms()) {
            let detail = format!("{}; too many requests were sent again already", failure.detail);
            return Err(Failure { detail: detail.into(), ..failure });
        }
        if !was_stale {
            left -= 1;
            tried.add(&target);
        }
        last_failure = Some(failure);
    }
}

async fn choose_target(
    worker: &Worker,
    service: &CompiledService,
    exchange: &mut Exchange,
    tried: &mut Tried,
) -> Result<Target, Failure> {
    let protocol = service.service.protocol;
    let chosen = match &service.place {
        Place::Direct(endpoint) => Target::direct(endpoint, protocol, &worker.resolver).await,
        Place::Group(group) => {
            let chooser = Chooser {
                resolver: &worker.resolver,
                cursor: group.cursor(worker.counters.index),
                worker: worker.counters.index,
                now_ms: worker.deadlines.now_ms(),
            };
            Target::of_group(group, protocol, exchange, tried, chooser).await
        }
        Place::Broken(cause) => {
            return Err(Failure::new(Reason::Misconfigured, cause.clone(), Progress::NotSent));
        }
    };
    chosen.map_err(|nobody| match nobody {
        NoTarget::Nobody => Failure::new(Reason::NoTarget, "no target is left", Progress::NotSent),
        NoTarget::Name(error) => Failure::new(
            Reason::NameResolution,
            format!("{}: {error}", service.service.host),
            Progress::NotSent,
        ),
    })
}

/// Another attempt is safe when nothing was sent, or when the request may be repeated and its body can be.
fn may_retry(exchange: &Exchange, gathered: &Gathered, failure: &Failure) -> bool {
    match failure.progress {
        _ if failure.is_clients() => false,
        Progress::NotSent | Progress::Refused => true,
        Progress::Sent => gathered.complete && is_repeatable(exchange.request.method()),
        Progress::Answered => false,
    }
}

/// nginx's rule, which is Kong's: everything but POST, PATCH and LOCK. Of the unknown ones none is repeated.
fn is_repeatable(method: Method) -> bool {
    !matches!(method, Method::Post | Method::Patch | Method::Other | Method::Connect)
}

/// Reads a short body whole, if the route wants that.
async fn gather<D: Downstream>(
    worker: &Worker,
    exchange: &mut Exchange,
    down: &mut D,
) -> Result<Gathered, Failure> {
    let announced = down.announced();
    if exchange.body.is_none() && matches!(announced, Announced::Nothing) {
        return Ok(Gathered { bytes: Bytes::new(), framing: Framing::None, complete: true, began_ms: 0 });
    }
    let age_ms = exchange.elapsed_us(worker.now_us()) / 1_000;
    let began_ms = worker.deadlines.now_ms().saturating_sub(age_ms);
    if let Some(body) = exchange.body.take() {
        let framing = Framing::Length(body.len() as u64);
        return Ok(Gathered { bytes: body, framing, complete: down.body_done(), began_ms });
    }
    let framing = match announced {
        Announced::Nothing => Framing::None,
        Announced::Known(length) => Framing::Length(length),
        Announced::Unknown => Framing::Chunked,
    };
    if matches!(announced, Announced::Known(length) if length > BUFFERED as u64) {
        return Ok(Gathered { bytes: Bytes::new(), framing, complete: false, began_ms });
    }
    // Without buffering what has come already is taken, and nothing waited for.
    // Nothing waits for the end of a stream of messages either.
    let streams = exchange.matched.as_ref().is_some_and(Matched::speaks_grpc);
    let waits = !streams && exchange.route().is_some_and(|route| route.request_buffering);
    let limit = exchange.body_limit;
    let (bytes, complete) = Box::pin(read_body(worker, down, BUFFERED, waits, limit, age_ms)).await?;
    let framing = if complete { Framing::Length(bytes.len() as u64) } else { framing };
    Ok(Gathered { bytes: bytes.into(), framing, complete, began_ms })
}

/// Reads the request's body until it is complete or `most` bytes have come, or as much as is there already. Says
/// whether it is complete. The request began `age_ms` ago.
pub async fn read_body<D: Downstream>(
    worker: &Worker,
    down: &mut D,
    most: usize,
    waits: bool,
    limit: Option<u64>,
    age_ms: u64,
) -> Result<(Vec<u8>, bool), Failure> {
    let mut bytes = Vec::new();
    let timeouts = worker.settings.timeouts;
    let began_ms = worker.deadlines.now_ms().saturating_sub(age_ms);
    let mut since = 0;
    down.deadline().set(timeouts.patience_ms(age_ms));
    poll_fn(|context| {
        if down.invite_body(context).is_err() || matches!(down.poll_flush(context), Poll::Ready(Err(_))) {
            return Poll::Ready(Err(gone(Progress::NotSent)));
        }
        let mut scratch = worker.scratch.borrow_mut();
        loop {
            match down.poll_body(context, &mut scratch) {
                Poll::Pending if waits => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(false)),
                Poll::Ready(Err(WireError::TimedOut))
                    if timeouts.suffices((bytes.len() - since) as u64, timeouts.body_ms)
                        && !timeouts.is_late(worker.deadlines.now_ms().saturating_sub(began_ms)) =>
                {
                    since = bytes.len();
                    let age_ms = worker.deadlines.now_ms().saturating_sub(began_ms);
                    down.deadline().set(timeouts.patience_ms(age_ms));
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(client_failure(&error, Progress::NotSent)));
                }
                Poll::Ready(Ok(piece)) => {
                    bytes.extend_from_slice(&scratch[..piece.payload]);
                    if limit.is_some_and(|limit| bytes.len() as u64 > limit) {
                        return Poll::Ready(Err(too_large(Progress::NotSent)));
                    }
                    if piece.done || bytes.len() >= most {
                        return Poll::Ready(Ok(piece.done));
                    }
                }
            }
        }
    })
    .await
    .map(|complete| (bytes, complete))
}

/// One attempt.
struct Attempt<'a> {
    worker: &'a Worker,
    service: &'a CompiledService,
    gathered: &'a Gathered,
    target: &'a Target,
    websocket: bool,
    /// The connection was there before.
    reused: bool,
    /// Bytes that had gone over it.
    sent_before: u64,
}

/// What an attempt brings back; see [`Answering`].
struct Answered {
    leg: Leg,
    sending: Sending,
    announced: Option<u64>,
    reusable: bool,
}

impl Attempt<'_> {
    async fn run<D: Downstream>(
        &mut self,
        exchange: &mut Exchange,
        down: &mut D,
    ) -> Result<Answered, Failure> {
        let mut leg = self.open(exchange, down).await?;
        self.sent_before = leg.bytes_out();
        let mut sending = Sending {
            done: self.gathered.complete,
            refused: false,
            allowance: exchange.body_limit.unwrap_or(u64::MAX),
            waits_for: Side::Client,
            since: 0,
            received: 0,
            began_ms: self.gathered.began_ms,
        };
        self.exchange_heads(exchange, down, &mut leg, &mut sending).await?;
        let head = &exchange.response;
        let (ends_by_itself, announced) =
            leg.begin_body(exchange.request.method(), head).map_err(|error| invalid(error.to_string()))?;
        let keeps_alive = match head.version {
            Version::Http10 => headers::connection_lists(&head.fields, b"keep-alive"),
            _ => !headers::connection_lists(&head.fields, b"close"),
        };
        let reusable = ends_by_itself && head.status != 101 && keeps_alive;
        Ok(Answered { leg, sending, announced, reusable })
    }

    /// A connection to the target that has been given the head of the request.
    async fn open<D: Downstream>(&mut self, exchange: &Exchange, down: &mut D) -> Result<Leg, Failure> {
        let service = &self.service.service;
        let tls = self.service.tls.as_ref();
        let destination =
            Destination { address: self.target.address, tls: tls.map_or(0, |tls| tls.identity) };
        let framing = self.gathered.framing;
        let keeps_host = exchange.route().is_some_and(|route| route.preserve_host);
        let clients = exchange.request.fields.get(Name::Host).filter(|_| keeps_host);
        let onward = Onward {
            host: clients.unwrap_or(self.target.host_header.as_bytes()),
            framing,
            prefix: exchange.stripped_prefix(),
            websocket: self.websocket,
        };
        let timeout_ms = u64::from(service.connect_timeout);
        let connect = async |down: &mut D| {
            let connecting = connect::connect(self.target.address, tls, down.deadline(), timeout_ms);
            connecting.await.map_err(|error| Failure::new(error.reason, error.detail, Progress::NotSent))
        };
        if !service.protocol.is_grpc() {
            let mut connection = if let Some(connection) = self.worker.pool.take(destination) {
                self.reused = true;
                connection
            } else {
                Connection::new(Wire::new(connect(down).await?), destination)
            };
            headers::to_upstream(connection.wire.output(), exchange, &onward);
            return Ok(Leg::http1(connection, framing));
        }
        let sender = if let Some(sender) = self.worker.shared.get(destination) {
            self.reused = true;
            sender
        } else {
            let io = connect(down).await?;
            let begun = self.worker.shared.begin(destination, io).await;
            begun.map_err(|error| {
                let detail = format!("{}: {error}", self.target.address);
                Failure::new(Reason::UpstreamInvalid, detail, Progress::NotSent)
            })?
        };
        let mut head = Vec::new();
        headers::to_upstream(&mut head, exchange, &onward);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let call = Call::new(sender, &head, scheme, framing).map_err(invalid)?;
        Ok(Leg::http2(call))
    }

    /// Sends the request and reads until the final answer's head is there.
    async fn exchange_heads<D: Downstream>(
        &self,
        exchange: &mut Exchange,
        down: &mut D,
        leg: &mut Leg,
        sending: &mut Sending,
    ) -> Result<(), Failure> {
        let service = &self.service.service;
        let read_ms = u64::from(service.read_timeout);
        let limits = self.worker.settings.answer_limits;
        let (mut begun, mut interim) = (false, 0);
        let mut head = std::mem::take(&mut exchange.response);
        let result = poll_fn(|context| {
            let mut scratch = self.worker.scratch.borrow_mut();
            if !begun {
                begun = true;
                down.deadline().set(if sending.done { read_ms } else { sending.patience_ms(self.worker) });
                if leg.send(context, &self.gathered.bytes).is_err() {
                    sending.refused = true;
                }
                if sending.done && leg.end(context).is_err() {
                    sending.refused = true;
                }
            }
            if !sending.done || leg.has_unsent() {
                match sending.advance(context, &mut scratch, service, self.worker, down, leg) {
                    Poll::Ready(Ok(())) => down.deadline().set(read_ms),
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => {}
                }
            }
            loop {
                match leg.poll_head(context, &mut scratch, down.deadline(), &mut head, &limits) {
                    Poll::Ready(Ok(())) if is_interim(&head) => {
                        interim += 1;
                        if interim > MOST_INTERIM {
                            return Poll::Ready(Err(invalid("too many interim answers".to_owned())));
                        }
                        if head.status != 100 && down.interim(context, &head).is_err() {
                            return Poll::Ready(Err(gone(Progress::Sent)));
                        }
                        let _ = down.poll_flush(context);
                    }
                    Poll::Ready(Ok(())) if head.status == 101 && !self.websocket => {
                        return Poll::Ready(Err(invalid("an upgrade that nobody asked for".to_owned())));
                    }
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(self.upstream_failure(error, sending, leg)));
                    }
                    Poll::Pending => break,
                }
            }
            if down.poll_gone(context).is_ready() {
                return Poll::Ready(Err(gone(Progress::Sent)));
            }
            Poll::Pending
        })
        .await;
        exchange.response = head;
        result
    }

    fn upstream_failure(&self, error: WireError, sending: &Sending, leg: &Leg) -> Failure {
        let address = self.target.address;
        // A reused connection that ends before it took anything was dead before we knew, and HTTP/2 tells.
        let untouched = self.reused && leg.bytes_out() == self.sent_before;
        let never_sent = untouched || matches!((leg, &error), (Leg::Http2(_), WireError::Closed));
        let progress = match error {
            // What was read of the body since is gone, and can't be sent again.
            _ if sending.received > 0 => Progress::Sent,
            WireError::Refused => Progress::Refused,
            _ if never_sent => Progress::NotSent,
            _ => Progress::Sent,
        };
        match error {
            WireError::Closed => {
                Failure::new(Reason::UpstreamReset, format!("{address} closed without an answer"), progress)
            }
            WireError::Refused => {
                Failure::new(Reason::UpstreamReset, format!("{address} turned the request away"), progress)
            }
            WireError::Io(error) => {
                Failure::new(Reason::UpstreamReset, format!("{address}: {error}"), progress)
            }
            WireError::TimedOut if !sending.done && !leg.has_unsent() => Failure::new(
                Reason::RequestTimeout,
                "the client stopped sending its body".to_owned(),
                Progress::Sent,
            ),
            WireError::TimedOut => {
                Failure::new(Reason::UpstreamTimeout, format!("{address} did not answer in time"), progress)
            }
            WireError::Truncated => Failure::new(
                Reason::UpstreamReset,
                format!("{address} closed within the head of its answer"),
                Progress::Sent,
            ),
            WireError::Head(error) => invalid(format!("{address}: {error}")),
            WireError::Chunk(error) => invalid(format!("{address}: {error}")),
        }
    }
}

impl Sending {
    /// Whether the whole request has left.
    pub fn is_over(&self) -> bool {
        self.done || self.refused
    }

    /// Moves the body on as far as that goes now. Ready when it is over.
    pub fn advance<D: Downstream>(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        service: &Service,
        worker: &Worker,
        down: &mut D,
        leg: &mut Leg,
    ) -> Poll<Result<(), Failure>> {
        let timeouts = &worker.settings.timeouts;
        let write_ms = u64::from(service.write_timeout);
        loop {
            if self.refused {
                return Poll::Ready(Ok(()));
            }
            match leg.poll_flush(context, down.deadline()) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(WireError::TimedOut))
                    if self.waits_for == Side::Upstream && leg.bytes_out() > self.since =>
                {
                    self.wait_for(Side::Upstream, leg.bytes_out(), down, write_ms);
                    continue;
                }
                Poll::Ready(Err(WireError::TimedOut)) => {
                    let detail = "the target stopped taking the request";
                    return Poll::Ready(Err(Failure::new(Reason::UpstreamTimeout, detail, Progress::Sent)));
                }
                // It may have answered before it closed, so reading goes on.
                Poll::Ready(Err(_)) => self.refused = true,
                Poll::Pending => {
                    if self.waits_for != Side::Upstream {
                        self.wait_for(Side::Upstream, leg.bytes_out(), down, write_ms);
                    }
                    return Poll::Pending;
                }
            }
            if self.done || self.refused {
                return Poll::Ready(Ok(()));
            }
            if down.invite_body(context).is_err() || matches!(down.poll_flush(context), Poll::Ready(Err(_))) {
                return Poll::Ready(Err(gone(Progress::Sent)));
            }
            let piece = match down.poll_body(context, scratch) {
                Poll::Pending => {
                    if self.waits_for != Side::Client {
                        self.wait_for(Side::Client, self.received, down, self.patience_ms(worker));
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(WireError::TimedOut))
                    if timeouts.suffices(self.received - self.since, timeouts.body_ms)
                        && !timeouts.is_late(self.age_ms(worker)) =>
                {
                    self.wait_for(Side::Client, self.received, down, self.patience_ms(worker));
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(client_failure(&error, Progress::Sent))),
                Poll::Ready(Ok(piece)) => piece,
            };
            self.received += piece.payload as u64;
            let Some(allowance) = self.allowance.checked_sub(piece.payload as u64) else {
                return Poll::Ready(Err(too_large(Progress::Sent)));
            };
            self.allowance = allowance;
            let mut sent = leg.send(context, &scratch[..piece.payload]);
            if piece.done && sent.is_ok() {
                self.done = true;
                sent = leg.end(context);
            }
            if sent.is_err() {
                self.refused = true;
            }
        }
    }

    fn age_ms(&self, worker: &Worker) -> u64 {
        worker.deadlines.now_ms().saturating_sub(self.began_ms)
    }

    /// How long the client is waited for.
    fn patience_ms(&self, worker: &Worker) -> u64 {
        worker.settings.timeouts.patience_ms(self.age_ms(worker))
    }

    fn wait_for<D: Downstream>(&mut self, side: Side, moved: u64, down: &D, milliseconds: u64) {
        self.waits_for = side;
        self.since = moved;
        down.deadline().set(milliseconds);
    }
}

fn is_interim(head: &ResponseHead) -> bool {
    (100..200).contains(&head.status) && head.status != 101
}

fn gone(progress: Progress) -> Failure {
    Failure::new(Reason::ClientGone, "the client closed the connection", progress)
}

fn too_large(progress: Progress) -> Failure {
    Failure::new(Reason::BodyTooLarge, "the body is longer than a plugin allows", progress)
}

fn invalid(detail: String) -> Failure {
    Failure::new(Reason::UpstreamInvalid, detail, Progress::Answered)
}

fn client_failure(error: &WireError, progress: Progress) -> Failure {
    match error {
        WireError::Chunk(error) => Failure::new(Reason::BadRequest, error.to_string(), progress),
        WireError::TimedOut => {
            Failure::new(Reason::RequestTimeout, "the client stopped sending its body", progress)
        }
        _ => gone(progress),
    }
}
