//! The request target that goes upstream: the service's path, the client's path with or without the part that the
//! route matched, and the query.
//!
//! These are the rules Kong calls `v0`; its default router applies them whatever `path_handling` says.

use crate::http::byte_set::ByteSet;

/// What a target is made of.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamPath<'a> {
    /// `None` is `/`.
    pub service_path: Option<&'a str>,
    pub strip_path: bool,
    /// Normalised, as routing saw it.
    pub path: &'a str,
    /// How many bytes the route's path matched; `None` when the route has none.
    pub matched: Option<usize>,
    /// As received.
    pub query: Option<&'a [u8]>,
}

impl UpstreamPath<'_> {
    /// Appends the target, percent-encoded where it must be. Escapes that are there already stay as they are, and so
    /// does the query, down to a lone `?`, but for bytes beyond ASCII, which are encoded there too.
    pub fn write(&self, target: &mut Vec<u8>) {
        for part in self.parts() {
            encode(part, target);
        }
        if let Some(query) = self.query {
            target.push(b'?');
            if query.is_ascii() {
                target.extend_from_slice(query);
            } else {
                for &byte in query {
                    if byte.is_ascii() { target.push(byte) } else { escape(byte, target) }
                }
            }
        }
    }

    /// The service's path without a final slash, a slash or nothing, and what is left of the client's path.
    fn parts(&self) -> [&[u8]; 3] {
        let base = self.service_path.filter(|path| !path.is_empty()).unwrap_or("/").as_bytes();
        let (base, base_is_open) = base.strip_suffix(b"/").map_or((base, false), |shorter| (shorter, true));
        let path = self.path.as_bytes();
        if !self.strip_path {
            return match path {
                _ if base_is_open => [base, b"/", path.get(1..).unwrap_or_default()],
                b"/" => [base, b"", b""],
                _ => [base, b"", path],
            };
        }
        let rest = without_dots(path.get(self.matched.unwrap_or(1)..).unwrap_or_default());
        let slash = match rest.first() {
            Some(b'/') => false,
            Some(_) => true,
            None => base.is_empty() || path.ends_with(b"/") && (base_is_open || path.len() > 1),
        };
        [base, if slash { b"/" } else { b"" }, rest]
    }
}

/// A prefix may end within a segment such as `r../x`; what is left must not become a dot segment.
fn without_dots(rest: &[u8]) -> &[u8] {
    match rest {
        b"." | b".." => b"",
        [b'.', b'/', rest @ ..] | [b'.', b'.', b'/', rest @ ..] => rest,
        _ => rest,
    }
}

/// What stays as it is in a target.
static PLAIN: ByteSet = ByteSet::alphanumeric_and(b"-_.~!#$&'()*+,/:;=?@[]%");

fn encode(part: &[u8], target: &mut Vec<u8>) {
    if PLAIN.covers(part) {
        return target.extend_from_slice(part);
    }
    for &byte in part {
        if PLAIN.contains(byte) {
            target.push(byte);
        } else {
            escape(byte, target);
        }
    }
}

fn escape(byte: u8, target: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    target.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests;
