//! Garbage collection: what becomes of objects when the object they name as an owner goes.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{is_going, name, namespace, text, uid};
use crate::objects::{AllChanges, Change, Deletion, Objects, Part, Propagation, Resource};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    resource: Resource,
    namespace: String,
    name: String,
}

/// Who is there, and who owns whom, by uid.
struct Garbage {
    objects: Objects,
    present: HashMap<String, Place>,
    owners: HashMap<String, Vec<String>>,
    owned: HashMap<String, BTreeSet<String>>,
    /// Being deleted in the foreground: they go when nothing that blocks them is left.
    waiting: HashSet<String>,
}

/// Runs until dropped, or until the cluster has stopped.
pub(crate) async fn run(objects: Objects) {
    let mut changes = objects.watch_all();
    let mut garbage = Garbage::new(objects);
    garbage.follow(&mut changes).await;
}

impl Garbage {
    fn new(objects: Objects) -> Garbage {
        let mut garbage = Garbage {
            objects: objects.clone(),
            present: HashMap::new(),
            owners: HashMap::new(),
            owned: HashMap::new(),
            waiting: HashSet::new(),
        };
        for resource in objects.resources() {
            for object in objects.list(&resource, None) {
                garbage.note(&resource, &object);
            }
        }
        garbage
    }

    async fn follow(&mut self, changes: &mut AllChanges) {
        while let Some((resource, change)) = changes.next().await {
            self.see(&resource, &change);
        }
    }

    fn see(&mut self, resource: &Resource, change: &Change) {
        match change {
            Change::Added(object) | Change::Modified(object) => {
                self.note(resource, object);
                if is_going(object) {
                    self.begin(object);
                } else {
                    self.judge(uid(object));
                }
            }
            Change::Deleted(object) => self.forget(object),
        }
    }

    fn note(&mut self, resource: &Resource, object: &Value) {
        let (namespace, name) = (namespace(object).to_owned(), name(object).to_owned());
        let id = uid(object).to_owned();
        self.present.insert(id.clone(), Place { resource: resource.clone(), namespace, name });
        let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let owners: Vec<String> = owners.map(|owner| text(owner, "/uid").to_owned()).collect();
        for former in self.owners.remove(&id).unwrap_or_default() {
            self.disown(&former, &id);
        }
        for owner in &owners {
            self.owned.entry(owner.clone()).or_default().insert(id.clone());
        }
        if !owners.is_empty() {
            self.owners.insert(id, owners);
        }
    }

    fn disown(&mut self, owner: &str, id: &str) {
        if let Some(owned) = self.owned.get_mut(owner) {
            owned.remove(id);
            if owned.is_empty() {
                self.owned.remove(owner);
            }
        }
    }

    /// An object is being deleted: what it owns goes first, or is let go.
    fn begin(&mut self, object: &Value) {
        let finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let id = uid(object).to_owned();
        if finalizers.contains(&json!(ORPHAN)) {
            let owned: Vec<String> = self.owned.get(&id).into_iter().flatten().cloned().collect();
            for one in owned {
                self.release(&one, std::slice::from_ref(&id));
            }
            self.finish(&id, ORPHAN);
        } else if finalizers.contains(&json!(FOREGROUND)) {
            self.waiting.insert(id.clone());
            let owned: Vec<String> = self.owned.get(&id).into_iter().flatten().cloned().collect();
            for one in owned {
                self.judge(&one);
            }
            self.finish_when_alone(&id);
        }
    }

    fn forget(&mut self, object: &Value) {
        let id = uid(object);
        self.present.remove(id);
        self.waiting.remove(id);
        for owner in self.owners.remove(id).unwrap_or_default() {
            self.disown(&owner, id);
            self.finish_when_alone(&owner);
        }
        let owned: Vec<String> = self.owned.get(id).into_iter().flatten().cloned().collect();
        for one in owned {
            self.judge(&one);
        }
    }

    /// Whether an object still has an owner that stays; if it had some and has none, it goes.
    fn judge(&mut self, id: &str) {
        let Some(owners) = self.owners.get(id) else { return };
        let (gone, there): (Vec<String>, Vec<String>) =
            owners.iter().cloned().partition(|owner| !self.present.contains_key(owner));
        let (going, solid): (Vec<String>, Vec<String>) =
            there.into_iter().partition(|owner| self.waiting.contains(owner));
        if gone.is_empty() && going.is_empty() {
            return;
        }
        if solid.is_empty() {
            // Owners that wait for what they own pass that on.
            let propagation =
                if going.is_empty() { Propagation::Background } else { Propagation::Foreground };
            self.delete(id, propagation);
        } else {
            self.release(id, &[gone, going].concat());
        }
    }

    fn delete(&self, id: &str, propagation: Propagation) {
        let Some(place) = self.present.get(id) else { return };
        let object = self.objects.get(&place.resource, &place.namespace, &place.name);
        if object.is_none_or(|object| is_going(&object) || uid(&object) != id) {
            return;
        }
        let deletion = Deletion { uid: Some(id.to_owned()), propagation, ..Deletion::default() };
        report(place, self.objects.delete(&place.resource, &place.namespace, &place.name, &deletion));
    }

    /// Takes the given owners from an object.
    fn release(&self, id: &str, owners: &[String]) {
        self.edit(id, |object| {
            if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
                references.retain(|reference| !owners.iter().any(|owner| reference["uid"] == owner.as_str()));
            }
            if object["metadata"]["ownerReferences"] == json!([])
                && let Some(metadata) = object["metadata"].as_object_mut()
            {
                metadata.shift_remove("ownerReferences");
            }
        });
    }

    fn finish_when_alone(&mut self, id: &str) {
        if !self.waiting.contains(id) || self.owned.get(id).is_some_and(|owned| self.blocks(id, owned)) {
            return;
        }
        self.waiting.remove(id);
        self.finish(id, FOREGROUND);
    }

    /// Whether one of these objects says that its owner must wait for it.
    fn blocks(&self, owner: &str, owned: &BTreeSet<String>) -> bool {
        owned.iter().filter_map(|one| self.present.get(one)).any(|place| {
            let object = self.objects.get(&place.resource, &place.namespace, &place.name);
            let references =
                object.as_ref().and_then(|object| object["metadata"]["ownerReferences"].as_array());
            references
                .into_iter()
                .flatten()
                .any(|one| one["uid"] == owner && one["blockOwnerDeletion"] == true)
        })
    }

    fn finish(&self, id: &str, done: &str) {
        self.edit(id, |object| {
            if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != done);
            }
        });
    }

    fn edit(&self, id: &str, edit: impl FnOnce(&mut Value)) {
        let Some(place) = self.present.get(id) else { return };
        let written = self.objects.modify(
            &place.resource,
            &place.namespace,
            &place.name,
            Part::AllButStatus,
            |object| {
                if uid(object) == id {
                    edit(object);
                }
            },
        );
        report(place, written);
    }
}

fn report<T>(place: &Place, result: Result<T, Failure>) {
    match result {
        // Somebody else was faster.
        Ok(_) | Err(Failure { code: 404 | 409, .. }) => {}
        Err(failure) => {
            let Place { resource, namespace, name } = place;
            tracing::warn!("garbage: failed at {} {namespace}/{name}: {failure}", resource.plural);
        }
    }
}

#[cfg(test)]
mod tests;
