//! Takes secrets out of what is written down.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

const HIDDEN: &str = "(hidden)";

/// Names of fields whose texts are nobody's business.
static SECRET_FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(password|passwd|secret|token|private_?key|client_?key|api_?key|credential|authorization|cookie)").ok()
});
/// Header lines, also as they stand in JSON, that carry credentials; and credentials in URLs.
static SECRET_LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|apikey)("?\s*[:,=]\s*"?)[^\r\n"]+"#)
        .ok()
});
static SECRET_URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(\w+://)[^\s/@:]+:[^\s/@]+@").ok());

/// The object without the data of Secrets and without texts in fields that are called like secrets.
pub fn redact(mut object: Value) -> Value {
    if object["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            if let Some(Value::Object(entries)) = object.get_mut(field) {
                entries.values_mut().for_each(|value| *value = HIDDEN.into());
            }
        }
    }
    hide(&mut object);
    object
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let secret = SECRET_FIELD.as_ref().is_some_and(|pattern| pattern.is_match(name));
                match value {
                    // `secretName` and the like name an object; that name is no secret.
                    Value::String(text) if secret && !name.ends_with("Name") => HIDDEN.clone_into(text),
                    other => hide(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        // An applied object stands in an annotation once more, as text.
        Value::String(text) => *text = redact_text(text),
        _ => {}
    }
}

/// A text without credentials in header lines and URLs.
pub fn redact_text(text: &str) -> String {
    let text = match &*SECRET_LINE {
        Some(pattern) => pattern.replace_all(text, format!("${{1}}${{2}}{HIDDEN}")).into_owned(),
        None => text.to_owned(),
    };
    match &*SECRET_URL {
        Some(pattern) => pattern.replace_all(&text, format!("${{1}}{HIDDEN}@")).into_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_their_names_are_not() {
        let secret = redact(json!({"kind": "Secret", "data": {"a": "eA=="}, "metadata": {"name": "n"}}));
        assert_eq!(secret, json!({"kind": "Secret", "data": {"a": HIDDEN}, "metadata": {"name": "n"}}));
        let plugin = redact(json!({"config": {"redis": {"password": "x", "host": "h"}, "secretName": "s"}}));
        assert_eq!(
            plugin,
            json!({"config": {"redis": {"password": HIDDEN, "host": "h"}, "secretName": "s"}})
        );
    }

    #[test]
    fn credentials_in_texts_are_hidden() {
        for (text, expected) in [
            ("Authorization: Basic eDp5\r\nHost: a", "Authorization: (hidden)\r\nHost: a"),
            (r#"["cookie", "a=b"]"#, r#"["cookie", "(hidden)"]"#),
            ("to http://user:pw@host/x", "to http://(hidden)@host/x"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact_text(text), expected);
        }
    }
}
