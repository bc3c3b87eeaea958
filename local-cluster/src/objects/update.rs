//! Changing an object.

use serde_json::{Value, json};

use super::metadata::{self, finalizers, is_being_deleted, text};
use super::{Object, Objects, Part, custom};
use crate::failure::{Causes, Failure};
use crate::ownership::{self, Author};
use crate::resources::Kind;
use crate::store::{Writer, key_of};

/// The new state of an object, complete and valid, but not yet stored.
pub(crate) struct Changed {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

/// Puts back what may not be changed, and checks the rest. Without an author the ownership of fields is as the
/// object says.
pub(crate) fn prepare(
    kind: &Kind,
    mut object: Value,
    old: &Value,
    part: Part,
    author: Option<&Author>,
) -> Result<Changed, Failure> {
    restore(kind, &mut object, old, part);
    let old_fields = &old["metadata"];
    let fields = metadata::of(&mut object);
    if !kind.namespaced {
        fields.shift_remove("namespace");
    }
    fields.shift_remove("selfLink");
    for field in ["generation", "creationTimestamp"] {
        keep(fields, old_fields, field);
    }
    if is_being_deleted(old) {
        keep(fields, old_fields, "deletionTimestamp");
    }
    if fields.get("deletionGracePeriodSeconds").is_none_or(Value::is_null) {
        keep(fields, old_fields, "deletionGracePeriodSeconds");
    }
    if fields.get("uid").and_then(Value::as_str).unwrap_or_default().is_empty() {
        keep(fields, old_fields, "uid");
    }
    let mut causes = Causes::default();
    if let Some(row) = kind.built_in() {
        (row.rules.default)(&mut object);
        (row.rules.validate)(&object, &mut causes);
        (row.rules.validate_update)(&object, old, &mut causes);
    }
    // Kubernetes looks twice, once for every kind and once in the kind's own rules, and tells both.
    for _ in 0..2 {
        metadata::validate_update(&object, old, &mut causes);
    }
    if kind.custom().is_some() {
        custom::validate(kind, &object, Some(old), &mut causes);
    }
    if !causes.0.is_empty() {
        return Err(Failure::invalid(kind.group(), &kind.kind, text(&object, "name"), causes));
    }
    if kind.has_generation() && part == Part::AllButStatus && differs_besides_metadata(&object, old) {
        let generation = old_fields["generation"].as_i64().unwrap_or(0) + 1;
        object["metadata"]["generation"] = json!(generation);
    }
    if let Some(author) = author {
        ownership::track(kind, Some(old), &mut object, author);
    }
    let warnings = metadata::warnings(&object, Some(old));
    Ok(Changed { object, warnings })
}

/// Puts back the part that a write through this door can't change.
pub(crate) fn restore(kind: &Kind, object: &mut Value, old: &Value, part: Part) {
    if kind.has_subresource("status") {
        match part {
            Part::AllButStatus => take_field(object, old, "status"),
            Part::Status => {
                let mut new = std::mem::replace(object, old.clone());
                take_field(object, &new, "status");
                let fields = metadata::of(object);
                for field in ["resourceVersion", "managedFields", "uid"] {
                    match new["metadata"][field].take() {
                        Value::Null => {}
                        value => drop(fields.insert(field.to_owned(), value)),
                    }
                }
            }
        }
    }
}

fn keep(fields: &mut serde_json::Map<String, Value>, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => drop(fields.insert(field.to_owned(), value.clone())),
        None => drop(fields.shift_remove(field)),
    }
}

fn take_field(object: &mut Value, old: &Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        keep(fields, old, field);
    }
}

fn differs_besides_metadata(new: &Value, old: &Value) -> bool {
    let rest = |object: &Value| -> Vec<(String, Value)> {
        let fields = object.as_object().into_iter().flatten();
        let mut rest: Vec<_> = fields
            .filter(|(name, _)| *name != "metadata")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        rest.sort_by(|a, b| a.0.cmp(&b.0));
        rest
    };
    rest(new) != rest(old)
}

/// Whether nothing holds an object that is being deleted any more.
pub(super) fn is_finished(object: &Value) -> bool {
    is_being_deleted(object)
        && finalizers(object).is_empty()
        && object["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0) == 0
        && object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

/// Writes the new state, unless it is the old one; an object that was only waiting for its last finalizer goes.
pub(super) fn write(writer: &Writer<'_>, kind: &Kind, old: &Object, mut object: Value) -> Object {
    object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    if object == **old {
        return Object::clone(old);
    }
    if is_finished(&object) {
        writer.remove(&kind.resource, &key_of(old));
        return object.into();
    }
    writer.put(&kind.resource, object)
}

impl Objects {
    /// Stores a new state if the old one is still there; nothing when somebody else was faster.
    pub(crate) fn replace(&self, kind: &Kind, old: &Object, object: Value, dry_run: bool) -> Option<Object> {
        let writer = self.store().write();
        let current = self.store().get(&kind.resource, &key_of(old))?;
        if current["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return None;
        }
        if dry_run {
            let mut object = object;
            object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            return Some(object.into());
        }
        Some(write(&writer, kind, &current, object))
    }
}
