//! Field selectors as URLs carry them: `metadata.name=a,status.phase!=Running`.

use serde_json::Value;

use crate::failure::Failure;
use crate::resources::Kind;

/// All of its requirements must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Only fields that the kind offers can be selected by.
    pub(crate) fn parse(text: &str, kind: &Kind) -> Result<FieldSelector, Failure> {
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        let requirements: Vec<_> = parts.map(|part| requirement(&part, text)).collect::<Result<_, _>>()?;
        for requirement in &requirements {
            check(&requirement.field, kind)?;
        }
        Ok(FieldSelector(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn selects(&self, object: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let found = value_at(object, &requirement.field);
            (found == requirement.value) == requirement.equal
        })
    }
}

/// At commas, except those behind a backslash.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        match (character, escaped, parts.last_mut()) {
            (',', false, _) => parts.push(String::new()),
            (_, _, Some(part)) => part.push(character),
            (_, _, None) => {}
        }
        escaped = character == '\\' && !escaped;
    }
    parts
}

fn requirement(part: &str, whole: &str) -> Result<Requirement, Failure> {
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((field, value)) = part.split_once(operator) {
            let value = value.replace("\\,", ",").replace("\\=", "=").replace("\\\\", "\\");
            return Ok(Requirement { field: field.to_owned(), value, equal });
        }
    }
    Err(Failure::bad_request(format!("invalid selector: '{whole}'; can't understand '{part}'")))
}

fn check(field: &str, kind: &Kind) -> Result<(), Failure> {
    if field == "metadata.name" || field == "metadata.namespace" {
        return Ok(());
    }
    match (kind.custom(), kind.built_in()) {
        (Some(custom), _) if custom.selectable.iter().any(|known| known == field) => Ok(()),
        (Some(_), _) => Err(Failure::bad_request(format!("field label not supported: {field}"))),
        (_, Some(row)) if row.selectable.contains(&field) => Ok(()),
        (_, Some(row)) if row.selectable.is_empty() => Err(Failure::bad_request(format!(
            "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ))),
        _ => Err(Failure::bad_request(format!("field label not supported: {field}"))),
    }
}

/// As text; what is not there is empty, or false for the flags.
fn value_at(object: &Value, field: &str) -> String {
    let found = match field {
        // These two have names of their own.
        "source" => &object["source"]["component"],
        "status.successful" => &object["status"]["succeeded"],
        _ => field.split('.').fold(object, |value, part| &value[part]),
    };
    match (found, field) {
        (Value::Null, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        (Value::Null, "status.replicas" | "status.successful") => "0".to_owned(),
        (Value::Null, _) => String::new(),
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}
