//! What a line says, from the copy that a worker made to the bytes that are written.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use admin_api::Reason;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Format;
use crate::exchange::{Exchange, RequestId};
use crate::http::address;
use crate::http::head::Version;
use crate::http::name::Name;

/// A text is cut at this many bytes.
const LONGEST: usize = 4 << 10;

/// What is copied of an exchange. Its texts stand in the batch, in the order of [`Text`].
pub(super) struct Row {
    id: RequestId,
    client: IpAddr,
    started_us: u64,
    total_us: u64,
    upstream_us: Option<u64>,
    request_bytes: u64,
    response_bytes: u64,
    /// Those without the head.
    body_bytes: u64,
    target: Option<SocketAddr>,
    attempts: u32,
    status: u16,
    version: Version,
    tls: bool,
    reason: Reason,
    lengths: [u16; TEXTS],
}

const TEXTS: usize = 8;

/// The texts of a row.
struct Texts<'a> {
    method: &'a [u8],
    target: &'a [u8],
    host: &'a [u8],
    referer: &'a [u8],
    user_agent: &'a [u8],
    route: &'a [u8],
    service: &'a [u8],
    consumer: &'a [u8],
}

impl Row {
    /// Copies an exchange; its texts go behind the others.
    pub(super) fn of(exchange: &Exchange, text: &mut Vec<u8>) -> Row {
        let (request, times) = (&exchange.request, &exchange.times);
        let header = |name: Name| request.fields.get(name).unwrap_or_default();
        let route = exchange.route().and_then(|route| route.name.as_deref());
        let service = exchange.service().and_then(|service| service.name.as_deref());
        let consumer = exchange.consumer.as_deref();
        let consumer =
            consumer.and_then(|consumer| consumer.username.as_deref().or(consumer.custom_id.as_deref()));
        let texts = [
            request.method_bytes(),
            request.target(),
            header(Name::Host),
            header(Name::Referer),
            header(Name::UserAgent),
            route.unwrap_or_default().as_bytes(),
            service.unwrap_or_default().as_bytes(),
            consumer.unwrap_or_default().as_bytes(),
        ];
        let lengths = texts.map(|part| {
            let part = &part[..part.len().min(LONGEST)];
            text.extend_from_slice(part);
            part.len() as u16
        });
        Row {
            id: exchange.id,
            client: exchange.client.address,
            started_us: times.started_us,
            total_us: times.total_us,
            upstream_us: times.upstream_us,
            request_bytes: times.request_bytes,
            response_bytes: times.response_bytes,
            body_bytes: times.response_bytes.saturating_sub(exchange.sent.head_bytes),
            target: exchange.tries.last().map(|attempt| attempt.address),
            attempts: exchange.tries.len() as u32,
            status: exchange.response.status,
            version: request.version,
            tls: exchange.client.tls.is_some(),
            reason: exchange.outcome.reason,
            lengths,
        }
    }

    /// Takes its texts off the front.
    fn texts<'a>(&self, mut rest: &'a [u8]) -> (Texts<'a>, &'a [u8]) {
        let mut parts = [&rest[..0]; TEXTS];
        for (part, length) in parts.iter_mut().zip(self.lengths) {
            // What a batch counts is there.
            (*part, rest) = rest.split_at(usize::from(length).min(rest.len()));
        }
        let [method, target, host, referer, user_agent, route, service, consumer] = parts;
        (Texts { method, target, host, referer, user_agent, route, service, consumer }, rest)
    }
}

/// Writes lines, and remembers the second that it wrote last.
pub(super) struct Writer {
    format: Format,
    second: u64,
    /// That second as it stands in a line.
    time: String,
}

impl Writer {
    pub(super) fn new(format: Format) -> Writer {
        Writer { format, second: u64::MAX, time: String::new() }
    }

