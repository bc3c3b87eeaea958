//! YAML in and out, in the form in which Kubernetes writes it: keys sorted, lists not indented.

use std::fmt::Write;

use serde_json::Value;

/// One document. `yes`, `no`, `on` and `off` are texts here, as clients turn their own YAML into JSON first.
pub(crate) fn read(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! { strict_booleans: true, legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default();
        // Without the place, which is in a text that the client can't see.
        match first.strip_prefix("error: line ").and_then(|rest| rest.split_once(": ")) {
            Some((_, why)) => why.to_owned(),
            None => first.to_owned(),
        }
    })
}

pub(crate) fn write(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    let mut out = String::new();
    match &value {
        Value::Object(fields) if !fields.is_empty() => block(&value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(&value, 0, &mut out),
        other => {
            inline(other, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

/// A mapping or list that begins on its own line.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    out.push_str(&" ".repeat(indent));
                }
                inline(&Value::String(key.clone()), indent, out);
                out.push(':');
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(value, indent + 2, out);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(value, indent, out);
                    }
                    other => {
                        out.push(' ');
                        inline(other, indent + 2, out);
                        out.push('\n');
                    }
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                match item {
                    Value::Object(inner) if !inner.is_empty() => block(item, indent + 2, out),
                    Value::Array(inner) if !inner.is_empty() => block(item, indent + 2, out),
                    other => {
                        inline(other, indent + 2, out);
                        out.push('\n');
                    }
                }
            }
        }
        _ => {}
    }
}

fn inline(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(text) => scalar(text, indent, out),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn scalar(text: &str, indent: usize, out: &mut String) {
    let printable = text.chars().all(|c| c == '\n' || !c.is_control());
    if text.contains('\n') && printable && !text.starts_with([' ', '\n']) {
        let end = match text.len() - text.trim_end_matches('\n').len() {
            0 => "-",
            1 => "",
            _ => "+",
        };
        let _ = write!(out, "|{end}");
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                let _ = write!(out, "{}{line}", " ".repeat(indent));
            }
        }
    } else if !printable || text.contains('\n') || is_taken(text) {
        let _ = write!(out, "{}", Value::from(text));
    } else if needs_quotes(text) {
        let _ = write!(out, "'{}'", text.replace('\'', "''"));
    } else {
        out.push_str(text);
    }
}

/// What would be read as something else than a text.
fn is_taken(text: &str) -> bool {
    const WORDS: [&str; 13] =
        ["", "null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"];
    let number = text.replace('_', "");
    let number = number.trim_start_matches(['+', '-']);
    let numeric = number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (number.parse::<f64>().is_ok() || number.starts_with("0x") || number.starts_with("0o"));
    let date =
        text.len() >= 8 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit) && text.as_bytes()[4] == b'-';
    WORDS.contains(&text.to_lowercase().as_str()) || numeric || date
}

fn needs_quotes(text: &str) -> bool {
    text.starts_with(|c: char| {
        "!&*|>'\"%@`#,[]{}? -:=<".contains(c) && !(c == '-' && text.len() > 1 && !text.starts_with("- "))
    }) || text.starts_with("---")
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with([' ', ':'])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "b": "1", "a": [{"x": null, "y": ["z", []]}, {}], "text": "one\ntwo\n", "c": ": ", "d": "-x",
            "time": "2026-01-01T00:00:00Z", "f": 1.5, "g": "don't", "h": {"k": true}, "i": "- a", "j": "a\tb",
        });
        assert_eq!(read(write(&value).as_bytes()).unwrap(), value);
        assert_eq!(write(&json!({"b": "2", "a": [{"c": 1, "d": "x"}]})), "a:\n- c: 1\n  d: x\nb: \"2\"\n");
    }
}
