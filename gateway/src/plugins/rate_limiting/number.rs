//! Numbers as Kong's Lua writes them into headers: `5`, `2.5`, `1e+15`; at most fourteen digits.

use std::fmt::Write;

/// A number to be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub f64);

/// Room for any number's text.
pub(super) struct Buffer {
    digits: itoa::Buffer,
    text: String,
}

impl Number {
    pub(super) fn buffer() -> Buffer {
        Buffer { digits: itoa::Buffer::new(), text: String::new() }
    }

    /// Without allocating when it is an integer of common size.
    pub(super) fn text(self, buffer: &mut Buffer) -> &str {
        if self.is_plain_integer() {
            return buffer.digits.format(self.0 as i64);
        }
        buffer.text.clear();
        // Writing to a string can't fail.
        let _ = write!(buffer.text, "{self}");
        &buffer.text
    }

    fn is_plain_integer(self) -> bool {
        self.0.fract() == 0.0 && self.0.abs() < 1e14
    }
}

/// C's `%.14g`.
impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_plain_integer() {
            return write!(f, "{}", self.0 as i64);
        }
        let scientific = format!("{:.13e}", self.0);
        let Some((mantissa, exponent)) = scientific.split_once('e') else { return f.write_str(&scientific) };
        let exponent: i32 = exponent.parse().unwrap_or_default();
        if (-4..14).contains(&exponent) {
            let places = (13 - exponent) as usize;
            return f.write_str(trimmed(&format!("{:.places$}", self.0)));
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
    }
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_lua() {
        let cases = [
            (5.0, "5"),
            (0.0, "0"),
            (2.5, "2.5"),
            (10.3 - 1.0, "9.3"),
            (0.1 + 0.2, "0.3"),
            (1e13, "10000000000000"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (0.000_012_5, "1.25e-05"),
        ];
        for (number, text) in cases {
            assert_eq!(Number(number).to_string(), text);
            assert_eq!(Number(number).text(&mut Number::buffer()), text);
        }
    }
}
