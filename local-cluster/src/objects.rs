//! What can be done to objects, with the rules of Kubernetes: defaults, validation, versions, finalizers. The
//! HTTP API, the controllers and the node all come through here, so that there is one set of rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// A kind of object as URLs name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Arc<str>,
    /// `pods`, `ingresses`.
    pub plural: Arc<str>,
}

impl Resource {
    pub fn new(group: &str, plural: &str) -> Resource {
        Resource { group: group.into(), plural: plural.into() }
    }
}

/// An object as stored; shared, never changed in place.
pub type Object = Arc<Value>;

/// A change seen by a watcher, in the order in which changes were made.
#[derive(Debug, Clone)]
pub enum Change {
    /// Created, or already there when the watch began.
    Added(Object),
    Modified(Object),
    /// The last state before it went.
    Deleted(Object),
}

/// Which part of an object an edit may change; edits of the other part are put back, as the API does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    AllButStatus,
    Status,
}

/// What becomes of the objects that name the deleted one as an owner. The API marks the object with a finalizer
/// for the last two; the garbage collector does the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it: finalizer `foregroundDeletion`.
    Foreground,
    /// They stay and forget it: finalizer `orphan`.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct Deletion {
    /// Pods: seconds to end by themselves; `None` takes what the pod says.
    pub grace_seconds: Option<u64>,
    /// Refused with 409 unless the object still has this uid.
    pub uid: Option<String>,
    pub propagation: Propagation,
}

/// All objects of the cluster.
#[derive(Clone, Default)]
pub struct Objects {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    revision: u64,
    objects: HashMap<Resource, BTreeMap<(String, String), Object>>,
    watchers: HashMap<Resource, Vec<mpsc::UnboundedSender<Change>>>,
    watchers_of_all: Vec<mpsc::UnboundedSender<(Resource, Change)>>,
}

/// Changes of one resource, what is already there first.
pub struct Changes {
    receiver: mpsc::UnboundedReceiver<Change>,
}

impl Changes {
    /// The next change; `None` when the cluster has stopped.
    pub async fn next(&mut self) -> Option<Change> {
        self.receiver.recv().await
    }
}

/// Changes of all resources, in the order in which they were made; see [`Objects::watch_all`].
pub struct AllChanges {
    receiver: mpsc::UnboundedReceiver<(Resource, Change)>,
}

impl AllChanges {
    /// The next change; `None` when the cluster has stopped.
    pub async fn next(&mut self) -> Option<(Resource, Change)> {
        self.receiver.recv().await
    }
}

impl Objects {
    /// `namespace` is empty for what is in none.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Object> {
        let inner = self.inner.lock();
        inner.objects.get(resource)?.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// In order of namespace and name; of all namespaces when none is given.
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Object> {
        let inner = self.inner.lock();
        let Some(objects) = inner.objects.get(resource) else { return Vec::new() };
        let wanted = |key: &&(String, String)| namespace.is_none_or(|namespace| key.0 == namespace);
        objects.iter().filter(|(key, _)| wanted(key)).map(|(_, object)| Arc::clone(object)).collect()
    }

    pub fn watch(&self, resource: &Resource) -> Changes {
        let mut inner = self.inner.lock();
        let (sender, receiver) = mpsc::unbounded_channel();
        for object in inner.objects.get(resource).into_iter().flat_map(BTreeMap::values) {
            let _ = sender.send(Change::Added(Arc::clone(object)));
        }
        inner.watchers.entry(resource.clone()).or_default().push(sender);
        Changes { receiver }
    }

    /// Changes of every resource from now on, custom ones too. What is already there isn't told.
    pub fn watch_all(&self) -> AllChanges {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner.lock().watchers_of_all.push(sender);
        AllChanges { receiver }
    }

    /// The resources of which there may be objects, custom ones too.
    pub fn resources(&self) -> Vec<Resource> {
        self.inner.lock().objects.keys().cloned().collect()
    }

