//! What a custom kind's schema does to an object that comes in: unknown fields are cut off, and defaults come in.

use serde_json::{Map, Value};

use super::decode::Unknown;
use super::{Additional, Schema, Type};

/// Cuts off what the schema doesn't know, below the fields that every object has; tells the paths, sorted.
pub(crate) fn prune(schema: &Schema, object: &mut Value) -> Unknown {
    let mut unknown = Vec::new();
    prune_object(schema, object, "", true, &mut unknown);
    unknown.sort();
    unknown.into_iter().map(|path| format!("unknown field {path:?}")).collect()
}

fn prune_object(schema: &Schema, value: &mut Value, path: &str, whole: bool, unknown: &mut Unknown) {
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let inherent = whole && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                if inherent {
                    continue;
                }
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match (schema.field(&name), fields.get_mut(&name)) {
                    (Some(field), Some(value)) => prune_object(field, value, &below, field.embedded, unknown),
                    _ if schema.preserve_unknown || matches!(schema.additional, Additional::Any) => {}
                    _ => {
                        fields.shift_remove(&name);
                        unknown.push(below);
                    }
                }
            }
        }
        Value::Array(items) => {
            let Some(item) = schema.items.as_deref() else { return };
            for (index, value) in items.iter_mut().enumerate() {
                prune_object(item, value, &format!("{path}[{index}]"), item.embedded, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in defaults. A null where none is allowed counts as absent.
pub(crate) fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in &schema.properties {
                let absent = match fields.get(name) {
                    None => true,
                    Some(Value::Null) => !field.nullable,
                    Some(_) => false,
                };
                if !absent || field.default.is_none() && !fields.contains_key(name) {
                    continue;
                }
                match &field.default {
                    Some(default) => drop(fields.insert(name.clone(), default.clone())),
                    None => drop(fields.shift_remove(name)),
                }
            }
            let known = |name: &str| schema.properties.get(name);
            for (name, value) in fields.iter_mut() {
                match (known(name), &schema.additional) {
                    (Some(field), _) => default(field, value),
                    (None, Additional::Of(field)) => default_item(field, value),
                    (None, Additional::Unsaid | Additional::Any) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = schema.items.as_deref() {
                for value in items {
                    default_item(item, value);
                }
            }
        }
        _ => {}
    }
}

fn default_item(schema: &Schema, value: &mut Value) {
    if value.is_null()
        && !schema.nullable
        && let Some(default) = &schema.default
    {
        *value = default.clone();
    }
    default(schema, value);
}

/// The version of an object that another version of its kind shows: only the name of the version differs.
pub(crate) fn in_version(object: &Value, api_version: &str) -> Value {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        let set =
            |fields: &mut Map<String, Value>| fields.insert("apiVersion".to_owned(), api_version.into());
        set(fields);
    }
    object
}

/// What Go calls the type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => Type::Boolean.name(),
        Value::Number(number) if number.is_f64() => Type::Number.name(),
        Value::Number(_) => Type::Integer.name(),
        Value::String(_) => Type::String.name(),
        Value::Array(_) => Type::Array.name(),
        Value::Object(_) => Type::Object.name(),
    }
}
