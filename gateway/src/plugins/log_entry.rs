//! A finished exchange as Kong's log JSON.
//!
//! Names, shapes and units are those of Kong's serializer; the order of keys, which is arbitrary there, is
//! fixed here. Header values are logged as they were sent, apart from credentials in `Authorization` and
//! `Proxy-Authorization`.

mod entities;

use std::io::Write;
use std::net::IpAddr;

use admin_api::Reason;
use serde_json::json;
use smallvec::SmallVec;
use uuid::Uuid;

use super::json;
use crate::exchange::{Matched, Record, Source, Try};
use crate::http::address;
use crate::http::fields::Field;
use crate::http::name::{Name, NameSet};
use crate::http::query::{self, Argument};
use crate::http::target::{host, resource};
use crate::model::{Consumer, WORKSPACE};
pub use entities::{Entities, as_in_kong};

/// A key with its quotes and colon.
macro_rules! key {
    ($key:literal) => {
        concat!("\"", $key, "\":")
    };
}

/// Most header lines that an entry shows, as in Kong.
const MOST_HEADERS: usize = 100;

/// Appends the entry of a record. `entities` keeps what routes and services look like.
pub fn write(out: &mut Vec<u8>, record: &Record, entities: &mut Entities) {
    let mut entry = Object::begin(out);
    write_request(&mut entry, record);
    entry.string(key!("upstream_uri"), &record.upstream_target);
    write_upstream_status(entry.key(key!("upstream_status")), record);
    write_response(&mut entry, record);
    write_latencies(&mut entry, record);
    // A redirect to HTTPS leaves no trace of the route that asked for it.
    if let Some(matched) = record.matched.as_ref().filter(|_| record.outcome.reason != Reason::HttpsRequired)
    {
        write_matched(&mut entry, matched, &record.tries, entities);
    }
    if let Some(credential) = record.credential {
        let mut entity = entry.object(key!("authenticated_entity"));
        entity.id(key!("id"), credential);
        entity.end();
    }
    if let Some(consumer) = &record.consumer {
        write_consumer(entry.object(key!("consumer")), consumer);
    }
    entry.address(key!("client_ip"), record.client.address);
    entry.number(key!("started_at"), record.times.started_us / 1_000);
    entry
        .string(key!("source"), if record.outcome.source == Source::Service { b"upstream" } else { b"kong" });
    entry.id(key!("workspace"), WORKSPACE);
    entry.string(key!("workspace_name"), b"default");
    if let Some(id) = &record.correlation_id {
        entry.string(key!("correlation_id"), id.as_bytes());
    }
    write_trace_id(&mut entry, record);
    entry.end();
}

fn write_request(entry: &mut Object<'_>, record: &Record) {
    let uri = resource(&record.target);
    let scheme = if record.client.tls.is_some() { "https" } else { "http" };
    let mut port = itoa::Buffer::new();
    let port = port.format(record.client.local.port());
    let host = host(&record.target, &record.request.fields);
    let url = [scheme.as_bytes(), b"://", host.as_bytes(), b":", port.as_bytes(), uri].concat();
    let method = record.request.method_bytes();

    let mut request = entry.object(key!("request"));
    request.string(key!("id"), record.id.as_bytes());
    request.string(key!("uri"), uri);
    request.string(key!("url"), &url);
    request.string(key!("method"), if method.is_empty() { b"GET" } else { method });
    write_query(request.key(key!("querystring")), uri);
    write_headers(request.key(key!("headers")), record.request.fields.iter(), true);
    request.number(key!("size"), record.times.request_bytes);
    if let Some(tls) = &record.client.tls {
        let mut object = request.object(key!("tls"));
        object.string(key!("version"), tls.version.as_bytes());
        object.string(key!("cipher"), tls.cipher.as_bytes());
        object.string(key!("client_verify"), b"NONE");
        object.end();
    }
    request.end();
}

