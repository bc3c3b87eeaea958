//! Every answer the gateway makes up itself: the one place that decides what a client sees.
//!
//! Two styles, as Kong has them. An *error* is a template chosen by `Accept`, with the request id in it. An
//! *exit* is sent as the plugin made it. Messages are not escaped, which Kong's clients can observe.

use std::borrow::Cow;

use bytes::Bytes;

use crate::exchange::{Answer, Exchange, Outcome, Source};
use crate::http::head::{Method, Version};
use crate::http::http1::encode::reason_phrase;
use crate::http::name::Name;

/// The form an error body takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
    Html,
    Plain,
    /// `Accept: application/grpc`: nothing from the core, a bare message from the front end.
    Grpc,
}

/// Puts the answer into `exchange.response` and gives its body.
pub fn make(exchange: &mut Exchange, answer: Answer) -> Bytes {
    let reason = answer.reason();
    exchange.response.clear();
    let over_grpc = is_grpc_call(exchange);
    let (source, detail, body) = match answer {
        Answer::Error { status, message, .. } => {
            let body = if over_grpc {
                grpc_status(exchange, status, grpc_name(status), true);
                Bytes::new()
            } else {
                error(exchange, status, &message)
            };
            (Source::Error, message, body)
        }
        Answer::Exit { status, content_type, body, .. } => {
            (Source::Exit, Cow::Borrowed(""), exit(exchange, status, content_type, body, over_grpc))
        }
        Answer::FrontEnd { status, .. } => {
            let message = front_end_message(status);
            (Source::Error, Cow::Borrowed(message), front_end(exchange, status))
        }
        Answer::Page { status, detail, .. } => {
            (Source::Error, Cow::Borrowed(detail), page(exchange, status, detail, true))
        }
    };
    exchange.outcome = Outcome { reason, detail, source, ..exchange.outcome };
    body
}

/// Whether nginx, and so Kong, closes the connection after such an answer: what comes next on it can't be trusted.
pub fn closes(answer: &Answer) -> bool {
    match answer {
        Answer::FrontEnd { status, .. } => matches!(status, 400 | 413 | 414 | 494 | 500),
        Answer::Page { status, .. } => *status >= 400,
        Answer::Exit { status, body, .. } => body.is_empty() && matches!(status, 400 | 413 | 414 | 500 | 501),
        Answer::Error { .. } => false,
    }
}

fn error(exchange: &mut Exchange, status: u16, message: &str) -> Bytes {
    // Anything else is a mistake of the plugin, which Kong answers this way.
    if !(400..=599).contains(&status) {
        return error(exchange, 500, "An unexpected error occurred");
    }
    exchange.response.status = status;
    let form = exchange.request.fields.get_str(Name::Accept).map_or(Form::Json, negotiate);
    if form == Form::Grpc {
        return Bytes::new();
    }
    templated(exchange, form, message)
}

fn front_end(exchange: &mut Exchange, status: u16) -> Bytes {
    exchange.response.status = if status == 494 { 400 } else { status };
    let message = front_end_message(status);
    let fields = &exchange.request.fields;
    let wanted = fields.get_str(Name::Accept).or_else(|| fields.get_str(Name::ContentType));
    match wanted.map_or(Form::Plain, negotiate) {
        Form::Grpc => {
            exchange.response.fields.append(Name::ContentType, "application/json; charset=utf-8");
            Bytes::from(format!("{{\"message\":\"{message}\"}}"))
        }
        form => templated(exchange, form, message),
    }
}

fn exit(
    exchange: &mut Exchange,
    status: u16,
    content_type: Option<Cow<'static, str>>,
    body: Bytes,
    over_grpc: bool,
) -> Bytes {
    if over_grpc && exchange.client_speaks_http2() {
        let message = exit_message(&body).unwrap_or_else(|| grpc_name(status).to_owned());
        grpc_status(exchange, status, &message, false);
        return Bytes::new();
    }
    exchange.response.status = status;
    if body.is_empty() && status >= 300 {
        match status {
            301..=303 => return page(exchange, status, "", false),
            307 | 308 => return page(exchange, status, "", true),
            _ if HAS_FRONT_END_MESSAGE.contains(&status) => return front_end(exchange, status),
            _ => {}
        }
    }
    if let Some(content_type) = content_type {
        exchange.response.fields.append(Name::ContentType, content_type.as_ref());
    }
    body
}

/// nginx's built-in page, without its signature.
fn page(exchange: &mut Exchange, status: u16, detail: &str, charset: bool) -> Bytes {
    exchange.response.status = status;
    let content_type = if charset { "text/html; charset=UTF-8" } else { "text/html" };
    exchange.response.fields.append(Name::ContentType, content_type);
    let phrase = match status {
        302 => "Found",
        other => reason_phrase(other),
    };
    let title = if detail.is_empty() { format!("{status} {phrase}") } else { format!("{status} {detail}") };
    let second = if detail.is_empty() { String::new() } else { format!("<center>{detail}</center>\r\n") };
    Bytes::from(format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{status} {phrase}</h1></center>\r\n\
         {second}</body>\r\n</html>\r\n"
    ))
}

