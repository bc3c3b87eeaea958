//! Text to tokens.

use super::CompileError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 29] = [
    "&&", "||", "==", "!=", "<=", ">=", "[?", "{?", ".?", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":",
    ".", ",", "(", ")", "[", "]", "{", "}", "=", ";",
];

/// Each token with the place where it begins.
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, usize)>, CompileError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or_default();
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = if first.is_ascii_digit() || dotted_digit(rest) {
            number(rest).map_err(|message| CompileError { at, message })?
        } else if let Some(text) = text(rest) {
            text.map_err(|message| CompileError { at, message })?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Token::Name(rest[..end].to_owned()), end)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            return Err(CompileError {
                at,
                message: format!("Syntax error: token recognition error at: '{first}'"),
            });
        };
        tokens.push((token, at));
        at += length;
    }
    tokens.push((Token::End, source.len()));
    Ok(tokens)
}

fn dotted_digit(rest: &str) -> bool {
    rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit())
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let bytes = rest.as_bytes();
    if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let length = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        let unsigned = matches!(digits.as_bytes().get(length), Some(b'u' | b'U'));
        let value = u64::from_str_radix(&digits[..length], 16).map_err(|error| error.to_string())?;
        let length = length + 2;
        return match i64::try_from(value) {
            _ if unsigned => Ok((Token::Uint(value), length + 1)),
            Ok(value) => Ok((Token::Int(value), length)),
            Err(error) => Err(error.to_string()),
        };
    }
    let mut end = 0;
    let mut is_double = false;
    while let Some(byte) = bytes.get(end) {
        let after_exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
        match byte {
            b'0'..=b'9' => {}
            b'.' if !is_double && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) => is_double = true,
            b'e' | b'E' => is_double = true,
            b'+' | b'-' if after_exponent => {}
            _ => break,
        }
        end += 1;
    }
    let digits = &rest[..end];
    if is_double {
        return digits
            .parse()
            .map(|value| (Token::Double(value), end))
            .map_err(|_| format!("bad number {digits}"));
    }
    if matches!(bytes.get(end), Some(b'u' | b'U')) {
        return digits
            .parse()
            .map(|value| (Token::Uint(value), end + 1))
            .map_err(|_| format!("bad number {digits}"));
    }
    // One more than the largest: the parser knows whether a minus stands before it.
    match digits.parse::<u64>() {
        Ok(value) if i64::try_from(value).is_ok() => Ok((Token::Int(value as i64), end)),
        Ok(value) if value == i64::MAX as u64 + 1 => Ok((Token::Int(i64::MIN), end)),
        _ => Err(format!("bad number {digits}")),
    }
}

/// A string or bytes literal, if there is one here.
fn text(rest: &str) -> Option<Result<(Token, usize), String>> {
    let prefix = rest.find(['"', '\'']).filter(|at| *at <= 2)?;
    let marks = rest[..prefix].to_ascii_lowercase();
    let (raw, bytes) = match marks.as_str() {
        "" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "br" | "rb" => (true, true),
        _ => return None,
    };
    Some(quoted(&rest[prefix..], raw).and_then(|(content, length)| {
        let token = if bytes {
            Token::Bytes(content)
        } else {
            Token::Text(String::from_utf8(content).map_err(|e| e.to_string())?)
        };
        Ok((token, prefix + length))
    }))
}

fn quoted(rest: &str, raw: bool) -> Result<(Vec<u8>, usize), String> {
    let quote = &rest[..1];
    let triple = quote.repeat(3);
    let close = if rest.starts_with(&triple) { triple.as_str() } else { quote };
    let mut content = Vec::new();
    let mut at = close.len();
    loop {
        let tail = &rest[at..];
        if tail.starts_with(close) {
            return Ok((content, at + close.len()));
        }
        let Some(character) = tail.chars().next() else {
            return Err("Syntax error: a string has no end".to_owned());
        };
        if character == '\\' && !raw {
            at += escape(&tail[1..], &mut content)? + 1;
        } else {
            content.extend(character.encode_utf8(&mut [0; 4]).bytes());
            at += character.len_utf8();
        }
    }
}

fn escape(tail: &str, content: &mut Vec<u8>) -> Result<usize, String> {
    let wrong = || format!("Syntax error: unknown escape \\{}", tail.chars().next().unwrap_or(' '));
    let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let first = tail.chars().next().ok_or_else(wrong)?;
    let simple = match first {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'v' => 11,
        '\\' | '"' | '\'' | '`' | '?' => first as u8,
        'x' | 'X' | 'u' | 'U' | '0'..='3' => {
            let (skip, digits, radix) = match first {
                'x' | 'X' => (1, 2, 16),
                'u' => (1, 4, 16),
                'U' => (1, 8, 16),
                _ => (0, 3, 8),
            };
            let text = tail.get(skip..skip + digits).ok_or_else(wrong)?;
            let character = code(text, radix).ok_or_else(wrong)?;
            content.extend(character.encode_utf8(&mut [0; 4]).bytes());
            return Ok(skip + digits);
        }
        _ => return Err(wrong()),
    };
    content.push(simple);
    Ok(1)
}
