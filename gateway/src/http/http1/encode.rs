//! Heads to bytes. Framing is written from what is known, never copied; every line ends in CRLF.

use super::chunked::write_size;
use super::framing::Framing;
use crate::http::fields::Fields;

/// Adds a header line.
#[inline]
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Adds the line that says how the body is delimited, if one is needed.
pub fn framing_line(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            line(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
        }
        Framing::Chunked => line(out, b"Transfer-Encoding", b"chunked"),
    }
}

/// Adds a stretch of a body. An empty stretch adds nothing: in a chunked body it would mean the end.
pub fn body(out: &mut Vec<u8>, framing: Framing, payload: &[u8]) {
    if payload.is_empty() {
        return;
    }
    if framing == Framing::Chunked {
        write_size(out, payload.len());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    } else {
        out.extend_from_slice(payload);
    }
}

/// Adds the end of a body. Trailers can only follow a chunked one.
pub fn end(out: &mut Vec<u8>, framing: Framing, trailers: Option<&Fields>) {
    if framing != Framing::Chunked {
        return;
    }
    out.extend_from_slice(b"0\r\n");
    for field in trailers.into_iter().flat_map(Fields::iter) {
        line(out, field.name, field.value);
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase nginx, and so Kong, writes for a status. Empty where it has none.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_with_trailers() {
        let mut out = Vec::new();
        body(&mut out, Framing::Chunked, b"hello");
        body(&mut out, Framing::Chunked, b"");
        let mut trailers = Fields::default();
        trailers.append("X-T", "v");
        end(&mut out, Framing::Chunked, Some(&trailers));
        assert_eq!(out, b"5\r\nhello\r\n0\r\nX-T: v\r\n\r\n");
    }
}
