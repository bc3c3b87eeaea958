//! What can be done to objects, with the rules of Kubernetes: defaults, validation, versions, finalizers. The
//! HTTP API, the controllers and the node all come through here, so that there is one set of rules.

mod create;
mod custom;
mod delete;
mod metadata;
mod update;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::runtime::{Handle, RuntimeFlavor};

pub(crate) use self::create::NewObject;
pub(crate) use self::delete::Deleted;
pub(crate) use self::metadata::{is_being_deleted, now, timestamp};
pub(crate) use self::update::{prepare as prepare_update, restore};
use crate::failure::{self, Failure};
use crate::ownership::Author;
use crate::resources::{Kind, Kinds};
use crate::store::{Events, Key, Next, Store, key_of};

/// A kind of object as URLs name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Arc<str>,
    /// `pods`, `ingresses`.
    pub plural: Arc<str>,
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

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct Deletion {
    /// Pods: seconds to end by themselves; `None` takes what the pod says.
    pub grace_seconds: Option<u64>,
    /// Refused with 409 unless the object still has this uid.
    pub uid: Option<String>,
    /// Refused with 409 unless the object still has this version.
    pub resource_version: Option<String>,
    pub propagation: Propagation,
}

/// What becomes of the objects that name the deleted one as an owner. The API marks the object with a finalizer
/// for the last two; the garbage collector does the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// As an earlier deletion said, else after it.
    #[default]
    Unsaid,
    /// They go after it.
    Background,
    /// They go before it: finalizer `foregroundDeletion`.
    Foreground,
    /// They stay and forget it: finalizer `orphan`.
    Orphan,
}

/// All objects of the cluster.
#[derive(Clone)]
pub struct Objects {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    kinds: Kinds,
    /// How a client makes an object; set when there is an API.
    as_client: OnceLock<AsClient>,
}

type AsClient = Box<dyn Fn(&Resource, Value) -> BoxFuture<'static, Result<Object, Failure>> + Send + Sync>;

/// Changes of one resource, what is already there first.
pub struct Changes(Follower);

/// Changes of all resources, in the order in which they were made; see [`Objects::watch_all`].
pub struct AllChanges(Follower);

/// A reader of changes that misses nothing, however slow it is: then it is told the difference.
struct Follower {
    objects: Objects,
    /// Of all when there is none.
    resource: Option<Resource>,
    /// What is to be told before what comes, the last one first.
    pending: Vec<(Resource, Change)>,
    /// What the reader has been told is there.
    known: BTreeMap<(Resource, Key), Object>,
    events: Option<Events>,
}

impl Resource {
    #[must_use]
    pub fn new(group: &str, plural: &str) -> Resource {
        Resource { group: group.into(), plural: plural.into() }
    }

    /// `pods`, `deployments.apps`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    pub(crate) fn details(&self, name: &str) -> Value {
        failure::details(&self.group, &self.plural, name)
    }
}

/// With the namespaces that every cluster has.
impl Default for Objects {
    fn default() -> Objects {
        let inner = Inner { store: Store::default(), kinds: Kinds::default(), as_client: OnceLock::new() };
        let objects = Objects { inner: Arc::new(inner) };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            if let Err(failure) = objects.create(&Resource::new("", "namespaces"), namespace) {
                tracing::error!("failed to create namespace {name}: {failure}");
            }
        }
        objects
    }
}

impl Objects {
    /// `namespace` is empty for what is in none.
    #[must_use]
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Object> {
        self.inner.store.get(resource, &(namespace.to_owned(), name.to_owned()))
    }

    /// In order of namespace and name; of all namespaces when none is given.
    #[must_use]
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Object> {
        self.inner.store.list(resource, namespace).0
    }

    #[must_use]
    pub fn watch(&self, resource: &Resource) -> Changes {
        let mut follower = Follower::new(self, Some(resource));
        follower.catch_up();
        Changes(follower)
    }

    /// Changes of every resource from now on, custom ones too. What is already there isn't told.
    #[must_use]
    pub fn watch_all(&self) -> AllChanges {
        let mut follower = Follower::new(self, None);
        follower.catch_up();
        follower.pending.clear();
        AllChanges(follower)
    }

