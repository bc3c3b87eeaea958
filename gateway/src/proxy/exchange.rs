//! The life of one request, top to bottom.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use admin_api::Reason;
use bytes::Bytes;

use super::downstream::{Announced, Downstream, Length, Start};
use super::failure::{Failure, Progress, error};
use super::forward::{self, Answering};
use super::worker::Worker;
use super::{client_address, headers, intake, protocol, respond, upgrade};
use crate::exchange::trace::nanos;
use crate::exchange::{Answer, Client, Exchange, Matched, RequestId, Source};
use crate::http::name::Name;
use crate::net::wire::WireError;
use crate::overload::Level;
use crate::plugins::{BODY_SIGHT, Chain, ChainEnd, Chosen};
use crate::routing::UpstreamPath;
use crate::snapshot::Snapshot;

/// What a log shows for a request whose client left before there was an answer: nginx's number, and so Kong's.
const CLIENT_GONE: u16 = 499;

/// Serves one request: from its head, in a blank exchange, to the record of what became of it. The configuration it
/// begins with is the one it ends with.
pub async fn run<D: Downstream>(
    worker: &Rc<Worker>,
    down: &mut D,
    client: &Client,
    mut exchange: Box<Exchange>,
    started_us: u64,
    refused: Option<Answer>,
) {
    let snapshot = worker.snapshot();
    let client = client_address::of_request(client, &exchange.request, &worker.settings.trust);
    exchange.begin(RequestId::random(), client, started_us);
    let under_way = worker.counters.begin();
    let routing = snapshot.is_traced().then(|| nanos(&worker.clock));
    let decision = match refused {
        Some(answer) => Decision::Refuse(answer),
        None if worker.overload.level() == Level::Requests => {
            exchange.on_response.append(Name::RetryAfter, "1");
            Decision::Refuse(Answer::FrontEnd { status: 503, reason: Reason::Overloaded })
        }
        None => decide(&snapshot, &mut exchange),
    };
    let chain = snapshot.chain(&exchange);
    if let Some(begun_ns) = routing {
        chain.begin_trace(&mut exchange, &worker.clock, begun_ns);
    }
    let mut reply = Reply {
        worker,
        down,
        exchange: &mut exchange,
        chain,
        chosen: Chosen::default(),
        begun: false,
        ended_us: None,
    };
    let delivered = match decision {
        Decision::Serve => reply.serve(&snapshot).await,
        Decision::Answer(answer) => reply.answer(answer, false, false).await,
        Decision::Refuse(answer) => reply.answer(answer, false, true).await,
    };
    if let Err(failure) = delivered {
        reply.down.abort();
        if failure.reason == Reason::ClientGone && !reply.begun {
            reply.exchange.response.clear();
            reply.exchange.response.status = CLIENT_GONE;
        }
        reply.note(failure);
    }
    let (chosen, ended_us) = (reply.chosen, reply.ended_us);
    exchange.sent = down.sent();
    drop(under_way);
    let ended_us = ended_us.unwrap_or_else(|| worker.now_us());
    worker.finish(ended_us, down.transferred(), exchange, &snapshot, &chosen);
}

/// What is to be done with a request.
enum Decision {
    /// A route takes it.
    Serve,
    Answer(Answer),
    /// As `Answer`, for a request after which the connection can't be trusted.
    Refuse(Answer),
}

/// Is the request valid, and which route takes it?
fn decide(snapshot: &Snapshot, exchange: &mut Exchange) -> Decision {
    if let Err(refusal) = intake::check(exchange) {
        return Decision::Refuse(refusal);
    }
    let Some(matched) = snapshot.find(exchange) else {
        return Decision::Answer(error(404, "no Route matched with those values", Reason::NoRoute));
    };
    // As in Kong a route that refuses the protocol is neither logged nor do its plugins run.
    if let Some(answer) = protocol::refusal(&matched.route, exchange) {
        return Decision::Answer(answer);
    }
    write_upstream_target(exchange, &matched);
    exchange.matched = Some(matched);
    Decision::Serve
}

