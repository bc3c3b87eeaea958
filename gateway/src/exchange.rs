//! One request with its response, as plugins, forwarding and telemetry see it.
//!
//! An [`Exchange`] belongs to one task and is used again for a later request, for its memory. A [`Record`] is
//! what is left of it when it is over: owned, immutable, shareable with log plugins that work elsewhere.

pub mod trace;

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use admin_api::Reason;
use bytes::Bytes;
use smallvec::SmallVec;
use traces::TraceId;
use uuid::Uuid;

use self::trace::Trace;
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, ResponseHead};
use crate::model::{Consumer, Route, Service};

/// What is known and decided about a request while it is under way.
#[derive(Debug)]
pub struct Exchange {
    pub id: RequestId,
    pub client: Client,
    /// As received. Plugins edit it to change what the upstream gets; forwarding headers are added later.
    pub request: RequestHead,
    /// The path that routing saw: decoded and normalised (Kong's rules), without the query.
    pub path: String,
    pub matched: Option<Matched>,
    pub consumer: Option<Arc<Consumer>>,
    pub credential: Option<Uuid>,
    /// Header lines that plugins put on the answer, whoever makes it. Each replaces lines of its name.
    pub on_response: Fields,
    /// The whole request body, if a plugin asked for it and it is not too long. What is here when the access
    /// phase is over is what the upstream gets.
    pub body: Option<Bytes>,
    /// Refuse the request with 413 when its body turns out longer than this many bytes.
    pub body_limit: Option<u64>,
    /// The answer's head once there is one.
    pub response: ResponseHead,
    pub outcome: Outcome,
    pub times: Times,
    pub tries: SmallVec<[Try; 1]>,
    /// The target sent upstream, `path?query`; empty before a route matched.
    pub upstream_target: Vec<u8>,
    /// Value of the correlation-id plugin's header, for the log.
    pub correlation_id: Option<String>,
    /// How the answer's head said its body is delimited, once it was sent.
    pub sent: Sent,
    /// Where nobody traces there is none.
    pub trace: Option<Box<Trace>>,
    scratch: Scratch,
}

/// 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 32]);

/// Who is asking, and over what.
#[derive(Debug, Clone)]
pub struct Client {
    /// The other end of the TCP connection.
    pub peer: SocketAddr,
    /// The client's address: the peer's, unless a trusted peer names another.
    pub address: IpAddr,
    /// The address the connection was accepted on.
    pub local: SocketAddr,
    /// Whether the peer's forwarding headers are believed.
    pub trusted: bool,
    /// `https` when the connection is encrypted, or a trusted peer says that the client's was.
    pub secure: bool,
    pub tls: Option<Arc<ClientTls>>,
}

impl Client {
    /// A client without TLS that stands for itself.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Client {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Client { peer, address: peer.ip(), local, trusted: false, secure: false, tls: None }
    }
}

/// What a log says about a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// As Kong writes it: `TLSv1.2`, `TLSv1.3`.
    pub version: &'static str,
    pub cipher: String,
    /// The server name asked for, lower-case, without a final dot.
    pub server_name: Option<String>,
}

/// The route that takes the request.
#[derive(Debug, Clone)]
pub struct Matched {
    pub route: Arc<Route>,
    pub service: Option<Arc<Service>>,
    /// Place of the route in the snapshot that the exchange goes by.
    pub index: usize,
    /// The part of the path that the route's path matched; `None` when the route has no paths.
    pub path: Option<Range<usize>>,
    /// Groups of the matching regular expression: by number, index 0 the whole match.
    pub captures: Vec<String>,
    /// Named groups of it.
    pub named_captures: Vec<(String, String)>,
}

/// How it ended, as far as is known.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub reason: Reason,
    /// What the answer's body or the log says about the reason.
    pub detail: Cow<'static, str>,
    /// The plugin that answered.
    pub ended_by: Option<&'static str>,
    pub source: Source,
}

/// Who made the answer: Kong's log calls the first `upstream` and the others `kong`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The upstream.
    Service,
    /// A plugin, on purpose.
    Exit,
    /// The gateway, because something is wrong.
    Error,
}

