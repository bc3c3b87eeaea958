//! The way from client-side to server-side apply: fields that `kubectl apply` noted in its annotation count as
//! kubectl's own, and the annotation follows what kubectl applies.

use serde_json::Value;

use super::field_set::{FieldSet, canonical};
use super::{Author, Conflicts, typed};
use crate::resources::Kind;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether all that conflicts is what kubectl last applied, and is still as it was applied.
pub(super) fn permits(kind: &Kind, live: &Value, author: &Author, conflicts: &Conflicts) -> bool {
    let annotation = live["metadata"]["annotations"][ANNOTATION].as_str();
    let last: Option<Value> = annotation.and_then(|text| serde_json::from_str(text).ok());
    let Some(last) = last.filter(|_| author.manager == "kubectl") else { return false };
    let guide = Some(&kind.schema);
    let difference = typed::compare(guide, &last, live);
    let own = typed::fields(guide, &last)
        .difference(&difference.modified)
        .difference(&difference.added)
        .difference(&difference.removed);
    let mut all = FieldSet::default();
    conflicts.0.iter().for_each(|(_, fields)| all.union(fields));
    all.difference(&own).is_empty()
}

/// Notes what was applied, where there was such a note.
pub(super) fn refresh(object: &mut Value, applied: &Value, author: &Author) {
    if author.manager != "kubectl" || object["metadata"]["annotations"][ANNOTATION].is_null() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(metadata) = applied["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove(ANNOTATION);
        }
    }
    object["metadata"]["annotations"][ANNOTATION] = format!("{}\n", canonical(&applied)).into();
}
