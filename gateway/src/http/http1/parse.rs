//! Bytes to heads. What is not plainly valid is refused: two readers of an ambiguous head is how requests are
//! smuggled.

use std::mem::MaybeUninit;

use httparse::Status;

use crate::http::fields::Span;
use crate::http::head::{RequestHead, ResponseHead, Version};

/// More lines than this are never parsed, whatever the limits say.
pub const MOST_FIELDS: usize = 512;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the request line, or of the status line.
    pub line: usize,
    /// Bytes of any one header line.
    pub field: usize,
    /// Bytes of the whole head.
    pub head: usize,
    /// Number of header lines, at most 512.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { line: 8 << 10, field: 8 << 10, head: 32 << 10, fields: 100 }
    }
}

/// How far parsing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The head is these many bytes long.
    Complete(usize),
    /// More bytes are needed.
    Partial,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the first line is malformed")]
    Line,
    #[error("the HTTP version is not 1.0 or 1.1")]
    Version,
    #[error("a header line is malformed")]
    Field,
    #[error("the first line is too long")]
    LineTooLong,
    #[error("a header line or the header is too large")]
    TooLarge,
    #[error("there are too many header lines")]
    TooMany,
    #[error("this is HTTP/2")]
    Http2,
}

/// Reads a request's head. On `Complete` the head owns a copy of the bytes.
pub fn request(bytes: &[u8], head: &mut RequestHead, limits: &HeadLimits) -> Result<Parsed, HeadError> {
    let mut storage = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let storage = &mut storage[..limits.fields.min(MOST_FIELDS)];
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(bytes, storage) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return partial(bytes, limits),
        Err(httparse::Error::Version) if let Some(known) = as_known_version(bytes) => {
            return request(&known, head, limits);
        }
        Err(error) => return Err(refusal(error, bytes, limits)),
    };
    check_sizes(&bytes[..length], limits)?;
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HeadError::Line);
    };
    let place = |part: &[u8]| span(bytes, part);
    head.fields.adopt(&bytes[..length]);
    head.set_line(place(method.as_bytes()), place(target.as_bytes()));
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    for field in parsed.headers.iter() {
        head.fields.push_slot(place(field.name.as_bytes()), place(field.value));
    }
    Ok(Parsed::Complete(length))
}

/// Reads a response's head. On `Complete` the head owns a copy of the bytes.
pub fn response(bytes: &[u8], head: &mut ResponseHead, limits: &HeadLimits) -> Result<Parsed, HeadError> {
    let mut storage = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let storage = &mut storage[..limits.fields.min(MOST_FIELDS)];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, bytes, storage) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return partial(bytes, limits),
        Err(error) => return Err(refusal(error, bytes, limits)),
    };
    check_sizes(&bytes[..length], limits)?;
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else { return Err(HeadError::Line) };
    if !(100..=999).contains(&status) {
        return Err(HeadError::Line);
    }
    let place = |part: &[u8]| span(bytes, part);
    head.fields.adopt(&bytes[..length]);
    // An empty phrase is a static text of httparse, not a part of `bytes`.
    let reason = match parsed.reason {
        Some(phrase) if !phrase.is_empty() => place(phrase.as_bytes()),
        _ => Span::default(),
    };
    head.set_line(status, reason);
    head.version = if version == 0 { Version::Http10 } else { Version::Http11 };
    for field in parsed.headers.iter() {
        head.fields.push_slot(place(field.name.as_bytes()), place(field.value));
    }
    Ok(Parsed::Complete(length))
}

/// Reads what is readable of a head that was refused: its first line and the lines before the first bad one. For
/// the log, and for answering in a form the client understands; never for serving it.
pub fn salvage(bytes: &[u8], head: &mut RequestHead) {
    head.clear();
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next().unwrap_or_default().splitn(3, |byte| *byte == b' ');
    let is_visible = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
    if !is_visible(method) || !is_visible(target) {
        return;
    }
    head.set_method(method);
    head.set_target(target);
    for line in lines.take(MOST_FIELDS) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_visible(name) || value.iter().any(u8::is_ascii_control) {
            return;
        }
        head.fields.append(name, value);
    }
}

fn span(whole: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return Span::default();
    }
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    Span { start: start as u32, length: part.len() as u32 }
}

fn check_sizes(head: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    // Nearly every head is shorter than any part of it may be.
    if head.len() <= limits.line.min(limits.field).min(limits.head) {
        return Ok(());
    }
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    if lines.next().is_some_and(|line| line.len() > limits.line) {
        return Err(HeadError::LineTooLong);
    }
    if head.len() > limits.head || lines.any(|line| line.len() > limits.field) {
        return Err(HeadError::TooLarge);
    }
    Ok(())
}