/// Moments and durations, in microseconds. Moments count from `started_us`, which is Unix time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Unix time of the first byte of the request.
    pub started_us: u64,
    /// When the last attempt to reach the upstream began; `None` if there was none. What earlier attempts took
    /// counts as the gateway's own time, as in Kong.
    pub forwarded_us: Option<u64>,
    /// Waiting for the upstream's answer to the last attempt, connecting included; `None` if nothing was forwarded.
    pub upstream_us: Option<u64>,
    /// Attempts before the last one, waits for them included.
    pub earlier_attempts_us: u64,
    /// Reading the upstream's body.
    pub receive_us: u64,
    /// When the answer's head was ready.
    pub answered_us: u64,
    /// First byte read to last byte written.
    pub total_us: u64,
    /// Bytes of request line, header and body.
    pub request_bytes: u64,
    /// Bytes sent to the client, header included.
    pub response_bytes: u64,
}

/// One attempt to reach a target.
#[derive(Debug, Clone)]
pub struct Try {
    pub address: SocketAddr,
    /// Unix time in nanoseconds at which the balancer began to choose.
    pub balancer_start_ns: u64,
    pub balancer_ns: u64,
    /// What a failed attempt would have been answered with: 502 or 504; the status of a final answer ≥ 500.
    pub code: Option<u16>,
    pub failed: bool,
    /// Status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// An answer that the gateway makes itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Kong's *error*: a template chosen by `Accept`, with the request id. 400 to 599.
    Error { status: u16, message: Cow<'static, str>, reason: Reason },
    /// Kong's *exit*: exactly this. Without a body and from 300 on, the front end's page takes its place.
    Exit { status: u16, content_type: Option<Cow<'static, str>>, body: Bytes, reason: Reason },
    /// The HTTP front end's own error: like *error*, with the message of its status, and negotiated by the
    /// request's Content-Type when there is no `Accept`. 494 is sent as 400.
    FrontEnd { status: u16, reason: Reason },
    /// The front end's fixed HTML page, for what goes wrong before anything can be negotiated.
    Page { status: u16, detail: &'static str, reason: Reason },
}

/// One finished exchange, for whoever logs it.
#[derive(Debug, Clone)]
pub struct Record {
    pub id: RequestId,
    pub client: Client,
    /// With the plugins' edits.
    pub request: RequestHead,
    /// The target as received, should a plugin have changed it.
    pub target: Vec<u8>,
    /// As sent to the client. Its status is 499 when the client left before there was one.
    pub response: ResponseHead,
    pub matched: Option<Matched>,
    pub consumer: Option<Arc<Consumer>>,
    pub credential: Option<Uuid>,
    pub outcome: Outcome,
    pub times: Times,
    pub tries: SmallVec<[Try; 1]>,
    pub upstream_target: Vec<u8>,
    pub correlation_id: Option<String>,
    pub sent: Sent,
    /// With what took time, if it was sampled.
    pub trace: Option<Arc<Trace>>,
}

/// Lines of an answer's head that belong to the connection and not to `response`. Nothing before it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub content_length: Option<u64>,
    pub chunked: bool,
    /// Value of Connection, where the protocol has it.
    pub connection: Option<&'static str>,
    /// Bytes of the head, where it is we who write it.
    pub head_bytes: u64,
}

impl Record {
    /// What is kept of an exchange that is over.
    pub fn of(exchange: &mut Exchange) -> Record {
        let mut record = Record {
            id: exchange.id,
            client: exchange.client.clone(),
            request: RequestHead::default(),
            target: Vec::new(),
            response: ResponseHead::default(),
            matched: None,
            consumer: None,
            credential: None,
            outcome: Outcome::default(),
            times: Times::default(),
            tries: SmallVec::new(),
            upstream_target: Vec::new(),
            correlation_id: None,
            sent: Sent::default(),
            trace: None,
        };
        record.take(exchange);
        record
    }

    /// Becomes the record of another exchange, which gets the memory of this one instead.
    pub fn take(&mut self, exchange: &mut Exchange) {
        use std::mem::{swap, take};
        self.id = exchange.id;
        self.client.clone_from(&exchange.client);
        self.target.clear();
        self.target.extend_from_slice(exchange.request.target());
        swap(&mut self.request, &mut exchange.request);
        swap(&mut self.response, &mut exchange.response);
        swap(&mut self.upstream_target, &mut exchange.upstream_target);
        self.matched = exchange.matched.take();
        self.consumer = exchange.consumer.take();
        self.credential = exchange.credential;
        self.outcome = take(&mut exchange.outcome);
        self.times = exchange.times;
        self.tries = take(&mut exchange.tries);
        self.correlation_id = exchange.correlation_id.take();
        self.sent = exchange.sent;
        self.trace = exchange.trace.take().map(Arc::from);
    }
}

/// Every byte in hex.
static HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Per-request values of plugins, by type.
#[derive(Default)]
struct Scratch(SmallVec<[(TypeId, Box<dyn Any>); 2]>);

impl Exchange {
    /// An exchange at its beginning: nothing is known but the connection and the head.
    pub fn new(id: RequestId, client: Client, request: RequestHead, started_us: u64) -> Exchange {
        let mut exchange = Exchange::blank();
        exchange.request = request;
        exchange.begin(id, client, started_us);
        exchange
    }

    /// One that has not begun.
    pub fn blank() -> Exchange {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Exchange {
            id: RequestId([b'0'; 32]),
            client: Client::new(nowhere, nowhere),
            request: RequestHead::default(),
            path: String::new(),
            matched: None,
            consumer: None,
            credential: None,
            on_response: Fields::default(),
            body: None,
            body_limit: None,
            response: ResponseHead::default(),
            outcome: Outcome::default(),
            times: Times::default(),
            tries: SmallVec::new(),
            upstream_target: Vec::new(),
            correlation_id: None,
            sent: Sent::default(),
            trace: None,
            scratch: Scratch::default(),
        }
    }

    /// Says what the connection is, when the head is in `request`.
    pub fn begin(&mut self, id: RequestId, client: Client, started_us: u64) {
        self.id = id;
        self.client = client;
        self.times.started_us = started_us;
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.request.clear();
        self.path.clear();
        self.matched = None;
        self.consumer = None;
        self.credential = None;
        self.on_response.clear();
        self.body = None;
        self.body_limit = None;
        self.response.clear();
        self.outcome = Outcome::default();
        self.times = Times::default();
        self.tries.clear();
        self.upstream_target.clear();
        self.correlation_id = None;
        self.sent = Sent::default();
        self.trace = None;
        self.scratch.0.clear();
    }

    /// A plugin's own value for this request.
    pub fn scratch<T: Any>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        self.scratch.0.iter().find(|(id, _)| *id == wanted).and_then(|(_, value)| value.downcast_ref())
    }

    /// Keeps a value for a later phase of the same plugin.
    pub fn set_scratch<T: Any>(&mut self, value: T) {
        let wanted = TypeId::of::<T>();
        self.scratch.0.retain(|(id, _)| *id != wanted);
        self.scratch.0.push((wanted, Box::new(value)));
    }

    /// The trace it belongs to: the one that is recorded or passed on, else the one the client speaks of.
    pub fn trace_id(&self) -> Option<TraceId> {
        let own = self.trace.as_ref().and_then(|trace| trace.trace_id());
        own.or_else(|| trace::carried(&self.request.fields))
    }

    /// Microseconds from its beginning to a moment of Unix time.
    pub fn elapsed_us(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.times.started_us)
    }