/// The target for the upstream: the service's path and what is left of the client's.
fn write_upstream_target(exchange: &mut Exchange, matched: &Matched) {
    let mut target = std::mem::take(&mut exchange.upstream_target);
    UpstreamPath {
        service_path: matched.service.as_ref().and_then(|service| service.path.as_deref()),
        strip_path: matched.route.strip_path,
        path: &exchange.path,
        matched: matched.path.as_ref().map(ExactSizeIterator::len),
        query: exchange.request.query(),
    }
    .write(&mut target);
    exchange.upstream_target = target;
}

/// The way back to the client.
struct Reply<'a, D> {
    worker: &'a Rc<Worker>,
    down: &'a mut D,
    exchange: &'a mut Exchange,
    chain: &'a Chain,
    chosen: Chosen,
    /// The client has been given the head of an answer.
    begun: bool,
    /// When its last byte was written, if that is known.
    ended_us: Option<u64>,
}

impl<D: Downstream> Reply<'_, D> {
    /// A matched request: plugins, upstream, answer.
    async fn serve(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        if self.chain.wants_body()
            && let Err(failure) = Box::pin(self.show_body()).await
        {
            return self.fail(failure, false).await;
        }
        match self.chain.access(self.exchange, &mut self.chosen).await {
            ChainEnd::Next => {}
            ChainEnd::Answer { plugin, answer } => {
                self.exchange.outcome.ended_by = Some(plugin);
                return self.answer(answer, false, false).await;
            }
            ChainEnd::Failed(failure) => return self.answer_plugin_failure(&failure).await,
        }
        let Some(service) = snapshot.route(self.exchange).and_then(|route| route.service.as_ref()) else {
            let answer = error(503, "no Service found with those values", Reason::NoService);
            return self.answer(answer, false, false).await;
        };
        match forward::request(self.worker, self.exchange, service, self.down).await {
            Ok(answering) => self.relay(answering).await,
            Err(failure) => self.fail(failure, true).await,
        }
    }

    /// Reads the request's body for plugins that want to see it.
    async fn show_body(&mut self) -> Result<(), Failure> {
        let fits = match self.down.announced() {
            Announced::Nothing => false,
            Announced::Known(length) => length <= BODY_SIGHT as u64,
            Announced::Unknown => true,
        };
        if !fits {
            return Ok(());
        }
        let limit = self.exchange.body_limit;
        let age_ms = self.exchange.elapsed_us(self.worker.now_us()) / 1_000;
        let (bytes, complete) =
            forward::read_body(self.worker, self.down, BODY_SIGHT + 1, true, limit, age_ms).await?;
        if !complete {
            let detail = "a plugin needs the whole body and it is too long to be held";
            return Err(Failure::new(Reason::BodyTooLarge, detail, Progress::NotSent));
        }
        self.exchange.body = Some(Bytes::from(bytes));
        Ok(())
    }

    /// The upstream has answered: its answer goes on to the client.
    async fn relay(&mut self, mut upstream: Answering) -> Result<(), Failure> {
        let exchange = &mut *self.exchange;
        exchange.outcome.source = Source::Service;
        let announced = upstream.announced;
        headers::clean_upstream_answer(exchange, upstream.leg.protocol(), upstream.websocket);
        self.header_filter();
        headers::add_gateway_lines(self.exchange, true);
        let length = match announced {
            _ if has_no_body(self.exchange) => {
                Length::Absent(announced.filter(|_| may_announce_length(self.exchange)))
            }
            Some(length) => Length::Known(length),
            None if upstream.leg.body_done() => Length::Known(0),
            None => Length::Unknown,
        };
        let idle_ms = u64::from(upstream.service.read_timeout);
        let timeouts = self.worker.settings.timeouts;
        let (mut begun, mut ended) = (false, false);
        // What the client had taken when it began to keep us waiting.
        let mut waiting_since = None;
        // Elsewhere trailers are dropped, as in Kong: lines that come behind the body were judged by nobody.
        let wants_trailers = self.exchange.matched.as_ref().is_some_and(Matched::speaks_grpc)
            && headers::accepts_trailers(&self.exchange.request.fields);
        let (worker, down, exchange) = (self.worker, &mut *self.down, &*self.exchange);
        self.begun = true;
        down.deadline().set(idle_ms);
        let result = poll_fn(|context| {
            let mut scratch = worker.scratch.borrow_mut();
            if !upstream.sending.is_over()
                && let Poll::Ready(Err(_)) = upstream.sending.advance(
                    context,
                    &mut scratch,
                    &upstream.service,
                    worker,
                    down,
                    &mut upstream.leg,
                )
            {
                upstream.reusable = false;
            }
            loop {
                if begun {
                    match down.poll_flush(context) {
                        Poll::Ready(Ok(())) if ended => return Poll::Ready(Ok(())),
                        Poll::Ready(Ok(())) => {
                            if waiting_since.take().is_some() {
                                down.deadline().set(idle_ms);
                            }
                        }
                        Poll::Ready(Err(WireError::TimedOut)) => {
                            let taken = down.delivered() - waiting_since.unwrap_or(0);
                            if !timeouts.suffices(taken, timeouts.write_ms) {
                                down.stalled();
                                return Poll::Ready(Err(client_stalled()));
                            }
                            waiting_since = Some(down.delivered());
                            down.deadline().set(timeouts.write_ms);
                            continue;
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(client_gone())),
                        Poll::Pending => {
                            if waiting_since.is_none() {
                                waiting_since = Some(down.delivered());
                                down.deadline().set(timeouts.write_ms);
                            }
                            return Poll::Pending;
                        }
                    }
                }
                let read = upstream.leg.poll_body(context, &mut scratch, down.deadline());
                let piece = match read {
                    Poll::Ready(Ok(piece)) => Some(piece),
                    Poll::Ready(Err(error)) if begun => return Poll::Ready(Err(cut_off(&error))),
                    // The head goes out first, so that the client learns what can be learnt.
                    Poll::Ready(Err(_)) | Poll::Pending if !begun => None,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(cut_off(&error))),
                    Poll::Pending => {
                        return match down.poll_gone(context) {
                            Poll::Ready(()) => Poll::Ready(Err(client_gone())),
                            Poll::Pending => Poll::Pending,
                        };
                    }
                };
                down.deadline().set(idle_ms);
                let (payload, done, trailers) = match piece {
                    Some(piece) => (piece.payload, piece.done, piece.trailers.filter(|_| wants_trailers)),
                    None => (0, false, None),
                };
                let payload = &scratch[..payload];
                let complete = done && trailers.is_none();
                let sent = if begun {
                    let sent = down.send(context, payload);
                    if done { sent.and_then(|()| down.end(context, trailers.as_ref())) } else { sent }
                } else {
                    begun = true;
                    let start = Start {
                        length,
                        first: payload,
                        complete,
                        close: false,
                        upgrade: upstream.websocket,
                        date: None,
                    };
                    let sent = down.start(context, exchange, start);
                    if done && !complete {
                        sent.and_then(|()| down.end(context, trailers.as_ref()))
                    } else {
                        sent
                    }
                };
                if sent.is_err() {
                    return Poll::Ready(Err(client_gone()));
                }
                ended = done;
            }
        })
        .await;
        let ended_us = self.worker.now_us();
        self.exchange.times.receive_us = ended_us.saturating_sub(upstream.answered_us);
        self.ended_us = Some(ended_us);
        if result.is_ok() && upstream.websocket {
            self.ended_us = None;
            Box::pin(self.tunnel(&mut upstream)).await;
        } else if result.is_ok()
            && upstream.reusable
            && upstream.sending.is_over()
            && let Some(connection) = upstream.leg.into_connection()
        {
            self.worker.pool.put(connection, self.worker.deadlines.now_ms());
        }
        result
    }

    async fn tunnel(&mut self, upstream: &mut Answering) {
        let deadline = self.worker.deadlines.register();
        let (Some(client), Some(target)) = (self.down.wire(), upstream.leg.wire()) else { return };
        upgrade::tunnel(self.worker, client, target, &deadline, u64::from(upstream.service.read_timeout))
            .await;
    }

    /// No upstream has answered.
    async fn fail(&mut self, failure: Failure, asked_upstream: bool) -> Result<(), Failure> {
        let Some(answer) = failure.answer() else { return Err(failure) };
        let asked_upstream = asked_upstream && !self.exchange.tries.is_empty();
        // What the client still sends belongs to a request that is over.
        let close = matches!(failure.reason, Reason::BadRequest | Reason::RequestTimeout);
        let delivered = self.answer(answer, asked_upstream, close).await;
        self.note(failure);
        delivered
    }

    async fn answer_plugin_failure(&mut self, failure: &crate::plugins::Failure) -> Result<(), Failure> {
        tracing::error!(
            plugin = failure.plugin,
            request = self.exchange.id.as_str(),
            "failed to run a plugin: {}",
            failure.detail
        );
        self.exchange.outcome.ended_by = Some(failure.plugin);
        let answer = error(500, "An unexpected error occurred", failure.reason);
        let delivered = self.answer(answer, false, false).await;
        self.exchange.outcome.detail.clone_from(&failure.detail);
        delivered
    }

    /// Sends an answer of the gateway's own.
    async fn answer(&mut self, answer: Answer, asked_upstream: bool, close: bool) -> Result<(), Failure> {
        let close = close || respond::closes(&answer);
        let body = respond::make(self.exchange, answer);
        self.exchange.times.answered_us = self.exchange.elapsed_us(self.worker.now_us());
        self.header_filter();
        headers::add_gateway_lines(self.exchange, asked_upstream);
        let length = body.len() as u64;
        let (length, first) = if has_no_body(self.exchange) {
            let announces = may_announce_length(self.exchange) && self.exchange.response.status != 304;
            (Length::Absent(announces.then_some(length)), &b""[..])
        } else {
            (Length::Known(length), &body[..])
        };
        let date = self.worker.date();
        let start = Start { length, first, complete: true, close, upgrade: false, date: Some(&date) };
        let (down, exchange) = (&mut *self.down, &*self.exchange);
        self.begun = true;
        down.deadline().set(self.worker.settings.timeouts.write_ms);
        let mut begun = false;
        poll_fn(|context| {
            if !begun {
                begun = true;
                if down.start(context, exchange, start).is_err() {
                    return Poll::Ready(Err(client_gone()));
                }
            }
            down.poll_flush(context).map_err(|_| client_gone())
        })
        .await
    }

    fn header_filter(&mut self) {
        if let Err(failure) = self.chain.header_filter(self.exchange, &self.chosen) {
            tracing::error!(
                plugin = failure.plugin,
                request = self.exchange.id.as_str(),
                "failed to edit an answer: {}",
                failure.detail
            );
        }
    }

    /// Remembers why it went wrong, for the log.
    fn note(&mut self, failure: Failure) {
        self.exchange.outcome.reason = failure.reason;
        self.exchange.outcome.detail = failure.detail;
    }
}

/// Whether the answer has no body on the wire, whatever its length.
fn has_no_body(exchange: &Exchange) -> bool {
    exchange.is_head_request() || matches!(exchange.response.status, 100..=199 | 204 | 304)
}

/// Some answers must not even say how long a body would be (RFC 9110 §8.6).
fn may_announce_length(exchange: &Exchange) -> bool {
    !matches!(exchange.response.status, 100..=199 | 204)
}

fn client_gone() -> Failure {
    Failure::new(Reason::ClientGone, "the client closed the connection", Progress::Answered)
}

fn client_stalled() -> Failure {
    Failure::new(Reason::ClientGone, "the client took too little of the answer in time", Progress::Answered)
}

fn cut_off(error: &WireError) -> Failure {
    let (reason, detail) = match error {
        WireError::TimedOut => (Reason::UpstreamTimeout, "the target stopped within its answer"),
        WireError::Chunk(_) => (Reason::UpstreamInvalid, "the target's chunks are malformed"),
        _ => (Reason::UpstreamTruncated, "the target closed within its answer"),
    };
    Failure::new(reason, detail, Progress::Answered)
}