fn write_response(entry: &mut Object<'_>, record: &Record) {
    let mut response = entry.object(key!("response"));
    response.number(key!("status"), record.response.status);
    let mut number = itoa::Buffer::new();
    let length = record.sent.content_length.map(|length| number.format(length));
    let of_the_connection = [
        (Name::ContentLength, length),
        (Name::TransferEncoding, record.sent.chunked.then_some("chunked")),
        (Name::Connection, record.sent.connection),
    ];
    let lines = of_the_connection.iter().filter_map(|(id, value)| {
        Some(Field { id: *id, name: id.as_str().as_bytes(), value: value.as_ref()?.as_bytes() })
    });
    write_headers(response.key(key!("headers")), lines.chain(record.response.fields.iter()), false);
    response.number(key!("size"), record.times.response_bytes);
    response.end();
}

/// Milliseconds. `kong` is the gateway's own time until it forwarded or answered; `proxy` is −1 for what was
/// not forwarded.
fn write_latencies(entry: &mut Object<'_>, record: &Record) {
    let times = &record.times;
    let own = times.forwarded_us.unwrap_or(times.answered_us) / 1_000;
    let mut latencies = entry.object(key!("latencies"));
    latencies.number(key!("kong"), own);
    latencies.number(key!("proxy"), times.upstream_us.map_or(-1, |us| (us / 1_000) as i64));
    latencies.number(key!("request"), times.total_us / 1_000);
    latencies.number(key!("receive"), times.receive_us / 1_000);
    latencies.end();
}

fn write_matched(entry: &mut Object<'_>, matched: &Matched, tries: &[Try], entities: &mut Entities) {
    let route = entities.route(&matched.route);
    entry.key(key!("route")).extend_from_slice(&route);
    if let Some(service) = &matched.service {
        let service = entities.service(service);
        entry.key(key!("service")).extend_from_slice(&service);
    }
    write_tries(entry.key(key!("tries")), tries);
}

fn write_tries(out: &mut Vec<u8>, tries: &[Try]) {
    out.push(b'[');
    for (at, attempt) in tries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut object = Object::begin(out);
        object.address(key!("ip"), attempt.address.ip());
        object.number(key!("port"), attempt.address.port());
        object.number(key!("balancer_start"), attempt.balancer_start_ns / 1_000_000);
        object.number(key!("balancer_start_ns"), attempt.balancer_start_ns);
        object.number(key!("balancer_latency"), attempt.balancer_ns / 1_000_000);
        object.number(key!("balancer_latency_ns"), attempt.balancer_ns);
        if attempt.failed {
            object.string(key!("state"), b"failed");
        }
        if let Some(code) = attempt.code {
            object.number(key!("code"), code);
        }
        object.end();
    }
    out.push(b']');
}

/// The status of each attempt, `502, 200`. One without an answer shows what it would have been answered with;
/// `-` when the client left before that was known.
fn write_upstream_status(out: &mut Vec<u8>, record: &Record) {
    out.push(b'"');
    for (at, attempt) in record.tries.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        match attempt.status.or(attempt.code).unwrap_or(record.response.status) {
            499 => out.push(b'-'),
            status => out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes()),
        }
    }
    out.push(b'"');
}

fn write_consumer(mut object: Object<'_>, consumer: &Consumer) {
    object.id(key!("id"), consumer.id);
    if let Some(username) = &consumer.username {
        object.string(key!("username"), username.as_bytes());
    }
    if let Some(custom_id) = &consumer.custom_id {
        object.string(key!("custom_id"), custom_id.as_bytes());
    }
    if let Some(tags) = &consumer.tags {
        json::value(object.key(key!("tags")), &json!(tags));
    }
    object.number(key!("created_at"), consumer.created_at);
    object.number(key!("updated_at"), consumer.updated_at);
    object.end();
}

/// The trace id in every format in which the request went on.
fn write_trace_id(entry: &mut Object<'_>, record: &Record) {
    let told = record.trace.as_ref().map(|trace| trace.told()).unwrap_or_default();
    if told.is_empty() {
        return;
    }
    let out = entry.key(key!("trace_id"));
    for (at, (format, id)) in told.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        // Neither needs an escape, and writing to a vector can't fail.
        let _ = write!(out, "\"{format}\":\"{id}\"");
    }
    out.push(b'}');
}