    /// What is taken off the path on the way to the upstream, for `X-Forwarded-Prefix`.
    pub fn stripped_prefix(&self) -> Option<&str> {
        let matched = self.matched.as_ref()?;
        let range = matched.path.clone().filter(|_| matched.route.strip_path)?;
        self.path.get(range).filter(|prefix| !matches!(*prefix, "" | "/"))
    }

    /// Changes the query: of the request, and so of what is logged, and of what the upstream gets. Without one the
    /// question mark goes too.
    pub fn set_query(&mut self, query: &[u8]) {
        let mut target = self.request.path().to_vec();
        self.upstream_target.truncate(path_length(&self.upstream_target));
        for target in [&mut target, &mut self.upstream_target] {
            if !query.is_empty() && !target.is_empty() {
                target.push(b'?');
                target.extend_from_slice(query);
            }
        }
        self.request.set_target(&target);
    }

    pub fn route(&self) -> Option<&Route> {
        self.matched.as_ref().map(|matched| &*matched.route)
    }

    pub fn service(&self) -> Option<&Service> {
        self.matched.as_ref().and_then(|matched| matched.service.as_deref())
    }
}

/// Bytes before the query.
fn path_length(target: &[u8]) -> usize {
    memchr::memchr(b'?', target).unwrap_or(target.len())
}