    /// The resources of which there may be objects, custom ones too.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        let table = self.kinds().now();
        let mut resources: Vec<_> =
            table.iter().filter(|kind| kind.is_stored()).map(|kind| kind.resource.clone()).collect();
        resources.dedup();
        resources
    }

    /// Gives uid, creation time and version; `metadata.generateName` is honoured. Webhooks are not asked.
    pub fn create(&self, resource: &Resource, object: Value) -> Result<Object, Failure> {
        let kind = self.stored_kind(resource)?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let mut object = object;
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        let new = NewObject::prepare(&kind, object, &namespace, Some(&author("")))?;
        self.insert(&kind, new.object, false)
    }

    /// Makes an object as a client does, so that webhooks see and may change it. Waits for them.
    pub(crate) fn create_as_client(&self, resource: &Resource, object: Value) -> Result<Object, Failure> {
        match self.inner.as_client.get() {
            Some(as_client) if self.has_webhooks() => wait_for(as_client(resource, object)),
            _ => self.create(resource, object),
        }
    }

    pub(crate) fn set_client(&self, as_client: AsClient) {
        if self.inner.as_client.set(as_client).is_err() {
            tracing::error!("objects that have an API already were given another");
        }
    }

    fn has_webhooks(&self) -> bool {
        ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"].iter().any(|plural| {
            let resource = Resource::new("admissionregistration.k8s.io", plural);
            !self.list(&resource, None).is_empty()
        })
    }

    /// Reads, edits and writes in one step, so that there is no conflict. An edit that changes nothing leaves
    /// the version alone and is seen by nobody. The edit may read other objects, but must not write any.
    pub fn modify(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        part: Part,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Object, Failure> {
        let kind = self.stored_kind(resource)?;
        let subresource = if part == Part::Status { "status" } else { "" };
        let writer = self.inner.store.write();
        let old = self.get(resource, namespace, name).ok_or_else(|| Failure::not_found(resource, name))?;
        let mut object = (*old).clone();
        edit(&mut object);
        let object = update::prepare(&kind, object, &old, part, Some(&author(subresource)))?.object;
        Ok(update::write(&writer, &kind, &old, object))
    }

    /// Removes the object, or marks it as being deleted while finalizers (or a pod's processes) remain.
    pub fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Object, Failure> {
        let kind = self.stored_kind(resource)?;
        Ok(self.remove(&kind, namespace, name, deletion, false)?.object)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn kinds(&self) -> &Kinds {
        &self.inner.kinds
    }

    fn stored_kind(&self, resource: &Resource) -> Result<Arc<Kind>, Failure> {
        self.kinds().now().stored(resource).cloned().ok_or_else(Failure::no_such_resource)
    }
}

impl Changes {
    /// The next change; `None` when the cluster has stopped, or the kind is no longer served.
    pub async fn next(&mut self) -> Option<Change> {
        Some(self.0.next().await?.1)
    }
}

impl AllChanges {
    /// The next change; `None` when the cluster has stopped.
    pub async fn next(&mut self) -> Option<(Resource, Change)> {
        self.0.next().await
    }
}

/// Waits in the middle of a task, as a controller must. Where one thread does everything, it does nothing else
/// meanwhile.
fn wait_for(made: BoxFuture<'static, Result<Object, Failure>>) -> Result<Object, Failure> {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| handle.block_on(made))
        }
        _ => {
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|error| Failure::internal(error.to_string()))?.block_on(made)
            });
            thread.join().unwrap_or_else(|_| Err(Failure::internal("asking webhooks broke down")))
        }
    }
}

impl Follower {
    fn new(objects: &Objects, resource: Option<&Resource>) -> Follower {
        Follower {
            objects: objects.clone(),
            resource: resource.cloned(),
            pending: Vec::new(),
            known: BTreeMap::new(),
            events: None,
        }
    }

    async fn next(&mut self) -> Option<(Resource, Change)> {
        loop {
            if let Some(told) = self.pending.pop() {
                return Some(told);
            }
            let event = match self.events.as_mut()?.next().await {
                Next::Closed => return None,
                Next::Expired(_) => {
                    self.catch_up();
                    continue;
                }
                Next::Event(event) => event,
            };
            let key = (event.resource.clone(), key_of(&event.shown));
            let change = match event.current {
                None => {
                    self.known.remove(&key);
                    Change::Deleted(event.shown)
                }
                Some(object) => match self.known.insert(key, Arc::clone(&object)) {
                    None => Change::Added(object),
                    Some(_) => Change::Modified(object),
                },
            };
            return Some((event.resource, change));
        }
    }

    /// Tells the difference between what the reader knows and what is there, and goes on from there.
    fn catch_up(&mut self) {
        let store = self.objects.store();
        // Changes made while the lists are read are told again, as changes, which does no harm.
        let revision = store.revision();
        let resources =
            self.resource.clone().map_or_else(|| self.objects.resources(), |resource| vec![resource]);
        let mut gone = std::mem::take(&mut self.known);
        for resource in resources {
            for object in store.list(&resource, None).0 {
                let key = (resource.clone(), key_of(&object));
                match gone.remove(&key) {
                    None => self.pending.push((resource.clone(), Change::Added(Arc::clone(&object)))),
                    Some(old) if Arc::ptr_eq(&old, &object) => {}
                    Some(_) => self.pending.push((resource.clone(), Change::Modified(Arc::clone(&object)))),
                }
                self.known.insert(key, object);
            }
        }
        self.pending
            .extend(gone.into_iter().map(|((resource, _), object)| (resource, Change::Deleted(object))));
        self.pending.reverse();
        self.events = store.watch(self.resource.as_ref(), revision).ok();
    }
}

/// Who writes from inside.
fn author(subresource: &'static str) -> Author {
    Author { manager: "local-cluster".to_owned(), subresource }
}

#[cfg(test)]
mod tests;