    /// Gives uid, creation time and version; `metadata.generateName` is honoured.
    pub fn create(&self, resource: &Resource, object: Value) -> Result<Object, Failure> {
        let mut inner = self.inner.lock();
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        let key = (text("/metadata/namespace"), text("/metadata/name"));
        if inner.objects.get(resource).is_some_and(|objects| objects.contains_key(&key)) {
            return Err(Failure::already_exists(resource, &key.1));
        }
        let mut object = object;
        object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
        object["metadata"]["creationTimestamp"] = json!(now());
        object["metadata"]["generation"] = json!(1);
        Ok(inner.put(resource, key, object, Change::Added))
    }

    /// Reads, edits and writes in one step, so that there is no conflict. An edit that changes nothing leaves
    /// the version alone and is seen by nobody.
    pub fn modify(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        _part: Part,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Object, Failure> {
        let mut inner = self.inner.lock();
        let key = (namespace.to_owned(), name.to_owned());
        let found = inner.objects.get(resource).and_then(|objects| objects.get(&key)).cloned();
        let old = found.ok_or_else(|| Failure::not_found(resource, name))?;
        let mut object = (*old).clone();
        edit(&mut object);
        if object == *old {
            return Ok(old);
        }
        if object["spec"] != old["spec"] {
            object["metadata"]["generation"] =
                json!(object["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
        }
        let deleting = !object["metadata"]["deletionTimestamp"].is_null();
        if deleting && !held(&object) && &*resource.plural != "pods" {
            return Ok(inner.remove(resource, &key, Arc::new(object)));
        }
        Ok(inner.put(resource, key, object, Change::Modified))
    }

    /// Removes the object, or marks it as being deleted while finalizers (or a pod's processes) remain.
    pub fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Object, Failure> {
        let mut inner = self.inner.lock();
        let key = (namespace.to_owned(), name.to_owned());
        let found = inner.objects.get(resource).and_then(|objects| objects.get(&key)).cloned();
        let found = found.ok_or_else(|| Failure::not_found(resource, name))?;
        let running = &*resource.plural == "pods" && found["spec"]["nodeName"].is_string();
        let grace = match deletion.grace_seconds {
            _ if !running => 0,
            Some(seconds) => seconds,
            None => found["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30),
        };
        let mut object = (*found).clone();
        let finalizer = match deletion.propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.extend(finalizer.map(|finalizer| json!(finalizer)));
        object["metadata"]["finalizers"] = json!(finalizers);
        if grace == 0 && !held(&object) {
            return Ok(inner.remove(resource, &key, found));
        }
        object["metadata"]["deletionTimestamp"] = json!(now());
        object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        Ok(inner.put(resource, key, object, Change::Modified))
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn held(object: &Value) -> bool {
    let lists = ["/metadata/finalizers", "/spec/finalizers"].map(|pointer| object.pointer(pointer));
    lists.into_iter().flatten().filter_map(Value::as_array).any(|finalizers| !finalizers.is_empty())
}

impl Inner {
    fn put(
        &mut self,
        resource: &Resource,
        key: (String, String),
        mut object: Value,
        change: fn(Object) -> Change,
    ) -> Object {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        self.objects.entry(resource.clone()).or_default().insert(key, Arc::clone(&object));
        self.tell(resource, &change(Arc::clone(&object)));
        object
    }

    fn remove(&mut self, resource: &Resource, key: &(String, String), last: Object) -> Object {
        if let Some(objects) = self.objects.get_mut(resource) {
            objects.remove(key);
        }
        self.tell(resource, &Change::Deleted(Arc::clone(&last)));
        last
    }

    fn tell(&mut self, resource: &Resource, change: &Change) {
        if let Some(watchers) = self.watchers.get_mut(resource) {
            watchers.retain(|watcher| watcher.send(change.clone()).is_ok());
        }
        self.watchers_of_all.retain(|watcher| watcher.send((resource.clone(), change.clone())).is_ok());
    }
}