/// An unfinished head is refused as soon as it can't become a small enough one.
fn partial(bytes: &[u8], limits: &HeadLimits) -> Result<Parsed, HeadError> {
    let Some(end_of_line) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() > limits.line + 1 { Err(HeadError::LineTooLong) } else { Ok(Parsed::Partial) };
    };
    if end_of_line > limits.line + 1 {
        return Err(HeadError::LineTooLong);
    }
    let last_line = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    if bytes.len() > limits.head || bytes.len() - last_line > limits.field + 1 {
        return Err(HeadError::TooLarge);
    }
    Ok(Parsed::Partial)
}

fn refusal(error: httparse::Error, bytes: &[u8], limits: &HeadLimits) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooMany,
        httparse::Error::Version if names_a_version(bytes) => HeadError::Version,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::Field,
        _ if memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()) > limits.line + 1 => HeadError::LineTooLong,
        _ => HeadError::Line,
    }
}

/// A later version of HTTP/1 is to be read as the latest we know (RFC 9110 §2.5): the same request in that one.
fn as_known_version(bytes: &[u8]) -> Option<Vec<u8>> {
    let empty = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = bytes[empty..].split(|byte| *byte == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] = line else { return None };
    let mut known = bytes.to_vec();
    known[empty + line.len() - 1] = b'1';
    Some(known)
}

