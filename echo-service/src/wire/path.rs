//! A request path as Go's `URL.EscapedPath` prints it: unchanged when each of
//! its bytes may stand in a path, else decoded and escaped anew.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What Go escapes when it writes a path itself.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@')
    .remove(b'_')
    .remove(b'~');

pub(super) fn escaped(path: &str) -> Cow<'_, str> {
    if path.bytes().all(may_stand) || !has_whole_escapes(path) {
        return Cow::Borrowed(path);
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    Cow::Owned(percent_encode(&decoded, ESCAPED).to_string())
}

fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~/$&+,:;=@!'()*[]%".contains(&byte)
}

/// Go refuses a path with a broken escape; such a path is shown as it came.
fn has_whole_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_may_stand_and_escapes_anew_what_may_not() {
        let table = [
            ("/a%2Fb%20c/%c3%A9", "/a%2Fb%20c/%c3%A9"),
            ("/%41%7e", "/%41%7e"),
            ("/a[b]c!$&'()*+,;=:@-._~", "/a[b]c!$&'()*+,;=:@-._~"),
            ("/{a}%2Fb|c", "/%7Ba%7D/b%7Cc"),
            ("/\"[b]!'()*$&+,;=:@", "/%22%5Bb%5D%21%27%28%29%2A$&+,;=:@"),
            ("/café%c3%a9", "/caf%C3%A9%C3%A9"),
            ("/a\"%zz", "/a\"%zz"),
            ("*", "*"),
        ];
        for (path, printed) in table {
            assert_eq!(escaped(path), printed, "{path}");
        }
    }
}
