//! Validation of custom objects against their schema, in Kubernetes' words. On an update only what changed is
//! judged, so that a stricter schema doesn't lock people out of their old objects.

mod format;

use serde_json::Value;

use super::custom::type_of;
use super::{Additional, List, Schema, Type};
use crate::failure::{Cause, Causes};

/// What is wrong with an object; `old` is its state before the update.
pub(crate) fn validate(schema: &Schema, value: &Value, old: Option<&Value>, causes: &mut Causes) {
    let judged = Judged { path: String::new(), value, old };
    check(schema, &judged, causes);
}

/// Duplicates in sets and maps; an object that had some before may keep them.
pub(crate) fn validate_lists(schema: &Schema, value: &Value, old: Option<&Value>, causes: &mut Causes) {
    let find = |value: &Value| {
        let mut found = Causes::default();
        duplicates(schema, value, "", &mut found);
        found
    };
    if old.is_none_or(|old| find(old).0.is_empty()) {
        causes.0.extend(find(value).0);
    }
}

/// A value in its place.
struct Judged<'a> {
    path: String,
    value: &'a Value,
    old: Option<&'a Value>,
}

impl<'a> Judged<'a> {
    fn field(&self, name: &str) -> Option<Judged<'a>> {
        let value = self.value.get(name)?;
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Some(Judged { path, value, old: self.old.and_then(|old| old.get(name)) })
    }

    /// Items can be told apart only by their keys.
    fn item(&self, index: usize, list: &List) -> Option<Judged<'a>> {
        let value = self.value.get(index)?;
        let same = |other: &&Value| match list {
            List::Map(keys) => keys.iter().all(|key| other.get(key) == value.get(key)),
            List::Set => *other == value,
            List::Atomic => false,
        };
        let old = self.old.and_then(Value::as_array).and_then(|items| items.iter().find(same));
        Some(Judged { path: format!("{}[{index}]", self.path), value, old })
    }
}

