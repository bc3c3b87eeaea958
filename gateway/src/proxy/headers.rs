//! The heads that go out: to the upstream, to the client. Framing, hop-by-hop and forwarding lines are written
//! from what is known; of the received lines only those that are meant for the other side pass
//! (RFC 9110 §7.6.1).

use std::io::Write;

use crate::exchange::{Client, Exchange, Matched, Source};
use crate::http::address;
use crate::http::fields::Fields;
use crate::http::head::{RequestHead, Version};
use crate::http::http1::encode::{self, line, reason_phrase};
use crate::http::http1::framing::Framing;
use crate::http::name::{Name, NameSet};

/// What `Via` and `Server` call this gateway.
pub const PRODUCT: &str = concat!("limen/", env!("CARGO_PKG_VERSION"));

/// What `Via` says of an answer over HTTP/1.1.
const VIA: &str = concat!("1.1 limen/", env!("CARGO_PKG_VERSION"));

/// What it says of one over HTTP/2.
const VIA_HTTP2: &str = concat!("2 limen/", env!("CARGO_PKG_VERSION"));

/// Room for the lines that are added to a head.
const OWN_LINES: usize = 512;

/// The host of requests that name none (HTTP/1.0), as Kong calls it.
const NAMELESS_HOST: &str = "kong";

/// Lines of a request that end here, or are written anew.
const NOT_TO_UPSTREAM: NameSet = NameSet::of(&[
    Name::Connection,
    Name::ContentLength,
    Name::Expect,
    Name::Host,
    Name::KeepAlive,
    Name::Proxy,
    Name::ProxyConnection,
    Name::Te,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::Via,
    Name::XForwardedFor,
    Name::XForwardedHost,
    Name::XForwardedPath,
    Name::XForwardedPort,
    Name::XForwardedPrefix,
    Name::XForwardedProto,
    Name::XKongRequestId,
    Name::XRealIp,
]);

/// Lines of an upstream's answer that end here, or are written anew.
const NOT_TO_CLIENT: NameSet = NameSet::of(&[
    Name::Connection,
    Name::ContentLength,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::Te,
    Name::Trailer,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::Via,
    Name::XKongProxyLatency,
    Name::XKongRequestId,
    Name::XKongUpstreamLatency,
]);

/// Lines that say who the consumer is. Only the gateway may, so a client's are removed on arrival; in any spelling,
/// since servers that make variables of names take `_` for `-`.
const IDENTITY: [&[u8]; 6] = [
    b"x-anonymous-consumer",
    b"x-consumer-custom-id",
    b"x-consumer-groups",
    b"x-consumer-id",
    b"x-consumer-username",
    b"x-credential-identifier",
];

/// Lines with which an upstream gives nginx orders. They end here, as in Kong, but nothing obeys them.
const ORDERS_TO_NGINX: [&[u8]; 6] = [
    b"x-accel-buffering",
    b"x-accel-charset",
    b"x-accel-expires",
    b"x-accel-limit-rate",
    b"x-accel-redirect",
    b"x-pad",
];

/// What the upstream's request head needs to be told.
#[derive(Debug, Clone, Copy)]
pub struct Onward<'a> {
    /// Value of Host.
    pub host: &'a [u8],
    pub framing: Framing,
    /// The stripped path prefix, when one was stripped.
    pub prefix: Option<&'a str>,
    /// Ask for the WebSocket protocol.
    pub websocket: bool,
}

/// How the client's connection goes on after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    KeepAlive,
    Close,
    /// It becomes a tunnel.
    Upgrade,
}

impl After {
    /// The value of Connection that says so.
    pub fn connection(self) -> &'static str {
        match self {
            After::KeepAlive => "keep-alive",
            After::Close => "close",
            After::Upgrade => "upgrade",
        }
    }
}

/// Removes lines with which a client could pass for a consumer.
pub fn remove_forged_identity(fields: &mut Fields) {
    if fields.iter().any(|field| is_identity(field.name)) {
        fields.retain(|field| !is_identity(field.name));
    }
}

fn is_identity(name: &[u8]) -> bool {
    // Nearly all names end here.
    if !matches!(name, [b'x' | b'X', b'-' | b'_', b'a' | b'A' | b'c' | b'C', ..]) {
        return false;
    }
    let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || *a == b'_' && *b == b'-';
    IDENTITY.iter().any(|known| known.len() == name.len() && name.iter().zip(*known).all(same))
}

