//! Request and response heads: what comes before the body, in a form that is cheap to read, edit and send on.

use super::fields::{Fields, Span};

/// HTTP's version as far as a gateway cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

/// A request method. Methods are case-sensitive (RFC 9110 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Connect,
    Trace,
    /// Any other token; [`RequestHead::method_bytes`] has it.
    Other,
}

/// Everything of a request but its body.
#[derive(Debug, Clone)]
pub struct RequestHead {
    pub fields: Fields,
    pub version: Version,
    method: Method,
    method_text: Span,
    target: Span,
    /// Bytes of the target before its first `?`.
    path_length: u32,
}

/// Everything of a response but its body.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    pub fields: Fields,
    pub version: Version,
    pub status: u16,
    reason: Span,
}

impl Version {
    /// The number as it is written after `HTTP/` and in `Via`.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2",
        }
    }
}

impl Method {
    /// The method a token names.
    pub fn of(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"PATCH" => Method::Patch,
            b"OPTIONS" => Method::Options,
            b"CONNECT" => Method::Connect,
            b"TRACE" => Method::Trace,
            _ => Method::Other,
        }
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        RequestHead {
            fields: Fields::default(),
            version: Version::Http11,
            method: Method::Get,
            method_text: Span::default(),
            target: Span::default(),
            path_length: 0,
        }
    }
}

impl RequestHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.version = Version::Http11;
        self.method = Method::Get;
        self.method_text = Span::default();
        self.target = Span::default();
        self.path_length = 0;
    }

    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as it is written.
    pub fn method_bytes(&self) -> &[u8] {
        self.fields.span(self.method_text)
    }

    /// The request target as received: `/path?query`, an absolute URI, `*`, or an authority.
    pub fn target(&self) -> &[u8] {
        self.fields.span(self.target)
    }

    /// The part of an origin-form target before the first `?`.
    pub fn path(&self) -> &[u8] {
        &self.target()[..self.path_length as usize]
    }

    /// The part after the first `?`, when there is one.
    pub fn query(&self) -> Option<&[u8]> {
        self.target().get(self.path_length as usize + 1..)
    }

    pub fn set_method(&mut self, token: &[u8]) {
        self.method = Method::of(token);
        self.method_text = self.fields.add_span(token);
    }

    pub fn set_target(&mut self, target: &[u8]) {
        let span = self.fields.add_span(target);
        self.take_target(span);
    }

    /// Places of method and target in bytes that `fields` has adopted.
    pub(super) fn set_line(&mut self, method: Span, target: Span) {
        self.method = Method::of(self.fields.span(method));
        self.method_text = method;
        self.take_target(target);
    }

    fn take_target(&mut self, target: Span) {
        let text = self.fields.span(target);
        self.path_length = memchr::memchr(b'?', text).unwrap_or(text.len()) as u32;
        self.target = target;
    }
}

impl Default for ResponseHead {
    fn default() -> Self {
        ResponseHead {
            fields: Fields::default(),
            version: Version::Http11,
            status: 0,
            reason: Span::default(),
        }
    }
}

impl ResponseHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.version = Version::Http11;
        self.status = 0;
        self.reason = Span::default();
    }

    /// The reason phrase as received or set; may be empty.
    pub fn reason(&self) -> &[u8] {
        self.fields.span(self.reason)
    }

    pub fn set_reason(&mut self, phrase: &[u8]) {
        self.reason = self.fields.add_span(phrase);
    }

    /// Place of the reason phrase in bytes that `fields` has adopted.
    pub(super) fn set_line(&mut self, status: u16, reason: Span) {
        self.status = status;
        self.reason = reason;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_cut_at_the_first_question_mark() {
        let mut head = RequestHead::default();
        head.set_target(b"/a/b?c=d?e");
        assert_eq!(head.path(), b"/a/b");
        assert_eq!(head.query(), Some(&b"c=d?e"[..]));
        head.set_target(b"/a?");
        assert_eq!((head.path(), head.query()), (&b"/a"[..], Some(&b""[..])));
        head.set_target(b"/a");
        assert_eq!(head.query(), None);
    }

    #[test]
    fn methods_are_case_sensitive() {
        let mut head = RequestHead::default();
        head.set_method(b"get");
        assert_eq!(head.method(), Method::Other);
        assert_eq!(head.method_bytes(), b"get");
    }
}
