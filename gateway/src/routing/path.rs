//! From the request target as received to the path that routes are matched against.
//!
//! A target is cut into its parts, then its path is normalised by Kong's rules: escapes are decoded unless they stand
//! for a reserved character, `.` and `..` are resolved, runs of slashes become one. What goes upstream is made from the
//! normalised path by [`upstream_path`](super::upstream_path).

use std::borrow::Cow;

/// A request target in its parts, all as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Host and port of an absolute-form target.
    pub authority: Option<&'a [u8]>,
    pub path: &'a [u8],
    /// What follows the `?`, when there is one.
    pub query: Option<&'a [u8]>,
}

/// Why a path can't be routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path has a % that is not followed by two hex digits; write %25 for a percent sign")]
    BadEscape,
    #[error("the path contains an encoded NUL")]
    Nul,
    #[error("the path has more `..` than segments to leave")]
    AboveRoot,
    /// Kong forwards it.
    #[error("a `.` or `..` hides between encoded slashes")]
    HiddenDots,
    /// The only one that Kong answers with 404 rather than 400: no route can match such a path.
    #[error("the decoded path is not UTF-8")]
    NotUtf8,
}

/// Escapes of these stay, in upper case: decoded they would mean something else.
const RESERVED: &[u8] = b"!*'();:@&=+$,/?%#[]";

impl<'a> Target<'a> {
    /// `None` for what no gateway serves: `*`, an authority alone, an absolute URI without a host or of another scheme
    /// than HTTP's; and a fragment, which no client sends (RFC 9112 §3.2) and servers read differently.
    pub fn parse(target: &'a [u8]) -> Option<Target<'a>> {
        if memchr::memchr(b'#', target).is_some() {
            return None;
        }
        if target.first() == Some(&b'/') {
            return Some(Target::from_path(None, target));
        }
        let colon = memchr::memchr(b':', target)?;
        let (scheme, rest) = (&target[..colon], target[colon..].strip_prefix(b"://")?);
        let is_ours = [&b"http"[..], b"https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        (is_ours && !authority.is_empty()).then(|| Target::from_path(Some(authority), rest))
    }

    fn from_path(authority: Option<&'a [u8]>, rest: &'a [u8]) -> Target<'a> {
        let end = memchr::memchr(b'?', rest).unwrap_or(rest.len());
        let path = if end == 0 { b"/" } else { &rest[..end] };
        Target { authority, path, query: rest.get(end + 1..) }
    }
}

/// The path that routing sees. Borrows when nothing changes.
pub fn normalise(path: &[u8]) -> Result<Cow<'_, str>, PathError> {
    if is_normal(path) {
        return std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| PathError::NotUtf8);
    }
    let decoded = decode(path)?;
    if climbs_above_root(path) {
        return Err(PathError::AboveRoot);
    }
    if hides_dots(&decoded) {
        return Err(PathError::HiddenDots);
    }
    String::from_utf8(resolve(&decoded)).map(Cow::Owned).map_err(|_| PathError::NotUtf8)
}

/// Whether there is nothing to decode and nothing to resolve. May say no too often, never yes.
fn is_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    path.iter().all(|&byte| {
        let suspect = matches!(byte, b'%' | b'\\') || (previous == b'/' && (byte == b'/' || byte == b'.'));
        previous = byte;
        !suspect
    })
}

fn decode(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, escape) = rest.split_at(at);
        let [_, high, low, after @ ..] = escape else { return Err(PathError::BadEscape) };
        let byte = hex(*high)? << 4 | hex(*low)?;
        decoded.extend_from_slice(before);
        match byte {
            0 => return Err(PathError::Nul),
            _ if RESERVED.contains(&byte) => {
                decoded.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
            }
            _ => decoded.push(byte),
        }
        rest = after;
    }
    decoded.extend_from_slice(rest);
    Ok(decoded)
}

fn hex(digit: u8) -> Result<u8, PathError> {
    (digit as char).to_digit(16).map(|value| value as u8).ok_or(PathError::BadEscape)
}