fn check(schema: &Schema, judged: &Judged<'_>, causes: &mut Causes) {
    let (path, value) = (judged.path.as_str(), judged.value);
    if judged.old == Some(value) || value.is_null() && schema.nullable {
        return;
    }
    if !fits(schema, value) {
        let wanted = match schema.kind {
            _ if schema.int_or_string => "integer,string",
            Some(kind) => kind.name(),
            None => "object",
        };
        let found = type_of(value);
        causes.add(Cause::wrong_type(
            path,
            found,
            format!("{path} in body must be of type {wanted}: \"{found}\""),
        ));
        return;
    }
    let checks = &*schema.checks;
    if let Some(allowed) = &checks.allowed
        && !allowed.contains(value)
    {
        let supported: Vec<_> = allowed.iter().map(Value::to_string).collect();
        causes.add(Cause::unsupported_of(path, value, &supported.join(", ")));
    }
    match value {
        Value::String(text) => check_text(schema, path, text, causes),
        Value::Number(number) => check_number(schema, path, number.as_f64().unwrap_or(0.0), value, causes),
        Value::Array(items) => {
            if let Some(limit) = checks.max_items.filter(|limit| items.len() as u64 > *limit) {
                causes.add(Cause::too_many(path, items.len(), limit));
            }
            if let Some(limit) = checks.min_items.filter(|limit| (items.len() as u64) < *limit) {
                let why = format!("{path} in body should have at least {limit} items");
                causes.add(Cause::invalid(path, value, why));
            }
            if let Some(item) = schema.items.as_deref() {
                let items = (0..items.len()).filter_map(|index| judged.item(index, &schema.list));
                items.for_each(|judged| check(item, &judged, causes));
            }
        }
        Value::Object(fields) => {
            if let Some(limit) = checks.max_properties.filter(|limit| fields.len() as u64 > *limit) {
                causes.add(Cause::too_many(path, fields.len(), limit));
            }
            if let Some(limit) = checks.min_properties.filter(|limit| (fields.len() as u64) < *limit) {
                let why = format!("{path} in body should have at least {limit} properties");
                causes.add(Cause::invalid(path, value, why));
            }
            for name in checks.required.iter().filter(|name| !fields.contains_key(*name)) {
                let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                causes.add(Cause::required(field, ""));
            }
            for name in fields.keys() {
                // The metadata has been read by its own rules.
                if path.is_empty() && name == "metadata" {
                    continue;
                }
                let field = match (schema.properties.get(name), &schema.additional) {
                    (Some(field), _) => field,
                    (None, Additional::Of(field)) => field,
                    (None, Additional::Unsaid | Additional::Any) => continue,
                };
                if let Some(judged) = judged.field(name) {
                    check(field, &judged, causes);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    check_combinations(schema, judged, causes);
}

fn fits(schema: &Schema, value: &Value) -> bool {
    if schema.int_or_string {
        return value.is_string() || is_whole(value);
    }
    match schema.kind {
        None => true,
        Some(Type::Object) => value.is_object(),
        Some(Type::Array) => value.is_array(),
        Some(Type::String) => value.is_string(),
        Some(Type::Boolean) => value.is_boolean(),
        Some(Type::Integer) => is_whole(value),
        Some(Type::Number) => value.is_number(),
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn check_text(schema: &Schema, path: &str, text: &str, causes: &mut Causes) {
    let checks = &*schema.checks;
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(limit) = checks.max_length.filter(|limit| length > *limit) {
        causes.add(Cause::too_long(path, limit));
    }
    if let Some(limit) = checks.min_length.filter(|limit| length < *limit) {
        let why = format!("{path} in body should be at least {limit} chars long");
        causes.add(Cause::invalid(path, &value, why));
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        causes.add(Cause::invalid(path, &value, format!("{path} in body should match '{pattern}'")));
    }
    if let Some(name) = checks.format.as_deref().filter(|name| !format::fits(name, text)) {
        let why = format!("{path} in body must be of type {name}: {}", crate::failure::go_string(text));
        causes.add(Cause::wrong_type(path, text, why));
    }
}

fn check_number(schema: &Schema, path: &str, number: f64, value: &Value, causes: &mut Causes) {
    let checks = &*schema.checks;
    let mut wrong =
        |why: String| causes.add(Cause::invalid(path, value, format!("{path} in body should be {why}")));
    match checks.maximum {
        Some(limit) if checks.exclusive_maximum && number >= limit => wrong(format!("less than {limit}")),
        Some(limit) if !checks.exclusive_maximum && number > limit => {
            wrong(format!("less than or equal to {limit}"));
        }
        _ => {}
    }
    match checks.minimum {
        Some(limit) if checks.exclusive_minimum && number <= limit => wrong(format!("greater than {limit}")),
        Some(limit) if !checks.exclusive_minimum && number < limit => {
            wrong(format!("greater than or equal to {limit}"));
        }
        _ => {}
    }
    if let Some(factor) = checks.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
        wrong(format!("a multiple of {factor}"));
    }
}

fn check_combinations(schema: &Schema, judged: &Judged<'_>, causes: &mut Causes) {
    let checks = &*schema.checks;
    let path = &judged.path;
    let outcome = |schema: &Schema| {
        let mut found = Causes::default();
        check(schema, judged, &mut found);
        found
    };
    let holds = |schema: &&Schema| outcome(schema).0.is_empty();
    let mut wrong =
        |why: String| causes.add(Cause::invalid(path, &Value::from(""), format!("{path:?} must {why}")));
    if !checks.any_of.is_empty() && !checks.any_of.iter().any(|schema| holds(&schema)) {
        wrong("validate at least one schema (anyOf)".to_owned());
    }
    if !checks.one_of.is_empty() {
        match checks.one_of.iter().filter(holds).count() {
            1 => {}
            0 => wrong("validate one and only one schema (oneOf). Found none valid".to_owned()),
            several => {
                wrong(format!(
                    "validate one and only one schema (oneOf). Found {several} valid alternatives"
                ));
            }
        }
    }
    if checks.not.as_ref().is_some_and(|schema| holds(&schema)) {
        wrong("not validate the schema (not)".to_owned());
    }
    let failed: Vec<_> = checks.all_of.iter().map(outcome).filter(|found| !found.0.is_empty()).collect();
    if !failed.is_empty() {
        causes.0.extend(failed.into_iter().flat_map(|found| found.0));
        causes.add(Cause::invalid(
            path,
            &Value::from(""),
            format!("{path:?} must validate all the schemas (allOf)"),
        ));
    }
}

fn duplicates(schema: &Schema, value: &Value, path: &str, causes: &mut Causes) {
    match value {
        Value::Array(items) => {
            let identity = |item: &Value| match &schema.list {
                List::Atomic => None,
                List::Set => Some(item.clone()),
                List::Map(keys) => {
                    Some(keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect())
                }
            };
            let mut seen = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if let Some(identity) = identity(item) {
                    if seen.contains(&identity) {
                        causes.add(Cause::duplicate(&path, &identity));
                    }
                    seen.push(identity);
                }
                if let Some(schema) = schema.items.as_deref() {
                    duplicates(schema, item, &path, causes);
                }
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(field) = schema.field(name) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    duplicates(field, value, &path, causes);
                }
            }
        }
        _ => {}
    }
}