fn templated(exchange: &mut Exchange, form: Form, message: &str) -> Bytes {
    let id = exchange.id;
    let id = id.as_str();
    let (content_type, body) = match form {
        Form::Json | Form::Grpc => (
            "application/json; charset=utf-8",
            format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{id}\"\n}}"),
        ),
        Form::Xml => (
            "application/xml; charset=utf-8",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>{message}</message>\n  \
                 <requestid>{id}</requestid>\n</error>\n"
            ),
        ),
        Form::Html => (
            "text/html; charset=utf-8",
            format!(
                "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  \
                 </head>\n  <body>\n    <h1>Error</h1>\n    <p>{message}.</p>\n    <p>request_id: {id}</p>\n  \
                 </body>\n</html>\n"
            ),
        ),
        Form::Plain => ("text/plain; charset=utf-8", format!("{message}\nrequest_id: {id}\n")),
    };
    exchange.response.fields.append(Name::ContentType, content_type);
    Bytes::from(body)
}

/// The item with the strictly greatest quality decides, the earliest on ties; types are compared as written.
fn negotiate(accept: &str) -> Form {
    let mut best = ("", f64::NEG_INFINITY);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        if quality > best.1 {
            best = (kind, quality);
        }
    }
    match best.0 {
        "text/html" => Form::Html,
        "application/xml" => Form::Xml,
        "text/plain" | "text/*" => Form::Plain,
        kind if kind.starts_with("application/grpc") => Form::Grpc,
        _ => Form::Json,
    }
}

/// gRPC errors travel in headers, and only over HTTP/2.
fn is_grpc_call(exchange: &Exchange) -> bool {
    exchange.client_speaks_http2()
        && exchange
            .request
            .fields
            .get(Name::ContentType)
            .is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

fn grpc_status(exchange: &mut Exchange, status: u16, message: &str, typed: bool) {
    exchange.response.status = status;
    let fields = &mut exchange.response.fields;
    if typed {
        fields.append(Name::ContentType, "application/grpc");
    }
    fields.append("grpc-status", itoa::Buffer::new().format(grpc_code(status)));
    fields.append("grpc-message", message);
}

fn grpc_code(status: u16) -> u8 {
    match status {
        200..=299 => 0,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        429 => 8,
        499 => 1,
        400..=498 => 3,
        501 => 12,
        503 => 14,
        504 => 4,
        500..=599 => 13,
        _ => 2,
    }
}

fn grpc_name(status: u16) -> &'static str {
    match grpc_code(status) {
        0 => "OK",
        1 => "Canceled",
        3 => "InvalidArgument",
        4 => "DeadlineExceeded",
        5 => "NotFound",
        6 => "AlreadyExists",
        7 => "PermissionDenied",
        8 => "ResourceExhausted",
        12 => "Unimplemented",
        13 => "Internal",
        14 => "Unavailable",
        16 => "Unauthenticated",
        _ => "Unknown",
    }
}

/// The `message` of an exit's JSON body.
fn exit_message(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("message")?.as_str().map(str::to_owned)
}

const HAS_FRONT_END_MESSAGE: [u16; 14] =
    [400, 404, 405, 408, 411, 412, 413, 414, 417, 494, 500, 502, 503, 504];

/// What the front end says to a status of its own.
fn front_end_message(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        404 => "Not found",
        405 => "Method not allowed",
        408 => "Request timeout",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Payload too large",
        414 => "URI too long",
        417 => "Expectation failed",
        494 => "Request header or cookie too large",
        502 => "An invalid response was received from the upstream server",
        503 => "The upstream server is currently unavailable",
        504 => "The upstream server is timing out",
        _ => "An unexpected error occurred",
    }
}

impl Exchange {
    fn client_speaks_http2(&self) -> bool {
        self.request.version == Version::Http2
    }

    /// Whether the answer's body is left out on the wire.
    pub fn is_head_request(&self) -> bool {
        self.request.method() == Method::Head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_negotiated_as_kong_does() {
        for (accept, form) in [
            ("*/*", Form::Json),
            ("text/html; charset=utf-8", Form::Html),
            ("text/*", Form::Plain),
            ("text/xml", Form::Json),
            ("", Form::Json),
            ("application/json;q=0.5, text/html;q=0.9", Form::Html),
            ("text/html;q=0.9, application/xml;q=0.9", Form::Html),
            ("text/html;q=0, application/json", Form::Json),
            ("*/*, text/html", Form::Json),
            ("TEXT/HTML", Form::Json),
            ("text/html;level=1;q=0.4, text/plain;q=0.5", Form::Plain),
            ("text/plain; q=1.5, text/html", Form::Plain),
            ("text/html;q=x", Form::Html),
            ("application/grpc", Form::Grpc),
        ] {
            assert_eq!(negotiate(accept), form, "{accept}");
        }
    }
}
