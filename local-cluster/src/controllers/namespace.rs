//! The end of a namespace: everything in it is deleted, and it goes when the last object has gone.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{self, is_going, name, stamp, unless_gone};
use crate::objects::{Deletion, Object, Objects, Part, Resource};

use super::reconciler::{Key, Reconciler, Source};

/// While something remains it is looked at this often; what is in a namespace may be of any kind, custom too.
const PACE: Duration = Duration::from_millis(100);

pub(crate) struct Namespaces;

impl Reconciler for Namespaces {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::own(kinds::namespaces())]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let space = objects.get(&kinds::namespaces(), "", &key.name);
        if space.is_none_or(|space| !is_going(&space)) {
            return Ok(None);
        }
        let failures = delete_content(objects, &key.name);
        let remaining = content(objects, &key.name);
        write_status(objects, &key.name, &remaining, &failures, now)?;
        if !remaining.is_empty() {
            return Ok(Some(PACE));
        }
        let released = objects.modify(&kinds::namespaces(), "", &key.name, Part::AllButStatus, |space| {
            if let Some(finalizers) = space["spec"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != "kubernetes");
            }
        });
        if released.is_ok() && objects.get(&kinds::namespaces(), "", &key.name).is_some() {
            unless_gone(objects.delete(&kinds::namespaces(), "", &key.name, &Deletion::default()))?;
        }
        Ok(None)
    }
}

fn content(objects: &Objects, space: &str) -> Vec<(Resource, Object)> {
    let resources = objects.resources();
    let all = resources.into_iter().flat_map(|resource| {
        let listed = objects.list(&resource, Some(space));
        listed.into_iter().map(move |object| (resource.clone(), object))
    });
    // One object may be there under two names of its kind.
    let mut by_uid = BTreeMap::new();
    for (resource, object) in all {
        by_uid.entry(kinds::uid(&object).to_owned()).or_insert((resource, object));
    }
    by_uid.into_values().collect()
}

fn delete_content(objects: &Objects, space: &str) -> Vec<String> {
    let mut failures = Vec::new();
    for (resource, object) in content(objects, space) {
        if is_going(&object) {
            continue;
        }
        match objects.delete(&resource, space, name(&object), &Deletion::default()) {
            Err(failure) if failure.code != 404 => failures.push(failure.message),
            _ => {}
        }
    }
    failures
}

fn write_status(
    objects: &Objects,
    space: &str,
    remaining: &[(Resource, Object)],
    failures: &[String],
    now: Timestamp,
) -> Result<(), Failure> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for (resource, object) in remaining {
        let group = if resource.group.is_empty() { String::new() } else { format!(".{}", resource.group) };
        *counts.entry(format!("{}{group}", resource.plural)).or_default() += 1;
        let held =
            object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for finalizer in held {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let list = |counts: &BTreeMap<String, usize>, word: &str| {
        let parts: Vec<String> =
            counts.iter().map(|(what, count)| format!("{what} {word} {count} resource instances")).collect();
        parts.join(", ")
    };
    let content = list(&counts, "has");
    let held = list(&finalizers, "in");
    let failed = failures.join("; ");
    let conditions = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        if failures.is_empty() {
            (
                "NamespaceDeletionContentFailure",
                false,
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization".to_owned(),
            )
        } else {
            (
                "NamespaceDeletionContentFailure",
                true,
                "ContentDeletionFailed",
                format!("Failed to delete all resource types, {} remaining: {failed}", failures.len()),
            )
        },
        if counts.is_empty() {
            (
                "NamespaceContentRemaining",
                false,
                "ContentRemoved",
                "All content successfully removed".to_owned(),
            )
        } else {
            (
                "NamespaceContentRemaining",
                true,
                "SomeResourcesRemain",
                format!("Some resources are remaining: {content}"),
            )
        },
        if finalizers.is_empty() {
            (
                "NamespaceFinalizersRemaining",
                false,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished".to_owned(),
            )
        } else {
            (
                "NamespaceFinalizersRemaining",
                true,
                "SomeFinalizersRemain",
                format!("Some content in the namespace has finalizers remaining: {held}"),
            )
        },
    ];
    let written = objects.modify(&kinds::namespaces(), "", space, Part::Status, |space| {
        let before = space["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let written = conditions.iter().map(|(kind, holds, reason, message)| {
            let status = if *holds { "True" } else { "False" };
            let same = before.iter().find(|one| one["type"] == *kind && one["status"] == status);
            let since = same.map_or_else(|| json!(stamp(now)), |one| one["lastTransitionTime"].clone());
            json!({"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
        });
        let written: Vec<Value> = written.collect();
        space["status"] = json!({"phase": "Terminating", "conditions": written});
    });
    unless_gone(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_when_its_last_object_has_gone_and_says_what_it_waits_for() {
        let objects = Objects::default();
        for name in ["doomed", "kept"] {
            let space = json!({"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}});
            objects.create(&kinds::namespaces(), space).unwrap();
            let map =
                json!({"metadata": {"namespace": name, "name": "held", "finalizers": ["example.com/keep"]}});
            objects.create(&kinds::config_maps(), map).unwrap();
            let secret = json!({"metadata": {"namespace": name, "name": "plain"}});
            objects.create(&kinds::secrets(), secret).unwrap();
        }
        let key = Key { namespace: String::new(), name: "doomed".to_owned() };
        let look = || Namespaces.reconcile(&objects, &key, "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(look(), None);
        assert_eq!(objects.list(&kinds::config_maps(), Some("doomed")).len(), 1, "not asked for: untouched");

        objects.delete(&kinds::namespaces(), "", "doomed", &Deletion::default()).unwrap();
        assert_eq!(look(), Some(PACE));
        let space = objects.get(&kinds::namespaces(), "", "doomed").unwrap();
        assert_eq!(space["status"]["phase"], "Terminating");
        let messages: Vec<_> = space["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["message"].as_str().unwrap().to_owned())
            .collect();
        assert!(
            messages
                .contains(&"Some resources are remaining: configmaps has 1 resource instances".to_owned()),
            "{messages:?}"
        );
        assert!(
            messages.iter().any(|message| message.ends_with("example.com/keep in 1 resource instances")),
            "{messages:?}"
        );

        objects
            .modify(&kinds::config_maps(), "doomed", "held", Part::AllButStatus, |map| {
                map["metadata"]["finalizers"] = json!([]);
            })
            .unwrap();
        look();
        assert!(objects.get(&kinds::namespaces(), "", "doomed").is_none());
        for resource in [kinds::config_maps(), kinds::secrets()] {
            assert_eq!(objects.list(&resource, None).len(), 1, "the other namespace's");
        }
    }
}
