//! Requests that are answered with an error instead of an echo, for the same
//! reasons and in the same words as Go's server answers them.
//!
//! Deliberately absent: Go also redirects `//` and `..` in a path, refuses
//! broken escapes and answers `OPTIONS *` itself. Here those are echoed, for
//! whoever asks wants to see what arrived.

use http::{HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};

use crate::{
    answer,
    body::{self, Body},
};

pub(crate) fn refusal(parts: &Parts) -> Option<Response<Body>> {
    if parts.method == Method::CONNECT {
        return Some(answer::text(StatusCode::NOT_FOUND, "404 page not found\n"));
    }
    if let Some(fault) = fault_of_host(parts) {
        return Some(closing(answer::text(StatusCode::BAD_REQUEST, fault)));
    }
    let expects = parts.headers.get(header::EXPECT).filter(|value| !value.is_empty())?;
    let continues = expects.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("100-continue"));
    (!continues).then(|| {
        let mut response = Response::new(body::full(""));
        *response.status_mut() = StatusCode::EXPECTATION_FAILED;
        closing(response)
    })
}

/// RFC 9112 §3.2: exactly one well-formed `Host` in HTTP/1.1.
fn fault_of_host(parts: &Parts) -> Option<&'static str> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_11 => {
            Some("400 Bad Request: missing required Host header")
        }
        (Some(_), Some(_)) => Some("400 Bad Request"),
        (Some(host), None) if !host.as_bytes().iter().copied().all(may_stand_in_host) => {
            Some("400 Bad Request: malformed Host header")
        }
        _ => None,
    }
}

fn may_stand_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;=[']_~".contains(&byte)
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
