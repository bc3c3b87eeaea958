//! The head of a request as Go's `Request.Write` prints it: which lines, in
//! which order, with which names.

use http::{HeaderMap, Uri, Version, header, request::Parts};

use super::path;

/// How the body of the request is delimited where it is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What Go says of a client that doesn't say what it is.
const DEFAULT_USER_AGENT: &[u8] = b"Go-http-client/1.1";

/// Printed in places of their own, or not at all.
const NOT_AMONG_THE_REST: [header::HeaderName; 5] =
    [header::HOST, header::USER_AGENT, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER];

pub(super) fn print(parts: &Parts, framing: Framing) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    let version = "HTTP/1.1"; // whatever it was, as in Go
    let method = &parts.method;
    text.extend_from_slice(format!("{method} {} {version}\r\n", target(&parts.uri)).as_bytes());
    line(&mut text, "Host", without_zone(&host(parts)).as_bytes());

    let agent = parts.headers.get(header::USER_AGENT).map_or(DEFAULT_USER_AGENT, |value| value.as_bytes());
    if !agent.is_empty() {
        line(&mut text, "User-Agent", agent);
    }
    if closes(parts) && !first_connection_value_has(&parts.headers, "close") {
        line(&mut text, "Connection", b"close");
    }
    match framing {
        Framing::Chunked => line(&mut text, "Transfer-Encoding", b"chunked"),
        Framing::Length(0) if !matches!(method.as_str(), "POST" | "PUT" | "PATCH") => {}
        Framing::Length(length) => line(&mut text, "Content-Length", length.to_string().as_bytes()),
    }
    let trailers = declared_trailers(&parts.headers);
    if framing == Framing::Chunked && !trailers.is_empty() {
        line(&mut text, "Trailer", trailers.join(",").as_bytes());
    }
    fields(&mut text, &parts.headers, implied_cache_control(&parts.headers));
    text.extend_from_slice(b"\r\n");
    text
}

/// Fields sorted by name; several of one name keep their order.
pub(super) fn fields(text: &mut Vec<u8>, headers: &HeaderMap, implied: Option<(&str, &[u8])>) {
    let mut fields: Vec<(String, &[u8])> = headers
        .iter()
        .filter(|(name, _)| !NOT_AMONG_THE_REST.contains(name))
        .map(|(name, value)| (canonical(name.as_str()), value.as_bytes()))
        .chain(implied.map(|(name, value)| (name.to_owned(), value)))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in fields {
        line(text, &name, value);
    }
}

/// The names announced in `Trailer`, sorted, without those a trailer can't have.
pub(super) fn declared_trailers(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = headers
        .get_all(header::TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| canonical(name.trim()))
        .filter(|name| !matches!(name.as_str(), "" | "Transfer-Encoding" | "Trailer" | "Content-Length"))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The host a request is for: that of an absolute target or of HTTP/2's
/// `:authority`, else the `Host` field.
pub(crate) fn host(parts: &Parts) -> String {
    match parts.uri.authority() {
        Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default().to_owned(),
        None => parts
            .headers
            .get(header::HOST)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
    }
}

fn target(uri: &Uri) -> String {
    let path = path::escaped(uri.path());
    uri.query().map_or_else(|| path.to_string(), |query| format!("{path}?{query}"))
}

fn line(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value.trim_ascii(), b"\r\n"] {
        text.extend_from_slice(part);
    }
}

/// `x-request-id` as `X-Request-Id`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let c = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            upper = c == '-';
            c
        })
        .collect()
}

/// `[fe80::1%25en0]:80` as `[fe80::1]:80` (RFC 6874: a zone means nothing to others).
fn without_zone(host: &str) -> String {
    if host.starts_with('[')
        && let Some(end) = host.rfind(']')
        && let Some(zone) = host[..end].rfind('%')
    {
        return format!("{}{}", &host[..zone], &host[end..]);
    }
    host.to_owned()
}

/// Go reads `Pragma: no-cache` as `Cache-Control: no-cache` where that is missing.
fn implied_cache_control(headers: &HeaderMap) -> Option<(&'static str, &'static [u8])> {
    let implied = headers.get(header::PRAGMA).is_some_and(|value| value == "no-cache")
        && !headers.contains_key(header::CACHE_CONTROL);
    implied.then_some(("Cache-Control", b"no-cache"))
}

/// Whether the client wants the connection closed after this exchange.
fn closes(parts: &Parts) -> bool {
    let asked = |token| connection_values(&parts.headers).any(|value| has_token(value, token));
    asked("close") || parts.version < Version::HTTP_11 && !asked("keep-alive")
}

fn first_connection_value_has(headers: &HeaderMap, token: &str) -> bool {
    connection_values(headers).next().is_some_and(|value| has_token(value, token))
}

fn connection_values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok())
}

fn has_token(value: &str, token: &str) -> bool {
    value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
}
