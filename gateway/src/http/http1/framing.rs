//! How long a body is: the one place that decides (RFC 9112 §6). A message whose length could be read in two
//! ways has none: it is refused.

use crate::http::fields::Fields;
use crate::http::head::{Method, RequestHead, ResponseHead, Version};
use crate::http::name::Name;

/// How a body is delimited on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// These many bytes.
    Length(u64),
    Chunked,
    /// All that comes until the connection ends. Responses only.
    UntilClose,
}

/// Why a body's length can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("Content-Length is not one number")]
    Length,
    #[error("both Content-Length and Transfer-Encoding are given")]
    Both,
    #[error("Transfer-Encoding is not allowed in HTTP/1.0")]
    Version,
    #[error("Transfer-Encoding is something else than chunked")]
    Coding,
}

/// The length of a request's body.
pub fn of_request(head: &RequestHead) -> Result<Framing, FramingError> {
    if is_chunked(&head.fields)? {
        if head.version == Version::Http10 {
            return Err(FramingError::Version);
        }
        if head.fields.contains(Name::ContentLength) {
            return Err(FramingError::Both);
        }
        return Ok(Framing::Chunked);
    }
    Ok(match content_length(&head.fields)? {
        None => Framing::None,
        Some(length) => Framing::Length(length),
    })
}

/// The length of the body of an answer to a request with that method, and the Content-Length, which is there also
/// where the body is not.
pub fn of_response(method: Method, head: &ResponseHead) -> Result<(Framing, Option<u64>), FramingError> {
    let length = content_length(&head.fields)?;
    let chunked = is_chunked(&head.fields)?;
    if method == Method::Head || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok((Framing::None, length));
    }
    if chunked {
        if length.is_some() {
            return Err(FramingError::Both);
        }
        if head.version == Version::Http10 {
            return Err(FramingError::Version);
        }
        return Ok((Framing::Chunked, None));
    }
    Ok((length.map_or(Framing::UntilClose, Framing::Length), length))
}

/// The value of Content-Length, when there is exactly one and it is a number.
pub fn content_length(fields: &Fields) -> Result<Option<u64>, FramingError> {
    let mut values = fields.get_all(Name::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.is_empty() {
        return Err(FramingError::Length);
    }
    let number = value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.map(Some).ok_or(FramingError::Length)
}

fn is_chunked(fields: &Fields) -> Result<bool, FramingError> {
    let mut values = fields.get_all(Name::TransferEncoding);
    let Some(value) = values.next() else { return Ok(false) };
    if values.next().is_some() || !value.eq_ignore_ascii_case(b"chunked") {
        return Err(FramingError::Coding);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, fields: &[(&str, &str)]) -> Result<Framing, FramingError> {
        let mut head = RequestHead::default();
        head.version = version;
        for (name, value) in fields {
            head.fields.append(*name, value);
        }
        of_request(&head)
    }

    #[test]
    fn requests() {
        use Version::{Http10, Http11};
        for (version, fields, expected) in [
            (Http11, &[][..], Ok(Framing::None)),
            (Http11, &[("Content-Length", "5")], Ok(Framing::Length(5))),
            (Http11, &[("Content-Length", "0005")], Ok(Framing::Length(5))),
            (Http11, &[("Transfer-Encoding", "Chunked")], Ok(Framing::Chunked)),
            (Http11, &[("Content-Length", "5"), ("Content-Length", "5")], Err(FramingError::Length)),
            (Http11, &[("Content-Length", "5, 5")], Err(FramingError::Length)),
            (Http11, &[("Content-Length", "+5")], Err(FramingError::Length)),
            (Http11, &[("Content-Length", "")], Err(FramingError::Length)),
            (Http11, &[("Content-Length", "18446744073709551616")], Err(FramingError::Length)),
            (Http11, &[("Content-Length", "3"), ("Transfer-Encoding", "chunked")], Err(FramingError::Both)),
            (Http11, &[("Transfer-Encoding", "gzip, chunked")], Err(FramingError::Coding)),
            (Http11, &[("Transfer-Encoding", ",chunked")], Err(FramingError::Coding)),
            (
                Http11,
                &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
                Err(FramingError::Coding),
            ),
            (Http10, &[("Transfer-Encoding", "chunked")], Err(FramingError::Version)),
        ] {
            assert_eq!(request(version, fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn responses() {
        let of = |method, status, fields: &[(&str, &str)]| {
            let mut head = ResponseHead::default();
            head.status = status;
            for (name, value) in fields {
                head.fields.append(*name, value);
            }
            of_response(method, &head)
        };
        assert_eq!(of(Method::Get, 200, &[]), Ok((Framing::UntilClose, None)));
        assert_eq!(of(Method::Get, 200, &[("Content-Length", "7")]), Ok((Framing::Length(7), Some(7))));
        assert_eq!(of(Method::Head, 200, &[("Content-Length", "7")]), Ok((Framing::None, Some(7))));
        assert_eq!(of(Method::Get, 304, &[("Content-Length", "7")]), Ok((Framing::None, Some(7))));
        assert_eq!(of(Method::Get, 204, &[]), Ok((Framing::None, None)));
        assert_eq!(
            of(Method::Get, 200, &[("Content-Length", "7"), ("Transfer-Encoding", "chunked")]),
            Err(FramingError::Both)
        );
    }
}
