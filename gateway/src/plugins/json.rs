//! JSON as Kong's encoder writes it: compact, `/` as `\/`, and always valid, whatever bytes came in.

use serde_json::Value;

/// Bytes that can't be copied without a look at them.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte >= 0x7f || matches!(byte, b'"' | b'\\' | b'/')
}

/// The same as a table.
static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_special(byte as u8);
        byte += 1;
    }
    table
};

/// Whether a text can be copied as it is: eight bytes at a time, the last eight overlapping those before them.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else {
        return !text.iter().any(|byte| SPECIAL[usize::from(*byte)]);
    };
    text.as_chunks::<8>().0.iter().all(|word| is_plain_word(*word)) && is_plain_word(*last)
}

/// The same of eight bytes, each in a lane of one number.
fn is_plain_word(bytes: [u8; 8]) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    const TOP: u64 = EACH << 7;
    let word = u64::from_ne_bytes(bytes);
    // A lane is smaller than `limit`; lanes whose top bit is set don't count. Borrows reach the lanes above one that
    // does, which changes nothing about there being any.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let is_last_or_beyond_ascii = word | ((word & !TOP) + EACH);
    (is_last_or_beyond_ascii | below(word, 0x20) | is(b'"') | is(b'\\') | is(b'/')) & TOP == 0
}

/// Appends a string with its quotes. Bytes that are not UTF-8 become U+FFFD: an entry with a stray byte must
/// still be one that a collector can read.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else if text.is_ascii() {
        escape(out, text);
    } else {
        for chunk in text.utf8_chunks() {
            escape(out, chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Appends a value.
pub fn value(out: &mut Vec<u8>, of: &Value) {
    match of {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => string(out, text.as_bytes()),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                separate(out, at);
                value(out, item);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.push(b'{');
            for (at, (key, item)) in object.iter().enumerate() {
                separate(out, at);
                string(out, key.as_bytes());
                out.push(b':');
                value(out, item);
            }
            out.push(b'}');
        }
    }
}

/// A value as text of its own.
pub fn text(of: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value(&mut out, of);
    out
}

fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !SPECIAL[usize::from(*byte)] {
            continue;
        }
        let short = match byte {
            b'"' | b'\\' | b'/' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..=0x1f | 0x7f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            out.extend_from_slice(&[b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        }
        start = at + 1;
    }
    out.extend_from_slice(&bytes[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn quoted(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn slashes_and_controls_are_escaped() {
        assert_eq!(quoted(b"/a\"b\\\n\r\t\x08\x0c\x01\x7f"), r#""\/a\"b\\\n\r\t\b\f\u0001\u007f""#);
        assert_eq!(quoted("é".as_bytes()), "\"é\"");
        assert_eq!(quoted(b"a\xffb\xc3"), "\"a\u{fffd}b\u{fffd}\"");
        assert_eq!(
            text(&json!({"a/b": [1, 1.5, null, true, {}], "c": []})),
            br#"{"a\/b":[1,1.5,null,true,{}],"c":[]}"#
        );
    }

    #[test]
    fn every_byte_in_every_place_is_judged_alike() {
        for byte in 0..=u8::MAX {
            for place in 0..11 {
                let mut text = *b"plain text!";
                text[place] = byte;
                assert_eq!(is_plain(&text), !is_special(byte), "{byte:#x} at {place}");
                assert_eq!(is_plain(&text[..=place]), !is_special(byte), "{byte:#x} at the end of {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_json_that_reads_back(bytes in any::<Vec<u8>>()) {
            let read: String = serde_json::from_str(&quoted(&bytes)).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn nearly_plain_texts_too(text in "[a-z \u{7f}\"/é]{0,40}") {
            let read: String = serde_json::from_str(&quoted(text.as_bytes())).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