impl Matched {
    /// Whether its service is spoken to over HTTP/2.
    pub fn speaks_grpc(&self) -> bool {
        self.service.as_ref().is_some_and(|service| service.protocol.is_grpc())
    }

    /// A match of a route as a whole: no path of it took part.
    pub fn whole(route: Arc<Route>, service: Option<Arc<Service>>) -> Matched {
        let (captures, named_captures) = Default::default();
        Matched { route, service, index: 0, path: None, captures, named_captures }
    }
}

impl Answer {
    pub fn reason(&self) -> Reason {
        match self {
            Answer::Error { reason, .. }
            | Answer::Exit { reason, .. }
            | Answer::FrontEnd { reason, .. }
            | Answer::Page { reason, .. } => *reason,
        }
    }
}

impl RequestId {
    /// A new random id.
    pub fn random() -> RequestId {
        let mut digits = [0; 32];
        let bytes = fastrand::u128(..).to_ne_bytes();
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&HEX[usize::from(byte)]);
        }
        RequestId(digits)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Outcome {
            reason: Reason::Proxied,
            detail: Cow::Borrowed(""),
            ended_by: None,
            source: Source::Service,
        }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_query_goes_upstream() {
        let at = "127.0.0.1:80".parse().unwrap();
        let mut request = RequestHead::default();
        request.set_target(b"/a/b?key=secret&z=1");
        let mut exchange = Exchange::new(RequestId::random(), Client::new(at, at), request, 0);
        exchange.upstream_target = b"/b?key=secret&z=1".to_vec();
        exchange.set_query(b"z=1");
        assert_eq!(exchange.request.target(), b"/a/b?z=1");
        assert_eq!(exchange.upstream_target, b"/b?z=1");
        exchange.set_query(b"");
        assert_eq!((exchange.request.target(), &*exchange.upstream_target), (&b"/a/b"[..], &b"/b"[..]));
    }

    #[test]
    fn a_record_that_is_used_again_shows_the_later_exchange_alone() {
        let exchange = |target: &[u8], correlation_id: Option<&str>| {
            let at = "127.0.0.1:80".parse().unwrap();
            let mut request = RequestHead::default();
            request.set_target(target);
            let mut exchange = Exchange::new(RequestId::random(), Client::new(at, at), request, 7);
            exchange.correlation_id = correlation_id.map(str::to_owned);
            exchange.response.status = 200;
            exchange
        };
        let mut first = exchange(b"/first?x", Some("a"));
        let mut record = Record::of(&mut first);
        first.clear();
        assert_eq!((&*record.target, record.correlation_id.as_deref()), (&b"/first?x"[..], Some("a")));
        let mut second = exchange(b"/b", None);
        record.take(&mut second);
        assert_eq!((&*record.target, record.request.target()), (&b"/b"[..], &b"/b"[..]));
        assert_eq!((record.correlation_id.as_deref(), record.response.status), (None, 200));
        assert_eq!((record.id, record.times.started_us), (second.id, 7));
    }

    #[test]
    fn request_ids_are_32_hex_digits_and_differ() {
        let (a, b) = (RequestId::random(), RequestId::random());
        assert_ne!(a, b);
        assert!(a.as_str().len() == 32 && a.as_str().bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
