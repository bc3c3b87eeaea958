//! The metadata of objects: what the server sets, and what it accepts.

use serde_json::{Map, Value, json};

use crate::failure::{Cause, Causes};
use crate::resources::{Kind, NameRule, names};

/// Characters of generated names: no vowels, so that there are no words, and nothing that looks like another.
const NAME_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const LONGEST_GENERATED_PREFIX: usize = 58;
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The time, to the second, as objects carry it.
pub(crate) fn now() -> String {
    timestamp(jiff::Timestamp::now())
}

pub(crate) fn timestamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The metadata, made when there is none.
pub(super) fn of(object: &mut Value) -> &mut Map<String, Value> {
    static EMPTY: fn() -> Value = || Value::Object(Map::new());
    if !object["metadata"].is_object() {
        object["metadata"] = EMPTY();
    }
    match &mut object["metadata"] {
        Value::Object(metadata) => metadata,
        // It was made one just above.
        _ => unreachable!("metadata is an object"),
    }
}

pub(super) fn generated_name(prefix: &str) -> String {
    let end = prefix.char_indices().nth(LONGEST_GENERATED_PREFIX).map_or(prefix.len(), |(at, _)| at);
    let character = |_| char::from(NAME_CHARACTERS[fastrand::usize(..NAME_CHARACTERS.len())]);
    prefix[..end].chars().chain((0..5).map(character)).collect()
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn is_being_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Name, namespace and all that an update checks too.
pub(super) fn validate(kind: &Kind, object: &Value, causes: &mut Causes) {
    let rule = kind.built_in().map_or(NameRule::Subdomain, |row| row.names);
    let prefix = text(object, "generateName");
    if !prefix.is_empty() {
        for wrong in rule.check(prefix, true) {
            causes.add(Cause::invalid("metadata.generateName", &json!(prefix), wrong));
        }
    }
    let name = text(object, "name");
    if name.is_empty() {
        causes.add(Cause::required("metadata.name", "name or generateName is required"));
    } else {
        for wrong in rule.check(name, false) {
            causes.add(Cause::invalid("metadata.name", &json!(name), wrong));
        }
    }
    let namespace = text(object, "namespace");
    if kind.namespaced {
        for wrong in NameRule::Label.check(namespace, false) {
            causes.add(Cause::invalid("metadata.namespace", &json!(namespace), wrong));
        }
    }
    validate_maps_and_references(object, causes);
    for finalizer in finalizers(object) {
        for wrong in names::qualified(finalizer) {
            causes.add(Cause::invalid("metadata.finalizers", &json!(finalizer), wrong));
        }
    }
    let both = ["orphan", "foregroundDeletion"].iter().all(|name| finalizers(object).contains(name));
    if both {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.add(Cause::invalid("metadata.finalizers", &object["metadata"]["finalizers"], why));
    }
}

/// What an update must leave as it is.
pub(super) fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    if is_being_deleted(old) {
        let (kept, asked) = (finalizers(old), finalizers(new));
        let mut added: Vec<_> = asked.into_iter().filter(|name| !kept.contains(name)).collect();
        if !added.is_empty() {
            added.sort_unstable();
            let added: Vec<_> = added.into_iter().map(|name| format!("{name:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.add(Cause::forbidden("metadata.finalizers", why));
        }
    }
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let (new, old) = (&new["metadata"][field], &old["metadata"][field]);
        if new != old {
            causes.add(Cause::invalid(format!("metadata.{field}"), new, "field is immutable"));
        }
    }
    validate_maps_and_references(new, causes);
}

fn validate_maps_and_references(object: &Value, causes: &mut Causes) {
    let metadata = &object["metadata"];
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        for wrong in names::qualified(key) {
            causes.add(Cause::invalid("metadata.labels", &json!(key), wrong));
        }
        for wrong in names::label_value(value.as_str().unwrap_or_default()) {
            causes.add(Cause::invalid("metadata.labels", value, wrong));
        }
    }
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        // Keys of annotations may have capitals in their prefix.
        for wrong in names::qualified(&key.to_lowercase()) {
            causes.add(Cause::invalid("metadata.annotations", &json!(key), wrong));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        causes.add(Cause::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let mut controller = None;
    for owner in owners {
        let wrongs = [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ];
        for (field, why) in wrongs {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                causes.add(Cause::invalid(format!("metadata.ownerReferences.{field}"), &json!(""), why));
            }
        }
        if owner["controller"] == true {
            let this =
                format!("{}/{}", owner["kind"].as_str().unwrap_or(""), owner["name"].as_str().unwrap_or(""));
            match &controller {
                None => controller = Some(this),
                Some(first) => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {this}"
                    );
                    causes.add(Cause::invalid("metadata.ownerReferences", &metadata["ownerReferences"], why));
                }
            }
        }
    }
}

/// What a client is warned of: finalizers that others might use too.
pub(super) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
    let known = old.map(finalizers).unwrap_or_default();
    let added = finalizers(new).into_iter().filter(|name| !known.contains(name));
    let undomained = added.filter(|name| !name.contains('/') && !STANDARD.contains(name));
    undomained
        .map(|name| {
            format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid accidental \
                 conflicts with other finalizer writers"
            )
        })
        .collect()
}
