//! Answers this crate makes up itself, as text or as JSON.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::body::{self, Body};

pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", text.into())
}

/// Indented and ended by a newline, since people read it in a terminal.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string_pretty(value) {
        Ok(json) => with_type(status, "application/json", json + "\n"),
        Err(error) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write the answer: {error}\n"))
        }
    }
}

fn with_type(status: StatusCode, content_type: &'static str, content: String) -> Response<Body> {
    let mut response = Response::new(body::full(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
