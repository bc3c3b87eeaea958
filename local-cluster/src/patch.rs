//! Patches: JSON patch (RFC 6902, as lenient as Kubernetes is), JSON merge patch (RFC 7396), strategic merge patch.

mod json;
mod strategic;

use serde_json::Value;

pub(crate) use self::json::JsonPatch;
pub(crate) use self::strategic::merge as strategic_merge;

/// RFC 7396: objects merge, null removes, everything else replaces.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests;
