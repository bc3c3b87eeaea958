//! What is particular to each built-in kind: defaults, what only the server says, and the validation that keeps
//! people from mistakes. Which rules are left out: those about features that a single local node hasn't got.

pub(super) mod access;
pub(super) mod definitions;
pub(super) mod ingresses;
pub(super) mod namespaces;
pub(super) mod pods;
pub(super) mod secrets;
pub(super) mod services;
pub(super) mod webhooks;
pub(super) mod workloads;

use serde_json::Value;

use crate::failure::{Cause, Causes};

/// Sets a field that is not there.
fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    if object.is_null() {
        *object = Value::Object(serde_json::Map::new());
    }
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value.into());
    }
}

/// The items of a list, or none when there is no list.
fn each<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn items<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object[field].as_array().into_iter().flatten()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn unchanged(new: &Value, old: &Value, field: &str, causes: &mut Causes) {
    if new != old {
        causes.add(Cause::invalid(field, new, "field is immutable"));
    }
}

/// A port number as Kubernetes accepts it.
fn check_port(port: i64, field: String, causes: &mut Causes) {
    if !(1..=65535).contains(&port) {
        causes.add(Cause::invalid(field, &port.into(), "must be between 1 and 65535, inclusive"));
    }
}