    /// Appends the line of a row whose texts are in front of `rest`. Gives what is behind them.
    pub(super) fn line<'a>(&mut self, out: &mut Vec<u8>, row: &Row, rest: &'a [u8]) -> &'a [u8] {
        let (texts, rest) = row.texts(rest);
        match self.format {
            Format::Text => self.text(out, row, &texts),
            Format::Json => self.json(out, row, &texts),
        }
        rest
    }

    /// nginx's `combined`, and the id as in Kong's `kong_log_format`. Like there, the time is that of the end.
    fn text(&mut self, out: &mut Vec<u8>, row: &Row, texts: &Texts<'_>) {
        self.at_second((row.started_us + row.total_us) / 1_000_000, "%d/%b/%Y:%H:%M:%S +0000");
        address::write(out, row.client);
        out.extend_from_slice(b" - ");
        or_dash(out, texts.consumer);
        out.extend_from_slice(b" [");
        out.extend_from_slice(self.time.as_bytes());
        out.extend_from_slice(b"] \"");
        if texts.method.is_empty() {
            out.push(b'-');
        } else {
            escaped(out, texts.method);
            out.push(b' ');
            escaped(out, texts.target);
            out.push(b' ');
            out.extend_from_slice(protocol(row.version).as_bytes());
        }
        out.extend_from_slice(b"\" ");
        let mut number = itoa::Buffer::new();
        out.extend_from_slice(number.format(row.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(number.format(row.body_bytes).as_bytes());
        for text in [texts.referer, texts.user_agent] {
            out.extend_from_slice(b" \"");
            or_dash(out, text);
            out.push(b'"');
        }
        out.extend_from_slice(b" kong_request_id: \"");
        out.extend_from_slice(row.id.as_bytes());
        out.extend_from_slice(b"\"\n");
    }

    /// The same words as in the feed.
    fn json(&mut self, out: &mut Vec<u8>, row: &Row, texts: &Texts<'_>) {
        self.at_second(row.started_us / 1_000_000, "%Y-%m-%dT%H:%M:%S");
        let mut numbers = itoa::Buffer::new();
        // Writing to a vector can't fail.
        let _ = write!(out, "{{\"started_at\":\"{}.{:06}Z\"", self.time, row.started_us % 1_000_000);
        let string = |out: &mut Vec<u8>, key: &str, text: &[u8]| {
            out.extend_from_slice(key.as_bytes());
            // Writing to a vector can't fail.
            let _ = serde_json::to_writer(out, &String::from_utf8_lossy(text));
        };
        let mut number = |out: &mut Vec<u8>, key: &str, value: u64| {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(numbers.format(value).as_bytes());
        };
        string(out, ",\"id\":", row.id.as_bytes());
        out.extend_from_slice(b",\"client\":\"");
        address::write(out, row.client);
        out.push(b'"');
        string(out, ",\"method\":", texts.method);
        string(out, ",\"host\":", texts.host);
        string(out, ",\"target\":", texts.target);
        string(out, ",\"protocol\":", protocol(row.version).as_bytes());
        out.extend_from_slice(if row.tls { b",\"tls\":true" } else { b",\"tls\":false" });
        number(out, ",\"status\":", u64::from(row.status));
        string(out, ",\"reason\":", row.reason.as_str().as_bytes());
        string(out, ",\"route\":", texts.route);
        string(out, ",\"service\":", texts.service);
        if let Some(target) = row.target {
            let _ = write!(out, ",\"target_address\":\"{target}\"");
        }
        number(out, ",\"attempts\":", u64::from(row.attempts));
        string(out, ",\"consumer\":", texts.consumer);
        number(out, ",\"total_us\":", row.total_us);
        if let Some(upstream_us) = row.upstream_us {
            number(out, ",\"upstream_us\":", upstream_us);
        }
        number(out, ",\"request_bytes\":", row.request_bytes);
        number(out, ",\"response_bytes\":", row.response_bytes);
        string(out, ",\"referer\":", texts.referer);
        string(out, ",\"user_agent\":", texts.user_agent);
        out.extend_from_slice(b"}\n");
    }

    fn at_second(&mut self, second: u64, format: &str) {
        if self.second != second {
            self.second = second;
            let time = Timestamp::from_second(second as i64).unwrap_or_default().to_zoned(TimeZone::UTC);
            self.time = time.strftime(format).to_string();
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2.0",
    }
}

fn or_dash(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        out.push(b'-');
    } else {
        escaped(out, text);
    }
}

/// As nginx escapes: what could end the string or the line is `\xXX`.
fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Without branches, so that the compiler can look at many bytes at a time.
    let special = |byte: u8| !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'\\';
    if !text.iter().fold(false, |any, byte| any | special(*byte)) {
        return out.extend_from_slice(text);
    }
    for &byte in text {
        if special(byte) {
            out.extend([b'\\', b'x', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            out.push(byte);
        }
    }
}
