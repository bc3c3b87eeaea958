//! Answers: what a request comes to, and how it is put on the wire.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY, WARNING,
};
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;

use super::media::Format;
use crate::failure::Failure;
use crate::wire;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// From here on a compressed answer is worth its time.
const WORTH_COMPRESSING: usize = 128 * 1024;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// What the client should tell its user.
    pub(crate) warnings: Vec<String>,
}

pub(crate) enum Content {
    /// An object, list or status, in the form that the client asked for.
    Object(Value),
    /// Always JSON, whatever was asked for.
    Json(Value),
    Text(String),
    Raw(&'static str, Bytes),
    Stream(&'static str, BoxStream<'static, Bytes>),
    Empty,
}

impl Answer {
    pub(crate) fn new(status: u16, content: Content) -> Answer {
        Answer { status, content, headers: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn object(value: Value) -> Answer {
        Answer::new(200, Content::Object(value))
    }

    pub(crate) fn text(status: u16, text: impl Into<String>) -> Answer {
        Answer::new(status, Content::Text(text.into()))
    }

    /// What is not ours, in the plain words of Go's library.
    pub(crate) fn page_not_found() -> Answer {
        Answer::text(404, "404 page not found\n")
    }

    pub(crate) fn warned(mut self, warnings: impl IntoIterator<Item = String>) -> Answer {
        self.warnings.extend(warnings);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Answer {
        let answer = Answer::new(failure.code, Content::Object(failure.status()));
        match failure.retry_after() {
            Some(seconds) => answer.header(RETRY_AFTER, seconds.to_string()),
            None => answer,
        }
    }
}

/// Puts an answer on the wire in a form.
pub(crate) fn respond(answer: Answer, format: Format, request: &HeaderMap) -> Response<Body> {
    let (media_type, body) = match answer.content {
        Content::Object(value) => encode(&value, format),
        Content::Json(value) => (Format::Json.media_type(), json(&value)),
        Content::Text(text) => ("text/plain; charset=utf-8", text.into()),
        Content::Raw(media_type, bytes) => (media_type, bytes),
        Content::Stream(media_type, stream) => {
            let body = StreamBody::new(stream.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync();
            return finish(answer.status, media_type, answer.headers, answer.warnings, body);
        }
        Content::Empty => ("", Bytes::new()),
    };
    let mut headers = answer.headers;
    let body = match compressed(&body, request) {
        Some(smaller) => {
            headers.push((CONTENT_ENCODING, "gzip".to_owned()));
            headers.push((VARY, "Accept-Encoding".to_owned()));
            smaller
        }
        None => body,
    };
    finish(answer.status, media_type, headers, answer.warnings, Full::new(body).boxed_unsync())
}

fn finish(
    status: u16,
    media_type: &'static str,
    headers: Vec<(HeaderName, String)>,
    warnings: Vec<String>,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let map = response.headers_mut();
    if !media_type.is_empty() {
        map.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    map.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            map.insert(name, value);
        }
    }
    for warning in told(warnings) {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", quoted(&warning))) {
            map.append(WARNING, value);
        }
    }
    response
}

/// The warnings there is room for: each once; where they are long in all, each is cut.
fn told(warnings: Vec<String>) -> Vec<String> {
    const LONGEST: usize = 256;
    const LONGEST_IN_ALL: usize = 4096;
    let mut seen = HashSet::new();
    let once = warnings.into_iter().filter(|text| !text.is_empty() && seen.insert(text.clone()));
    let once: Vec<String> = once.collect();
    let length = |text: &String| text.chars().count();
    if once.iter().map(length).sum::<usize>() <= LONGEST_IN_ALL {
        return once;
    }
    let cut = once.into_iter().map(|text| text.chars().take(LONGEST).collect::<String>());
    let mut room = LONGEST_IN_ALL;
    cut.take_while(|text| {
        let fits = room > 0;
        room = room.saturating_sub(length(text));
        fits
    })
    .collect()
}

/// A quoted string as headers have it; control characters can't be in one.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn encode(value: &Value, format: Format) -> (&'static str, Bytes) {
    match format {
        Format::Json => (format.media_type(), json(value)),
        Format::Yaml => (format.media_type(), crate::yaml::write(value).into()),
        Format::Protobuf => match wire::encode(value) {
            Some(bytes) => (format.media_type(), bytes.into()),
            None => (Format::Json.media_type(), json(value)),
        },
    }
}

fn json(value: &Value) -> Bytes {
    let mut text = value.to_string();
    text.push('\n');
    text.into()
}

fn compressed(body: &Bytes, request: &HeaderMap) -> Option<Bytes> {
    let accepts = request.get(http::header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if body.len() < WORTH_COMPRESSING || !accepts.is_some_and(|accepts| accepts.contains("gzip")) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