/// Writes the head of a request to an HTTP/1.1 upstream.
pub fn to_upstream(out: &mut Vec<u8>, exchange: &Exchange, onward: &Onward<'_>) {
    let request = &exchange.request;
    out.reserve(request.fields.size() + exchange.upstream_target.len() + OWN_LINES);
    out.extend_from_slice(request.method_bytes());
    out.push(b' ');
    out.extend_from_slice(&exchange.upstream_target);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(onward.host);
    out.extend_from_slice(if onward.websocket {
        b"\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    } else {
        b"\r\nConnection: keep-alive\r\n"
    });
    if accepts_trailers(&request.fields) {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    via(out, request);
    forwarding(out, exchange, onward.prefix);
    out.extend_from_slice(b"X-Kong-Request-Id: ");
    out.extend_from_slice(exchange.id.as_bytes());
    out.extend_from_slice(b"\r\n");
    let nominated = Nominated::of(&request.fields);
    request
        .fields
        .write_lines(out, |field| !NOT_TO_UPSTREAM.contains(field.id) && !nominated.contains(field.name));
    encode::framing_line(out, onward.framing);
    out.extend_from_slice(b"\r\n");
}

/// Edits an upstream's answer into what the client may see of it. Framing is left to [`to_client`].
pub fn clean_upstream_answer(exchange: &mut Exchange, upstream_protocol: &str, websocket: bool) {
    let fields = &mut exchange.response.fields;
    let mut via = joined(fields, Name::Via);
    let nominated = Nominated::of(fields);
    let keep_trailer = accepts_trailers(&exchange.request.fields);
    fields.retain(|field| {
        (!NOT_TO_CLIENT.contains(field.id)
            || field.id == Name::Trailer && keep_trailer
            || field.id == Name::Upgrade && websocket)
            && !nominated.contains(field.name)
            && !(field.id == Name::Other && is_order(field.name))
    });
    add_charset(fields);
    if via.is_empty() && upstream_protocol == "1.1" {
        return fields.append(Name::Via, VIA);
    }
    if !via.is_empty() {
        via.extend_from_slice(b", ");
    }
    // Writing to a vector can't fail.
    let _ = write!(via, "{upstream_protocol} {PRODUCT}");
    fields.append(Name::Via, &via);
}

fn is_order(name: &[u8]) -> bool {
    matches!(name, [b'x' | b'X', b'-', ..])
        && ORDERS_TO_NGINX.iter().any(|order| order.eq_ignore_ascii_case(name))
}

/// Writes those lines of an interim answer that are meant for the client.
pub fn end_to_end_lines(out: &mut Vec<u8>, fields: &Fields) {
    let nominated = Nominated::of(fields);
    for field in fields.iter() {
        if !NOT_TO_CLIENT.contains(field.id) && !nominated.contains(field.name) {
            line(out, field.name, field.value);
        }
    }
}

/// Adds what the gateway says on every answer: latencies, its name, the request id, and plugins' lines.
pub fn add_gateway_lines(exchange: &mut Exchange, asked_upstream: bool) {
    let mut number = itoa::Buffer::new();
    let times = exchange.times;
    let fields = &mut exchange.response.fields;
    fields.set_all(&exchange.on_response);
    if !fields.contains(Name::Server) || exchange.outcome.source != Source::Service {
        fields.set(Name::Server, PRODUCT);
    }
    if asked_upstream {
        let upstream = times.upstream_us.unwrap_or(0) / 1_000;
        fields.set(Name::XKongUpstreamLatency, number.format(upstream));
        fields.set(Name::XKongProxyLatency, number.format(times.forwarded_us.unwrap_or(0) / 1_000));
        if exchange.outcome.source != Source::Service {
            let over_http2 = exchange.matched.as_ref().is_some_and(Matched::speaks_grpc);
            fields.set(Name::Via, if over_http2 { VIA_HTTP2 } else { VIA });
        }
    } else {
        fields.set(Name::XKongResponseLatency, number.format(times.answered_us / 1_000));
    }
    fields.set(Name::XKongRequestId, exchange.id.as_bytes());
}

/// Writes the head of an answer to an HTTP/1.x client.
pub fn to_client(
    out: &mut Vec<u8>,
    exchange: &Exchange,
    framing: Framing,
    after: After,
    date: Option<&[u8]>,
) {
    let response = &exchange.response;
    out.reserve(response.fields.size() + OWN_LINES);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    if response.reason().is_empty() {
        out.extend_from_slice(reason_phrase(response.status).as_bytes());
    } else {
        out.extend_from_slice(response.reason());
    }
    out.extend_from_slice(b"\r\n");
    if let Some(date) = date {
        line(out, b"Date", date);
    }
    out.extend_from_slice(match after {
        After::KeepAlive => b"Connection: keep-alive\r\n",
        After::Close => b"Connection: close\r\n",
        After::Upgrade => b"Connection: upgrade\r\n",
    });
    response.fields.write_lines(out, |_| true);
    encode::framing_line(out, framing);
    out.extend_from_slice(b"\r\n");
}

/// `X-Forwarded-*` and `X-Real-IP`: a trusted peer's are believed, any other's are written over. The chain in
/// X-Forwarded-For is always continued.
fn forwarding(out: &mut Vec<u8>, exchange: &Exchange, prefix: Option<&str>) {
    let (request, client) = (&exchange.request, &exchange.client);
    out.extend_from_slice(b"X-Forwarded-For: ");
    let mut known = false;
    for part in request.fields.get_all(Name::XForwardedFor) {
        known = true;
        out.extend_from_slice(part);
        out.extend_from_slice(b", ");
    }
    let start = out.len();
    address::write(out, if known { client.peer.ip() } else { client.address });
    let last = start..out.len();
    out.extend_from_slice(b"\r\n");
    if client.trusted {
        return forwarding_believed(out, exchange, prefix);
    }
    out.extend_from_slice(if client.tls.is_some() {
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: "
    } else {
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: "
    });
    write_forwarded_host(out, exchange);
    out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
    out.extend_from_slice(itoa::Buffer::new().format(client.forwarded_port()).as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Path: ");
    out.extend_from_slice(request.path());
    if let Some(prefix) = prefix {
        out.extend_from_slice(b"\r\nX-Forwarded-Prefix: ");
        out.extend_from_slice(prefix.as_bytes());
    }
    out.extend_from_slice(b"\r\nX-Real-IP: ");
    // A peer that is not believed stands for itself, so its address was written just now.
    out.extend_from_within(last);
    out.extend_from_slice(b"\r\n");
}

/// The lines after X-Forwarded-For when the peer is believed: its own stay, missing ones are added.
fn forwarding_believed(out: &mut Vec<u8>, exchange: &Exchange, prefix: Option<&str>) {
    let (fields, client) = (&exchange.request.fields, &exchange.client);
    let scheme: &[u8] = if client.tls.is_some() { b"https" } else { b"http" };
    let host = forwarded_host(exchange);
    let mut port = itoa::Buffer::new();
    let port = port.format(client.forwarded_port());
    for (name, own) in [
        (Name::XForwardedProto, scheme),
        (Name::XForwardedHost, host.as_bytes()),
        (Name::XForwardedPort, port.as_bytes()),
        (Name::XForwardedPath, exchange.request.path()),
    ] {
        line(out, name.as_str().as_bytes(), fields.get(name).unwrap_or(own));
    }
    if let Some(prefix) = fields.get(Name::XForwardedPrefix).or(prefix.map(str::as_bytes)) {
        line(out, b"X-Forwarded-Prefix", prefix);
    }
    out.extend_from_slice(b"X-Real-IP: ");
    address::write(out, client.address);
    out.extend_from_slice(b"\r\n");
}

/// Appends the host the client asked for.
fn write_forwarded_host(out: &mut Vec<u8>, exchange: &Exchange) {
    let host = exchange.request.fields.get(Name::Host).unwrap_or(NAMELESS_HOST.as_bytes());
    let port = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = host[..host.len() - port].strip_suffix(b":").unwrap_or(host);
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if host.iter().all(plain) && host.last() != Some(&b'.') {
        out.extend_from_slice(host);
    } else {
        out.extend_from_slice(host_name(host).as_bytes());
    }
}

/// The host the client asked for: lower-case, without port and final dot.
pub fn forwarded_host(exchange: &Exchange) -> String {
    match exchange.request.fields.get(Name::Host) {
        Some(host) => host_name(host),
        None => NAMELESS_HOST.to_owned(),
    }
}

/// A Host value without its port and final dot, in lower case.
pub fn host_name(host: &[u8]) -> String {
    let text = String::from_utf8_lossy(host);
    let name = match text.rfind(':') {
        Some(at)
            if text[at + 1..].bytes().all(|digit| digit.is_ascii_digit()) && !text[..at].ends_with(':') =>
        {
            if text.starts_with('[') && !text[..at].ends_with(']') {
                &text
            } else {
                &text[..at]
            }
        }
        _ => &text[..],
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn via(out: &mut Vec<u8>, request: &RequestHead) {
    out.extend_from_slice(b"Via: ");
    for part in request.fields.get_all(Name::Via) {
        out.extend_from_slice(part);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(received_protocol(request.version).as_bytes());
    out.extend_from_slice(concat!(" limen/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes());
}

/// The number Kong prints for a protocol version: 1.0 loses its zero.
fn received_protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1",
        other => other.as_str(),
    }
}

/// All values of a name as one list.
fn joined(fields: &Fields, name: Name) -> Vec<u8> {
    let mut value = Vec::new();
    for part in fields.get_all(name) {
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(part);
    }
    value
}

/// Whether the request's TE lists `trailers`, without a weight.
pub fn accepts_trailers(fields: &Fields) -> bool {
    fields.get_all(Name::Te).any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers")))
}

/// The items of a comma-separated list, without blanks; empty ones are left out.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Whether Connection lists an option.
pub fn connection_lists(fields: &Fields, option: &[u8]) -> bool {
    fields
        .get_all(Name::Connection)
        .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(option)))
}

/// nginx adds its charset to texts that name none, and clients can see that.
fn add_charset(fields: &mut Fields) {
    const TEXTS: [&[u8]; 5] =
        [b"text/plain", b"text/html", b"text/xml", b"application/javascript", b"application/rss+xml"];
    let Some(kind) = fields.get(Name::ContentType) else { return };
    if TEXTS.iter().any(|text| text.eq_ignore_ascii_case(kind)) {
        let value = [kind, b"; charset=UTF-8"].concat();
        fields.set(Name::ContentType, value);
    }
}

/// Names that Connection declares to be meant for this hop only.
struct Nominated(Vec<Vec<u8>>);

impl Nominated {
    fn of(fields: &Fields) -> Nominated {
        let plain = |token: &[u8]| {
            [&b"keep-alive"[..], b"close", b"upgrade"].iter().any(|word| word.eq_ignore_ascii_case(token))
        };
        if fields.get_all(Name::Connection).all(plain) {
            return Nominated(Vec::new());
        }
        let names = fields.get_all(Name::Connection).flat_map(tokens).filter(|token| !plain(token));
        Nominated(names.map(<[u8]>::to_vec).collect())
    }

    #[inline]
    fn contains(&self, name: &[u8]) -> bool {
        !self.0.is_empty() && self.0.iter().any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}

impl Client {
    /// The port the client is told to have reached.
    pub fn forwarded_port(&self) -> u16 {
        self.local.port()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_lose_port_dot_and_case() {
        for (host, name) in [
            ("A.Test:1234", "a.test"),
            ("a.test.", "a.test"),
            ("[::1]:99", "[::1]"),
            ("[::1]", "[::1]"),
            ("a.test", "a.test"),
        ] {
            assert_eq!(host_name(host.as_bytes()), name);
        }
    }

    #[test]
    fn nobody_can_pass_for_a_consumer() {
        let mut fields = Fields::default();
        for name in ["X-Consumer-ID", "x_consumer_groups", "X-CONSUMER_USERNAME", "x-credential-identifier"] {
            fields.append(name, "admin");
        }
        for name in ["X-Consumer", "X-Consumer-Ids", "Accept", "X-Custom"] {
            fields.append(name, "kept");
        }
        remove_forged_identity(&mut fields);
        assert_eq!(fields.len(), 4);
        assert!(fields.iter().all(|field| field.value == b"kept"));
    }

    #[test]
    fn charset_is_added_to_bare_texts_only() {
        for (kind, expected) in [
            ("text/plain", "text/plain; charset=UTF-8"),
            ("text/html; charset=latin1", "text/html; charset=latin1"),
            ("application/json", "application/json"),
        ] {
            let mut fields = Fields::default();
            fields.append(Name::ContentType, kind);
            add_charset(&mut fields);
            assert_eq!(fields.get_str(Name::ContentType), Some(expected));
        }
    }
}