/// Whether the first line begins or ends with `HTTP/` and two digits: a version we don't speak and no nonsense.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let is_version = |word: &[u8]| {
        matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit())
    };
    // A target with a blank in it leaves more words than a request line has.
    let (first, third, rest) = (words.next(), words.nth(1), words.next());
    first.is_some_and(is_version) || rest.is_none() && third.is_some_and(is_version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::head::Method;
    use crate::http::name::Name;

    fn parsed(bytes: &[u8]) -> Result<(RequestHead, Parsed), HeadError> {
        let mut head = RequestHead::default();
        request(bytes, &mut head, &HeadLimits::default()).map(|parsed| (head, parsed))
    }

    #[test]
    fn reads_a_request() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-Odd:  y \r\nEmpty:\r\n\r\nbody";
        let (head, length) = parsed(bytes).unwrap();
        assert_eq!(length, Parsed::Complete(bytes.len() - 4));
        assert_eq!(
            (head.method(), head.target(), head.version),
            (Method::Post, &b"/a?b"[..], Version::Http11)
        );
        assert_eq!(head.fields.get(Name::Host), Some(&b"x"[..]));
        assert_eq!(head.fields.get("x-odd"), Some(&b"y"[..]));
        assert_eq!(head.fields.get("empty"), Some(&b""[..]));
    }

    #[test]
    fn refuses_what_is_not_plainly_valid() {
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"[..], HeadError::Field),
            (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", HeadError::Field),
            (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", HeadError::Field),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", HeadError::Field),
            (b"GET / HTTP/1.2 HTTP/1.2\r\n\r\n", HeadError::Line),
            (b"GET / HTTP/1.12\r\n\r\n", HeadError::Line),
            (b"GET / HTTP/2.0\r\n\r\n", HeadError::Version),
            (b"GET / HTTP/01.1\r\n\r\n", HeadError::Line),
            (b"GET / HTTP/1\r\n\r\n", HeadError::Line),
            (b"GET /a b HTTP/1.1\r\n\r\n", HeadError::Line),
            (b"GET / HTTP/1.1 \r\n\r\n", HeadError::Line),
            (b"GET /\r\n\r\n", HeadError::Line),
            (b"GET / HTTP/1.1\rHost: x\r\r", HeadError::Line),
        ] {
            let seen = parsed(bytes).map(|(_, parsed)| parsed);
            assert_eq!(seen, Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_later_version_is_read_as_the_latest_known() {
        let bytes = b"\r\nGET /a HTTP/1.2\r\nHost: x\r\n\r\nbody";
        let (head, length) = parsed(bytes).unwrap();
        assert_eq!(length, Parsed::Complete(bytes.len() - 4));
        assert_eq!((head.target(), head.version), (&b"/a"[..], Version::Http11));
        assert_eq!(head.fields.get(Name::Host), Some(&b"x"[..]));
        assert_eq!(parsed(b"GET /a HTTP/1.9\r\nHo").unwrap().1, Parsed::Partial);
    }

    #[test]
    fn what_stands_before_the_bad_line_is_salvaged() {
        let mut head = RequestHead::default();
        salvage(b"GET /a HTTP/1.1\r\nAccept: text/html\r\nbad line\r\nHost: x\r\n\r\n", &mut head);
        assert_eq!((head.method(), head.target()), (Method::Get, &b"/a"[..]));
        assert_eq!(head.fields.get(Name::Accept), Some(&b"text/html"[..]));
        assert!(!head.fields.contains(Name::Host));
        salvage(b"\x16\x03\x01", &mut head);
        assert_eq!((head.target(), head.fields.len()), (&b""[..], 0));
    }

    #[test]
    fn sizes_are_limited_also_while_incomplete() {
        let line = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000));
        assert_eq!(parsed(line.as_bytes()).unwrap_err(), HeadError::LineTooLong);
        assert_eq!(parsed(&line.as_bytes()[..8_500]).unwrap_err(), HeadError::LineTooLong);
        let field = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(9_000));
        assert_eq!(parsed(field.as_bytes()).unwrap_err(), HeadError::TooLarge);
        assert_eq!(parsed(&field.as_bytes()[..8_500]).unwrap_err(), HeadError::TooLarge);
        // Blanks count whether the line is complete or not.
        let blank = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", " ".repeat(9_000));
        assert_eq!(parsed(blank.as_bytes()).unwrap_err(), HeadError::TooLarge);
        assert_eq!(parsed(&blank.as_bytes()[..8_500]).unwrap_err(), HeadError::TooLarge);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(parsed(many.as_bytes()).unwrap_err(), HeadError::TooMany);
    }

    #[test]
    fn reads_a_response_with_and_without_a_phrase() {
        let mut head = ResponseHead::default();
        let limits = HeadLimits::default();
        let bytes = b"HTTP/1.1 200 Fine\r\nA: b\r\n\r\n";
        assert_eq!(response(bytes, &mut head, &limits), Ok(Parsed::Complete(bytes.len())));
        assert_eq!((head.status, head.reason()), (200, &b"Fine"[..]));
        assert!(response(b"HTTP/1.0 204\r\n\r\n", &mut head, &limits).is_ok());
        assert_eq!((head.status, head.reason(), head.version), (204, &b""[..], Version::Http10));
        assert_eq!(response(b"this is not http\r\n\r\n", &mut head, &limits), Err(HeadError::Line));
        assert_eq!(response(b"HTTP/2.0 200 OK\r\n\r\n", &mut head, &limits), Err(HeadError::Version));
    }

    /// Bytes that are nearly a head: pieces of one in any order, and anything at all.
    fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            &b"GET / HTTP/1.1\r\n"[..],
            b"HTTP/1.1 200 OK\r\n",
            b"Host: a\r\n",
            b"Content-Length: 5\r\n",
            b"X:\r\n y\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b": ",
            b" ",
            b"\xff",
        ];
        let piece = prop_oneof![
            prop::sample::select(pieces.to_vec()).prop_map(<[u8]>::to_vec),
            prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_not_yet_or_refused(bytes in nearly_a_head()) {
            let limits = HeadLimits::default();
            let mut head = RequestHead::default();
            if let Ok(Parsed::Complete(length)) = request(&bytes, &mut head, &limits) {
                prop_assert!(length <= bytes.len() && bytes[..length].ends_with(b"\n"));
                for field in head.fields.iter() {
                    prop_assert!(!field.name.is_empty() && field.name.iter().all(u8::is_ascii_graphic));
                    prop_assert!(field.value.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
                }
                // What comes behind it changes nothing.
                let mut again = RequestHead::default();
                prop_assert_eq!(request(&bytes[..length], &mut again, &limits), Ok(Parsed::Complete(length)));
            }
            if let Ok(Parsed::Complete(length)) = response(&bytes, &mut ResponseHead::default(), &limits) {
                prop_assert!(length <= bytes.len());
            }
            salvage(&bytes, &mut head);
        }

        #[test]
        fn a_head_is_the_same_whatever_the_pieces_it_comes_in(bytes in nearly_a_head(), cut in 0..200usize) {
            let limits = HeadLimits::default();
            let early = request(&bytes[..cut.min(bytes.len())], &mut RequestHead::default(), &limits);
            let late = request(&bytes, &mut RequestHead::default(), &limits);
            // What was decided stays decided.
            match early {
                Ok(Parsed::Partial) => {}
                decided => prop_assert_eq!(decided.is_ok(), late.is_ok()),
            }
        }
    }
}
