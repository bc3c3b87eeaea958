//! The first look at a request: is it one that may be served at all? Host and target are made unambiguous here,
//! so that routing, plugins and the upstream see the same request (RFC 9112 §3.2).

use admin_api::Reason;

use super::headers;
use crate::exchange::{Answer, Exchange};
use crate::http::byte_set::ByteSet;
use crate::http::head::{Method, Version};
use crate::http::name::Name;
use crate::routing::{self, PathError, Target};

/// A method longer than this is nobody's.
const LONGEST_METHOD: usize = 32;

/// # Errors
/// The answer to a request that must not be served; its connection is to be closed.
pub fn check(exchange: &mut Exchange) -> Result<(), Answer> {
    let request = &mut exchange.request;
    match request.method() {
        Method::Trace => {
            return Err(Answer::FrontEnd { status: 405, reason: Reason::MethodNotAllowed });
        }
        Method::Connect => return Err(bad_request()),
        Method::Other if !may_be_a_method(request.method_bytes()) => return Err(bad_request()),
        _ => {}
    }
    let target = Target::parse(request.target()).ok_or_else(bad_request)?;
    if let Some(authority) = target.authority {
        // A client that speaks HTTP/1.1 owes a Host line also with an absolute target, which then decides.
        let hosts = request.fields.get_all(Name::Host).count();
        if hosts > 1 || (hosts == 0 && request.version == Version::Http11) {
            return Err(bad_request());
        }
        let (authority, origin) = (authority.to_vec(), origin_form(&target));
        request.fields.set(Name::Host, &authority);
        request.set_target(&origin);
    }
    let mut hosts = request.fields.get_all(Name::Host);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_valid_host(host) => {}
        (None, _) if request.version == Version::Http10 => {}
        _ => return Err(bad_request()),
    }
    drop(hosts);
    headers::remove_forged_identity(&mut request.fields);
    match routing::normalise(request.path()) {
        Ok(path) => exchange.path.push_str(&path),
        // No route can match such a path.
        Err(PathError::NotUtf8) => exchange.path.clear(),
        Err(_) => return Err(bad_request()),
    }
    Ok(())
}

fn bad_request() -> Answer {
    Answer::FrontEnd { status: 400, reason: Reason::BadRequest }
}

/// Path and query of an absolute target.
fn origin_form(target: &Target<'_>) -> Vec<u8> {
    match target.query {
        Some(query) => [target.path, b"?", query].concat(),
        None => target.path.to_vec(),
    }
}

fn may_be_a_method(token: &[u8]) -> bool {
    token.len() <= LONGEST_METHOD
        && token.iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}

/// Bytes of a `reg-name` (RFC 3986 §3.2.2).
static LEGAL_IN_NAME: ByteSet = ByteSet::alphanumeric_and(b"-._~%!$&'()*+,;=");

/// `host [":" port]` of RFC 3986, not empty.
fn is_valid_host(host: &[u8]) -> bool {
    let (name, port) = if host.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', host) else { return false };
        let literal = std::str::from_utf8(&host[1..end]).ok();
        if literal.and_then(|text| text.parse::<std::net::Ipv6Addr>().ok()).is_none() {
            return false;
        }
        (&host[..=end], &host[end + 1..])
    } else {
        let end = memchr::memchr(b':', host).unwrap_or(host.len());
        let (name, port) = host.split_at(end);
        if name.is_empty() || !LEGAL_IN_NAME.covers(name) {
            return false;
        }
        (name, port)
    };
    !name.is_empty() && is_valid_port(port)
}

/// Nothing, or a colon with a number or nothing behind it.
fn is_valid_port(port: &[u8]) -> bool {
    let Some((colon, digits)) = port.split_first() else { return true };
    let number = std::str::from_utf8(digits).unwrap_or("x");
    *colon == b':'
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.is_empty() || number.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in
            ["a.test", "a.test:80", "A.test.", "[::1]:99", "[::1]", "a_b", "b.test:", "127.0.0.1:8080"]
        {
            assert!(is_valid_host(host.as_bytes()), "{host}");
        }
        for host in
            ["", "a b", "u@h", "h/x", "[::1", "[x]", "a:b", "a:99999", "a:1:2", "a,b c", "h\\x", ":80"]
        {
            assert!(!is_valid_host(host.as_bytes()), "{host}");
        }
    }
}