fn write_query(out: &mut Vec<u8>, uri: &[u8]) {
    let query = memchr::memchr(b'?', uri).map_or(&[][..], |at| &uri[at + 1..]);
    let arguments: Vec<_> = if query.is_empty() { Vec::new() } else { query::arguments(query).collect() };
    let name = |out: &mut Vec<u8>, argument: &Argument<'_>| json::string(out, &argument.name);
    let value = |out: &mut Vec<u8>, argument: &Argument<'_>| match &argument.value {
        Some(value) => json::string(out, value),
        None => out.extend_from_slice(b"true"),
    };
    write_grouped(out, &arguments, |a, b| a.name == b.name, name, value);
}

fn write_headers<'a>(out: &mut Vec<u8>, fields: impl Iterator<Item = Field<'a>> + Clone, redact: bool) {
    let fields = fields.take(MOST_HEADERS);
    let name = |out: &mut Vec<u8>, field: &Field<'_>| {
        let known = field.id.lower_case();
        if !known.is_empty() {
            out.push(b'"');
            out.extend_from_slice(known.as_bytes());
            return out.push(b'"');
        }
        let start = out.len();
        json::string(out, field.name);
        // Escapes are lower-case anyway.
        out[start..].make_ascii_lowercase();
    };
    let value = |out: &mut Vec<u8>, field: &Field<'_>| {
        let secret = redact && matches!(field.id, Name::Authorization | Name::ProxyAuthorization);
        json::string(out, if secret { b"REDACTED" } else { field.value });
    };
    let mut seen = NameSet::of(&[]);
    let same = |a: &Field<'_>, b: &Field<'_>| a.id == b.id && a.name.eq_ignore_ascii_case(b.name);
    let repeats = |(at, field): (usize, Field<'a>)| {
        let mut earlier = fields.clone().take(at);
        !seen.insert(field.id) && (field.id != Name::Other || earlier.any(|earlier| same(&earlier, &field)))
    };
    if fields.clone().enumerate().any(repeats) {
        let lines: SmallVec<[Field<'_>; 24]> = fields.collect();
        return write_grouped(out, &lines, same, name, value);
    }
    // Nearly always no two lines have the same name.
    let mut separator = b'{';
    for field in fields {
        out.push(std::mem::replace(&mut separator, b','));
        name(out, &field);
        out.push(b':');
        value(out, &field);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// An object of items in order of first mention; a name that comes more than once gets an array.
fn write_grouped<T>(
    out: &mut Vec<u8>,
    items: &[T],
    same: impl Fn(&T, &T) -> bool,
    name: impl Fn(&mut Vec<u8>, &T),
    value: impl Fn(&mut Vec<u8>, &T),
) {
    out.push(b'{');
    let mut first = true;
    for (at, item) in items.iter().enumerate() {
        if items[..at].iter().any(|earlier| same(earlier, item)) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        name(out, item);
        out.push(b':');
        let mut more = items[at + 1..].iter().filter(|later| same(later, item)).peekable();
        if more.peek().is_none() {
            value(out, item);
            continue;
        }
        out.push(b'[');
        value(out, item);
        for later in more {
            out.push(b',');
            value(out, later);
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// An object under way.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// What comes before the next key.
    separator: u8,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Object<'a> {
        Object { out, separator: b'{' }
    }

    /// Writes a key as [`key!`] gives it; the value is to be appended to what this returns.
    fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.out.push(std::mem::replace(&mut self.separator, b','));
        self.out.extend_from_slice(key.as_bytes());
        self.out
    }

    fn string(&mut self, key: &'static str, value: &[u8]) {
        json::string(self.key(key), value);
    }

    fn id(&mut self, key: &'static str, id: Uuid) {
        let mut digits = Uuid::encode_buffer();
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(id.hyphenated().encode_lower(&mut digits).as_bytes());
        out.push(b'"');
    }

    fn address(&mut self, key: &'static str, address: IpAddr) {
        let out = self.key(key);
        out.push(b'"');
        address::write(out, address);
        out.push(b'"');
    }

    fn number(&mut self, key: &'static str, value: impl itoa::Integer) {
        self.key(key).extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn object(&mut self, key: &'static str) -> Object<'_> {
        Object::begin(self.key(key))
    }

    fn end(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests;
