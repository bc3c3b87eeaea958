//! A query string as arguments, the way Kong reads it: `a` is true, `a=` is empty, `+` is a blank, a stray `%`
//! stands for itself, and an argument without a name is none.

use std::borrow::Cow;

/// The most arguments that are looked at, as in Kong.
pub const MOST: usize = 100;

/// One argument, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument<'a> {
    pub name: Cow<'a, [u8]>,
    /// `None` without a `=`.
    pub value: Option<Cow<'a, [u8]>>,
    /// As it stands in the query.
    pub raw: &'a [u8],
}

/// The arguments in order.
pub fn arguments(query: &[u8]) -> impl Iterator<Item = Argument<'_>> {
    let parts = query.split(|byte| *byte == b'&');
    let arguments = parts.filter_map(|raw| {
        let equals = memchr::memchr(b'=', raw);
        let name = &raw[..equals.unwrap_or(raw.len())];
        let value = equals.map(|at| decode(&raw[at + 1..]));
        (!name.is_empty()).then(|| Argument { name: decode(name), value, raw })
    });
    arguments.take(MOST)
}

/// The query without the arguments that the test says yes to; all others byte for byte as they were.
pub fn without(query: &[u8], mut gone: impl FnMut(&Argument<'_>) -> bool) -> Vec<u8> {
    let parts = query.split(|byte| *byte == b'&');
    let kept: Vec<&[u8]> = parts.filter(|raw| !arguments(raw).any(|argument| gone(&argument))).collect();
    kept.join(&b'&')
}

/// Percent signs and pluses resolved.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (decoded, length) = match byte {
            b'+' => (b' ', 1),
            b'%' => match hex(text.get(at + 1..at + 3)) {
                Some(decoded) => (decoded, 3),
                None => (b'%', 1),
            },
            other => (*other, 1),
        };
        out.push(decoded);
        at += length;
    }
    Cow::Owned(out)
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits? else { return None };
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8(bytes.into_owned()).unwrap();
        arguments(query.as_bytes()).map(|it| (text(it.name), it.value.map(text))).collect()
    }

    #[test]
    fn odd_parts_read_as_in_kong() {
        let read = read("a&b=&=c&d=1&d=&d&e%5B%5D=1&%zz&&f=a+b%20c=d");
        let want = [
            ("a", None),
            ("b", Some("")),
            ("d", Some("1")),
            ("d", Some("")),
            ("d", None),
            ("e[]", Some("1")),
            ("%zz", None),
            ("f", Some("a b c=d")),
        ];
        assert_eq!(read, want.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
    }

    #[test]
    fn taking_one_out_leaves_the_others_as_they_were() {
        let query = b"x=%2f+1&k%65y=v&y&&z=";
        assert_eq!(without(query, |argument| &*argument.name == b"key"), b"x=%2f+1&y&&z=");
        assert_eq!(without(b"key=1", |argument| &*argument.name == b"key"), b"");
    }
}
