//! The objects last seen, by key, and what could not be read.
//!
//! The store knows nothing of what the objects mean. An object that becomes unreadable keeps its last
//! readable form; the fact that it did is kept beside it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use admin_api::ObjectVersion;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::objects::{Kind, Object, ObjectKey, Readable};
use crate::source::{Change, Fault, Listing, Scope, Unreadable};

/// Namespace, then name.
type Table = BTreeMap<String, BTreeMap<String, Object>>;

/// Everything a source has said.
#[derive(Debug, Clone, Default)]
pub struct Store {
    tables: BTreeMap<Kind, Table>,
    unreadable: BTreeMap<ObjectKey, Unreadable>,
    versions: BTreeMap<ObjectKey, ObjectVersion>,
    faults: Vec<Fault>,
}

impl Store {
    /// Takes a change in. False when everything is as it was.
    pub fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Listed(listings) => {
                let mut changed = false;
                for listing in listings {
                    changed |= self.replace(listing);
                }
                changed
            }
            Change::Applied(object) => self.insert(object),
            Change::Unreadable(unreadable) => self.insert_unreadable(unreadable),
            Change::Deleted(key) => self.remove(&key),
            Change::Faults(faults) => {
                let changed = self.faults != faults;
                self.faults = faults;
                changed
            }
            Change::Trouble(..) | Change::Restored(_) => false,
        }
    }

    /// The object of this name, if it was ever readable.
    pub fn get<T: Readable>(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        T::of(self.tables.get(&T::OBJECT_KIND)?.get(namespace)?.get(name)?)
    }

    /// All objects of a type, by namespace and name.
    pub fn all<T: Readable>(&self) -> impl Iterator<Item = &Arc<T>> {
        self.tables
            .get(&T::OBJECT_KIND)
            .into_iter()
            .flat_map(|table| table.values().flat_map(BTreeMap::values))
            .filter_map(|object| T::of(object))
    }

    /// The metadata of an object, readable or not, as it was last seen.
    pub fn meta(&self, key: &ObjectKey) -> Option<&ObjectMeta> {
        if let Some(unreadable) = self.unreadable.get(key) {
            return Some(&unreadable.meta);
        }
        Some(self.object(key)?.meta())
    }

    pub fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.tables.get(&key.kind)?.get(&key.namespace)?.get(&key.name)
    }

    /// What is there but can't be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unreadable> {
        self.unreadable.values()
    }

    /// Why an object can't be read, if that is so.
    pub fn unreadable_at(&self, key: &ObjectKey) -> Option<&Unreadable> {
        self.unreadable.get(key)
    }

    /// Every object that has been taken in, in the version that has been.
    pub fn versions(&self) -> Vec<ObjectVersion> {
        self.versions.values().cloned().collect()
    }

    /// What is wrong with the source itself.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn insert(&mut self, object: Object) -> bool {
        let key = object.key();
        let was_unreadable = self.unreadable.remove(&key).is_some();
        if !self.note_version(&key, object.meta()) && !was_unreadable {
            return false;
        }
        let table = self.tables.entry(key.kind).or_default();
        table.entry(key.namespace).or_default().insert(key.name, object);
        true
    }

    fn insert_unreadable(&mut self, unreadable: Unreadable) -> bool {
        let changed = self.note_version(&unreadable.key, &unreadable.meta);
        self.unreadable.insert(unreadable.key.clone(), unreadable);
        changed
    }

    fn remove(&mut self, key: &ObjectKey) -> bool {
        self.unreadable.remove(key);
        if let Some(table) = self.tables.get_mut(&key.kind)
            && let Some(names) = table.get_mut(&key.namespace)
        {
            names.remove(&key.name);
            if names.is_empty() {
                table.remove(&key.namespace);
            }
        }
        self.versions.remove(key).is_some()
    }

    fn replace(&mut self, listing: Listing) -> bool {
        let present: HashSet<ObjectKey> = (listing.objects.iter().map(Object::key))
            .chain(listing.unreadable.iter().map(|unreadable| unreadable.key.clone()))
            .collect();
        let gone = self.absent(&listing.scope, &present);
        let mut changed = !gone.is_empty();
        for key in &gone {
            self.remove(key);
        }
        for object in listing.objects {
            changed |= self.insert(object);
        }
        for unreadable in listing.unreadable {
            changed |= self.insert_unreadable(unreadable);
        }
        changed
    }

    /// Keys that the scope covers and that are not among `present`.
    fn absent(&self, scope: &Scope, present: &HashSet<ObjectKey>) -> Vec<ObjectKey> {
        self.versions.keys().filter(|key| scope.covers(key) && !present.contains(key)).cloned().collect()
    }

    /// Remembers which version was taken in. False when it is the one already known.
    fn note_version(&mut self, key: &ObjectKey, meta: &ObjectMeta) -> bool {
        let version = meta.resource_version.clone();
        match self.versions.get_mut(key) {
            Some(known) if known.resource_version == version && version.is_some() => false,
            Some(known) => {
                known.resource_version = version;
                true
            }
            None => {
                self.versions.insert(
                    key.clone(),
                    ObjectVersion {
                        group: key.kind.group().to_owned(),
                        kind: key.kind.as_str().to_owned(),
                        namespace: key.namespace.clone(),
                        name: key.name.clone(),
                        resource_version: version,
                    },
                );
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::KongPlugin;

    fn plugin(name: &str, version: &str) -> Object {
        let value = json!({"metadata": {"name": name, "namespace": "a", "resourceVersion": version}, "plugin": "cors"});
        Object::read(Kind::KongPlugin, value).unwrap()
    }

    fn unreadable(name: &str, version: &str) -> Unreadable {
        let object = plugin(name, version);
        Unreadable { key: object.key(), meta: Box::new(object.meta().clone()), error: "no".to_owned() }
    }

    fn listed(objects: Vec<Object>) -> Change {
        let scope = Scope::everywhere(Kind::KongPlugin);
        Change::Listed(vec![Listing { scope, objects, unreadable: Vec::new() }])
    }

    fn versions(store: &Store) -> Vec<String> {
        store.versions().iter().map(|v| format!("{v} {}", v.resource_version.as_deref().unwrap())).collect()
    }

    #[test]
    fn a_listing_replaces_what_was_known() {
        let mut store = Store::default();
        assert!(store.apply(listed(vec![plugin("x", "1"), plugin("y", "2")])));
        assert!(!store.apply(listed(vec![plugin("x", "1"), plugin("y", "2")])), "nothing is new");
        assert!(store.apply(listed(vec![plugin("y", "3")])));
        assert_eq!(versions(&store), ["KongPlugin a/y 3"]);
        assert!(store.get::<KongPlugin>("a", "x").is_none());
    }

    #[test]
    fn a_listing_of_one_namespace_leaves_the_others() {
        let mut store = Store::default();
        store.apply(Change::Applied(plugin("x", "1")));
        let scope = Scope { kind: Kind::KongPlugin, namespace: Some("b".to_owned()), name: None };
        assert!(!store.apply(Change::Listed(vec![Listing { scope, objects: vec![], unreadable: vec![] }])));
        assert_eq!(versions(&store), ["KongPlugin a/x 1"]);
    }

    #[test]
    fn an_object_that_becomes_unreadable_keeps_its_last_form() {
        let mut store = Store::default();
        store.apply(Change::Applied(plugin("x", "1")));
        assert!(store.apply(Change::Unreadable(unreadable("x", "2"))));
        assert!(store.get::<KongPlugin>("a", "x").is_some());
        assert_eq!(store.unreadable().count(), 1);
        assert_eq!(versions(&store), ["KongPlugin a/x 2"]);
        assert!(store.apply(Change::Applied(plugin("x", "3"))));
        assert_eq!(store.unreadable().count(), 0);
    }

    #[test]
    fn the_deleted_are_absent() {
        let mut store = Store::default();
        store.apply(Change::Applied(plugin("x", "1")));
        assert!(store.apply(Change::Deleted(plugin("x", "1").key())));
        assert!(!store.apply(Change::Deleted(plugin("x", "1").key())));
        assert!(store.versions().is_empty());
    }
}
