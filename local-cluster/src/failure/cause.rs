//! What is wrong with which field of an object, in the words of Kubernetes.

use std::fmt;

use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    /// A path such as `spec.ports[0].port`.
    pub(crate) field: String,
    pub(crate) message: String,
}

/// All that is wrong with an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Causes(pub(crate) Vec<Cause>);

impl Cause {
    fn new(reason: &'static str, field: impl Into<String>, message: String) -> Cause {
        let field = field.into();
        // A cause that concerns the object as a whole.
        let field = if field.is_empty() { "<nil>".to_owned() } else { field };
        Cause { reason, field, message }
    }

    pub(crate) fn required(field: impl Into<String>, why: &str) -> Cause {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Cause::new("FieldValueRequired", field, format!("Required value{why}"))
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: impl fmt::Display) -> Cause {
        let message = format!("Invalid value: {}: {why}", shown(value));
        Cause::new("FieldValueInvalid", field, message)
    }

    pub(crate) fn wrong_type(field: impl Into<String>, found: &str, why: impl fmt::Display) -> Cause {
        let message = format!("Invalid value: {}: {why}", go_string(found));
        Cause::new("FieldValueTypeInvalid", field, message)
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Cause {
        let supported: Vec<_> = supported.iter().map(|value| go_string(value)).collect();
        Cause::unsupported_of(field, value, &supported.join(", "))
    }

    /// `supported` is written as it stands.
    pub(crate) fn unsupported_of(field: impl Into<String>, value: &Value, supported: &str) -> Cause {
        let message = format!("Unsupported value: {}: supported values: {supported}", shown(value));
        Cause::new("FieldValueNotSupported", field, message)
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Cause {
        Cause::new("FieldValueDuplicate", field, format!("Duplicate value: {}", shown(value)))
    }

    pub(crate) fn missing(field: impl Into<String>, value: &Value) -> Cause {
        Cause::new("FieldValueNotFound", field, format!("Not found: {}", shown(value)))
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: impl fmt::Display) -> Cause {
        Cause::new("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }

    pub(crate) fn too_long(field: impl Into<String>, limit: impl fmt::Display) -> Cause {
        Cause::new("FieldValueTooLong", field, format!("Too long: may not be more than {limit} bytes"))
    }

    pub(crate) fn too_many(field: impl Into<String>, found: usize, limit: impl fmt::Display) -> Cause {
        let message = format!("Too many: {found}: must have at most {limit} items");
        Cause::new("FieldValueTooMany", field, message)
    }
}

impl Causes {
    pub(crate) fn add(&mut self, cause: Cause) {
        self.0.push(cause);
    }

    pub(crate) fn listed(&self) -> Value {
        let listed =
            |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
        self.0.iter().map(listed).collect()
    }
}

/// One cause as it is, several in brackets, each once.
impl fmt::Display for Causes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = Vec::new();
        for cause in &self.0 {
            let line = format!("{}: {}", cause.field, cause.message);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        match lines.as_slice() {
            [line] => formatter.write_str(line),
            lines => write!(formatter, "[{}]", lines.join(", ")),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => go_string(text),
        other => other.to_string(),
    }
}

/// Quoted as Go's `%q` quotes: like JSON, except for what is not printable.
pub(crate) fn go_string(text: &str) -> String {
    use fmt::Write;
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other if other.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(other));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
