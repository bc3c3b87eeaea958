//! YAML as Kubernetes reads it, to plain values with the line each document starts on.
//!
//! The only place here that knows the YAML library. Booleans are `true` and `false` only, and `0644` is octal,
//! as for kubectl.

use serde_json::Value;
use serde_saphyr::{Options, Spanned, UserMessageFormatter};

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it starts, counted from 1.
    pub line: u64,
    pub value: Value,
}

/// Why a text can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unparsable {
    /// Counted from 1; 0 when the place is unknown.
    pub line: u64,
    pub message: String,
}

/// All documents of a text; empty ones are skipped.
pub fn documents(text: &str) -> Result<Vec<Document>, Unparsable> {
    let documents: Vec<Spanned<Value>> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(unparsable)?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.value.is_null())
        .map(|document| Document { line: document.referenced.line(), value: document.value })
        .collect())
}

/// A text of one document.
pub fn value(text: &str) -> Result<Value, Unparsable> {
    serde_saphyr::from_str_with_options(text, options()).map_err(unparsable)
}

/// Large enough for tens of thousands of objects in a file; aliases stay within the library's narrow limits.
fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_documents: 100_000,
            max_nodes: 10_000_000,
            max_events: 40_000_000,
        },
    }
}

fn unparsable(error: serde_saphyr::Error) -> Unparsable {
    let line = error.location().map_or(0, |location| location.line());
    Unparsable { line, message: error.without_snippet().render_with_formatter(&UserMessageFormatter) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let read = documents("# head\n---\na: 1\n---\n# nothing\n---\nb: yes\nc: 0644\n").unwrap();
        let expected = [(3, json!({"a": 1})), (7, json!({"b": "yes", "c": 420}))];
        let read: Vec<_> = read.into_iter().map(|document| (document.line, document.value)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn an_error_has_a_line() {
        let error = documents("a: 1\n---\nb: [1\nc: 2\n").unwrap_err();
        assert!(error.line >= 3, "{error:?}");
        let error = documents("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.line, 2, "{error:?}");
        assert!(error.message.contains("duplicate mapping key `a`"), "{error:?}");
    }

    #[test]
    fn explicit_nulls_stay() {
        assert_eq!(value("a: ~\nb:\n").unwrap(), json!({"a": null, "b": null}));
    }
}
