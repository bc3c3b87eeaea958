//! Deleting an object: at once, or in steps while something still holds it.

use serde_json::{Value, json};

use super::metadata::{self, finalizers, is_being_deleted, text};
use super::{Deletion, Object, Objects, Propagation};
use crate::definitions;
use crate::failure::Failure;
use crate::resources::Kind;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What became of a deletion.
pub(crate) struct Deleted {
    /// Its last state, or the state in which it waits.
    pub(crate) object: Object,
    /// Whether it is gone.
    pub(crate) gone: bool,
}

impl Objects {
    pub(crate) fn remove(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
        dry_run: bool,
    ) -> Result<Deleted, Failure> {
        let writer = self.store().write();
        let resource = &kind.resource;
        let key = (namespace.to_owned(), name.to_owned());
        let old = self.store().get(resource, &key).ok_or_else(|| Failure::not_found(resource, name))?;
        check_preconditions(kind, &old, deletion)?;
        match marked(kind, &old, deletion) {
            None if dry_run => Ok(Deleted { object: old, gone: true }),
            None => {
                writer.remove(resource, &key);
                Ok(Deleted { object: old, gone: true })
            }
            Some(object) if object == *old => Ok(Deleted { object: old, gone: false }),
            Some(object) if dry_run => Ok(Deleted { object: object.into(), gone: false }),
            Some(object) => Ok(Deleted { object: writer.put(resource, object), gone: false }),
        }
    }
}

fn check_preconditions(kind: &Kind, object: &Value, deletion: &Deletion) -> Result<(), Failure> {
    let subject = super::Resource::new(kind.group(), &kind.kind);
    let name = text(object, "name");
    let (uid, version) = (text(object, "uid"), text(object, "resourceVersion"));
    if let Some(asked) = deletion.uid.as_deref().filter(|asked| *asked != uid) {
        let why = format!(
            "the UID in the precondition ({asked}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        );
        return Err(Failure::conflict(&subject, name, &why));
    }
    if let Some(asked) = deletion.resource_version.as_deref().filter(|asked| *asked != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record \
             ({version}). The object might have been modified"
        );
        return Err(Failure::conflict(&subject, name, &why));
    }
    Ok(())
}

/// The state in which the object waits for its end, or nothing if it can go now.
fn marked(kind: &Kind, old: &Value, deletion: &Deletion) -> Option<Value> {
    let mut object = old.clone();
    set_propagation(&mut object, deletion.propagation);
    let grace = grace(kind, old, deletion);
    let first = !is_being_deleted(old);
    let pending = old["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
    let is_namespace = kind.group().is_empty() && kind.kind == "Namespace";
    let is_definition = kind.kind == "CustomResourceDefinition";
    if is_definition && first {
        definitions::mark_deleted(&mut object);
    }
    let held = !finalizers(&object).is_empty()
        || is_namespace && !object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    if grace == 0 && !held {
        return None;
    }
    if !first && grace >= pending && (pending > 0 || grace > 0) {
        return Some(object);
    }
    if first || grace < pending {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(grace as i64);
        let generation = object["metadata"]["generation"].as_i64();
        let fields = metadata::of(&mut object);
        fields.insert("deletionTimestamp".to_owned(), json!(metadata::timestamp(end)));
        fields.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        if let Some(generation) = generation.filter(|_| first && !is_definition) {
            fields.insert("generation".to_owned(), json!(generation + 1));
        }
        if is_namespace || is_definition {
            fields.shift_remove("deletionGracePeriodSeconds");
        }
        if is_namespace {
            object["status"]["phase"] = json!("Terminating");
        }
    }
    Some(object)
}

fn set_propagation(object: &mut Value, propagation: Propagation) {
    if propagation == Propagation::Unsaid {
        return;
    }
    let mut names: Vec<String> = finalizers(object).into_iter().map(str::to_owned).collect();
    names.retain(|name| name != FOREGROUND && name != ORPHAN);
    match propagation {
        Propagation::Unsaid | Propagation::Background => {}
        Propagation::Foreground => names.push(FOREGROUND.to_owned()),
        Propagation::Orphan => names.push(ORPHAN.to_owned()),
    }
    let fields = metadata::of(object);
    if names.is_empty() {
        fields.shift_remove("finalizers");
    } else {
        fields.insert("finalizers".to_owned(), json!(names));
    }
}

/// Only pods are given time; a pod that never ran, or has ended, needs none.
fn grace(kind: &Kind, object: &Value, deletion: &Deletion) -> u64 {
    let runs = !object["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()
        && !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !(kind.group().is_empty() && kind.kind == "Pod" && runs) {
        return 0;
    }
    let asked = deletion.grace_seconds;
    asked.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(30)
}
