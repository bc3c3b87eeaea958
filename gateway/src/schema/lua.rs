//! Values written as Lua tables, the way Kong's messages show nested errors.

use std::fmt::Write;

use serde_json::Value;

/// Words that can't stand before a `=` unquoted.
const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Without blanks: `{services={{host="required field missing"}}}`.
pub(super) fn on_one_line(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, None);
    out
}

/// A string as it is, a table over several lines.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            write_value(&mut out, other, Some(0));
            out
        }
    }
}

fn write_value(out: &mut String, value: &Value, indent: Option<usize>) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| (Some(key_text(key)), value));
            write_table(out, entries, indent);
        }
        Value::Array(items) => {
            // Lua's sequences end at the first hole; what follows carries its position.
            let hole = items.iter().position(Value::is_null).unwrap_or(items.len());
            let entries = items.iter().enumerate().filter(|(_, item)| !item.is_null());
            let entries = entries.map(|(at, item)| ((at > hole).then(|| format!("[{}]", at + 1)), item));
            write_table(out, entries, indent);
        }
        Value::String(text) => out.push_str(&quote(text)),
        Value::Null => out.push_str("nil"),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn write_table<'a>(
    out: &mut String,
    entries: impl Iterator<Item = (Option<String>, &'a Value)>,
    indent: Option<usize>,
) {
    out.push('{');
    let mut first = true;
    for (key, value) in entries {
        if !first {
            out.push(',');
        }
        first = false;
        new_line(out, indent.map(|indent| indent + 1));
        if let Some(key) = key {
            out.push_str(&key);
            out.push_str(if indent.is_some() { " = " } else { "=" });
        }
        write_value(out, value, indent.map(|indent| indent + 1));
    }
    new_line(out, indent);
    out.push('}');
}

fn new_line(out: &mut String, indent: Option<usize>) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", indent));
    }
}

fn key_text(key: &str) -> String {
    let mut bytes = key.bytes();
    let named = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if named && !KEYWORDS.contains(&key) { key.to_owned() } else { format!("[{}]", quote(key)) }
}

/// Several lines and text that holds long brackets go into long brackets, all else between quotes.
fn quote(text: &str) -> String {
    let level = bracket_level(&format!("{text}]"));
    if (text.contains('\n') || level.is_some()) && !text.contains('\r') {
        let equals = "=".repeat(level.map_or(0, |level| level + 1));
        let text = if text.starts_with('\n') { format!("\n{text}") } else { text.to_owned() };
        return format!("[{equals}[{text}]{equals}]");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' | '\\' | '\n' => out.extend(['\\', char]),
            '\r' => out.push_str("\\r"),
            control if control.is_ascii_control() => {
                let code = u32::from(control);
                let padded = chars.peek().is_some_and(char::is_ascii_digit);
                let _ = if padded { write!(out, "\\{code:03}") } else { write!(out, "\\{code}") };
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The most `=` between two equal brackets, if there are two such brackets.
fn bracket_level(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let opens = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'[' | b']'));
    opens
        .filter_map(|(at, bracket)| {
            let equals = bytes[at + 1..].iter().take_while(|byte| **byte == b'=').count();
            (bytes.get(at + 1 + equals) == Some(bracket)).then_some(equals)
        })
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_written_as_kong_writes_them() {
        let cases = [
            (json!({}), "{}"),
            (json!({"_format_version": "expected a string"}), r#"{_format_version="expected a string"}"#),
            (json!({"services": [null, "twice"]}), r#"{services={[2]="twice"}}"#),
            (json!({"a": ["x", null, "y"]}), r#"{a={"x",[3]="y"}}"#),
            (json!({"b": "1", "@entity": ["e"], "a": "2"}), r#"{["@entity"]={"e"},a="2",b="1"}"#),
            (json!({"end": "x", "a-b": "y"}), r#"{["a-b"]="y",["end"]="x"}"#),
            (json!(["say \"hi\" \\ é"]), r#"{"say \"hi\" \\ é"}"#),
            (json!(["two\nlines"]), "{[[two\nlines]]}"),
            (json!(["ends with ]"]), "{[=[ends with ]]=]}"),
            (json!(["a\u{1}b\u{1}2"]), r#"{"a\1b\0012"}"#),
        ];
        for (value, text) in cases {
            assert_eq!(on_one_line(&value), text);
        }
    }

    #[test]
    fn nested_tables_in_a_sentence_take_several_lines() {
        assert_eq!(text(&json!("plain")), "plain");
        assert_eq!(
            text(&json!({"a": {"b": "c"}, "d": ["e"]})),
            "{\n  a = {\n    b = \"c\"\n  },\n  d = {\n    \"e\"\n  }\n}"
        );
    }
}