/// Whether a `..` leaves the root when every escape is decoded, slashes too: what Kong's front end refuses.
fn climbs_above_root(path: &[u8]) -> bool {
    let decoded: Vec<u8> = percent_encoding::percent_decode(path).collect();
    let mut depth = 0usize;
    for segment in decoded.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// Whether a server that takes encoded slashes or backslashes for slashes would find a `.` or `..` between them, and
/// so another path than routing has seen.
fn hides_dots(decoded: &[u8]) -> bool {
    let dots = |part: &[u8]| matches!(part, b"." | b"..");
    decoded.split(|&byte| byte == b'/').filter(|segment| !dots(segment)).any(|segment| {
        // Escapes that stay are in upper case.
        let mut rest = segment;
        while let Some(end) = separator(rest) {
            if dots(&rest[..end.start]) {
                return true;
            }
            rest = &rest[end.end..];
        }
        rest.len() < segment.len() && dots(rest)
    })
}

/// The first encoded slash or backslash.
fn separator(segment: &[u8]) -> Option<std::ops::Range<usize>> {
    let at = segment.iter().position(|byte| *byte == b'\\');
    let encoded = segment.windows(3).position(|three| three == b"%2F");
    match (at, encoded) {
        (Some(at), None) => Some(at..at + 1),
        (Some(at), Some(encoded)) if at < encoded => Some(at..at + 1),
        (_, Some(encoded)) => Some(encoded..encoded + 3),
        (None, None) => None,
    }
}

/// Removes `.` and empty segments and resolves `..`; what ends in one of them ends in a slash.
fn resolve(path: &[u8]) -> Vec<u8> {
    let first = memchr::memchr(b'/', path).unwrap_or(path.len());
    let (head, rest) = path.split_at(first);
    let mut resolved = Vec::with_capacity(path.len());
    resolved.extend_from_slice(head);
    let mut open = false;
    for segment in rest.split(|&byte| byte == b'/').skip(1) {
        open = matches!(segment, b"" | b"." | b"..");
        if segment == b".." {
            resolved.truncate(memchr::memrchr(b'/', &resolved).unwrap_or(0));
        } else if !open {
            resolved.push(b'/');
            resolved.extend_from_slice(segment);
        }
    }
    if open {
        resolved.push(b'/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(path: &str) -> String {
        normalise(path.as_bytes()).unwrap().into_owned()
    }

    #[test]
    fn targets_come_in_two_forms() {
        let parts = |target: &'static str| {
            let target = Target::parse(target.as_bytes())?;
            let text = |bytes: &'static [u8]| std::str::from_utf8(bytes).unwrap();
            Some((target.authority.map(text), text(target.path), target.query.map(text)))
        };
        assert_eq!(parts("/a?b?c"), Some((None, "/a", Some("b?c"))));
        assert_eq!(parts("/a?"), Some((None, "/a", Some(""))));
        assert_eq!(parts("/a:b"), Some((None, "/a:b", None)));
        assert_eq!(parts("HTTP://o.test:80/x?y"), Some((Some("o.test:80"), "/x", Some("y"))));
        assert_eq!(parts("http://o.test"), Some((Some("o.test"), "/", None)));
        assert_eq!(parts("http://o.test?x=1"), Some((Some("o.test"), "/", Some("x=1"))));
        for unserved in
            ["*", "a.test:443", "http:///x", "1http://a/", "ftp://a/", "", "a/b", "://a/", "/a#b", "/a?b#c"]
        {
            assert_eq!(parts(unserved), None, "{unserved}");
        }
    }

    #[test]
    fn a_normal_path_is_borrowed() {
        for path in ["/", "/a/b", "/a.b/c..", "/é", "/a;b=1#x", "?x=1"] {
            assert!(matches!(normalise(path.as_bytes()), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
        assert_eq!(normal("/.well-known/x"), "/.well-known/x");
    }

    #[test]
    fn escapes_are_decoded_unless_reserved() {
        assert_eq!(normal("/%61%7E%20%22"), "/a~ \"");
        assert_eq!(normal("/%C3%a9"), "/é");
        assert_eq!(normal("/a%2fb%3F%25%5b"), "/a%2Fb%3F%25%5B");
        assert_eq!(normal("/%2541"), "/%2541");
    }

    #[test]
    fn dots_and_slashes_are_resolved() {
        for (path, expected) in [
            ("/a/./b", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("//", "/"),
            ("/a//", "/a/"),
            ("/q/../r/x", "/r/x"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/.//../b", "/b"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_routed_is_an_error() {
        for (path, error) in [
            (&b"/%zz"[..], PathError::BadEscape),
            (b"/%", PathError::BadEscape),
            (b"/%4", PathError::BadEscape),
            (b"/%+1", PathError::BadEscape),
            (b"/%00", PathError::Nul),
            (b"/..", PathError::AboveRoot),
            (b"/a/../../b", PathError::AboveRoot),
            (b"/a/..%2f..%2fb", PathError::AboveRoot),
            (b"/a%2f..%2f..%2fb/../..", PathError::AboveRoot),
            (b"/a%2F../b", PathError::HiddenDots),
            (b"/x/..%2fadmin", PathError::HiddenDots),
            (b"/x/y%5c%2e%2e%5cz", PathError::HiddenDots),
            (b"/x/y\\..", PathError::HiddenDots),
            (b"/x%2f.%2fy", PathError::HiddenDots),
            (b"/\xff", PathError::NotUtf8),
            (b"/%FF", PathError::NotUtf8),
        ] {
            assert_eq!(normalise(path), Err(error), "{}", path.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/([a./é%]|%(2[0-9a-fEF]|4[0-9]|C3%A9)|//|/\\.\\./){0,12}") {
            if let Ok(once) = normalise(path.as_bytes()) {
                let twice = normalise(once.as_bytes());
                prop_assert_eq!(twice.as_deref(), Ok(&*once), "{}", path);
            }
        }

        #[test]
        fn any_bytes_are_normalised_or_refused(path in prop::collection::vec(any::<u8>(), 0..24)) {
            if let Ok(once) = normalise(&path) {
                let twice = normalise(once.as_bytes());
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
            }
        }
    }
}
