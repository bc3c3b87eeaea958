//! Objects by resource and key, one counter of versions for all of them, and a bounded history of changes from
//! which watches read and old lists are rebuilt. It knows nothing of the rules of Kubernetes: `objects` does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::objects::{Object, Resource};

/// Changes kept per resource; a watch that is further behind has expired.
const HISTORY: usize = 4096;

/// The namespace, empty for what is in none, and the name.
pub(crate) type Key = (String, String);

/// The version asked for is older than the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest version from which there is history.
    pub(crate) oldest: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) resource: Resource,
    pub(crate) revision: u64,
    /// What was there before.
    pub(crate) previous: Option<Object>,
    /// What is there now.
    pub(crate) current: Option<Object>,
    /// For a deletion the last state, carrying the version of the deletion; else what is there now.
    pub(crate) shown: Object,
}

#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
    /// Held from the reading of the old object to the writing of the new; readers don't wait for it.
    writer: Arc<Mutex<()>>,
}

struct Inner {
    revision: u64,
    shelves: HashMap<Resource, Shelf>,
    /// Of all resources together.
    log: Log,
    closed: bool,
}

struct Shelf {
    objects: BTreeMap<Key, Object>,
    log: Log,
}

/// Changes in the order in which they were made, the oldest forgotten.
struct Log {
    history: VecDeque<Event>,
    /// The version of the newest change that is no longer in the history.
    forgotten: u64,
    changed: watch::Sender<u64>,
}

impl Default for Store {
    fn default() -> Store {
        // Versions begin above 1, so that "1" is an old version, not the first object's.
        let inner = Inner { revision: 1, shelves: HashMap::new(), log: Log::new(1), closed: false };
        Store { inner: Arc::new(Mutex::new(inner)), writer: Arc::default() }
    }
}

impl Store {
    pub(crate) fn revision(&self) -> u64 {
        self.inner.lock().revision
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Option<Object> {
        self.inner.lock().shelves.get(resource)?.objects.get(key).cloned()
    }

    /// In order of namespace and name, with the version at which this was so.
    pub(crate) fn list(&self, resource: &Resource, namespace: Option<&str>) -> (Vec<Object>, u64) {
        let inner = self.inner.lock();
        let found = inner.shelves.get(resource).map(|shelf| select(&shelf.objects, namespace));
        (found.unwrap_or_default(), inner.revision)
    }

    /// The list as it was at a version.
    pub(crate) fn list_at(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Object>, Expired> {
        let inner = self.inner.lock();
        let Some(shelf) = inner.shelves.get(resource) else { return Ok(Vec::new()) };
        shelf.log.check(revision)?;
        let mut objects = shelf.objects.clone();
        for event in shelf.log.history.iter().rev().take_while(|event| event.revision > revision) {
            let key = key_of(&event.shown);
            match &event.previous {
                Some(previous) => objects.insert(key, Arc::clone(previous)),
                None => objects.remove(&key),
            };
        }
        Ok(select(&objects, namespace))
    }

    /// Only one writer at a time; a writer must not ask for another.
    pub(crate) fn write(&self) -> Writer<'_> {
        Writer { store: self, _turn: self.writer.lock() }
    }

    /// Changes after a version, of one resource or of all.
    pub(crate) fn watch(&self, resource: Option<&Resource>, after: u64) -> Result<Events, Expired> {
        let mut inner = self.inner.lock();
        let closed = inner.closed;
        let log = inner.log(resource);
        log.check(after)?;
        let changed = if closed { watch::channel(0).1 } else { log.changed.subscribe() };
        Ok(Events { store: self.clone(), resource: resource.cloned(), after, changed })
    }

    /// Waits until a version has been reached; false when it takes too long.
    pub(crate) async fn reached(&self, revision: u64, patience: Duration) -> bool {
        let mut changed = self.inner.lock().log.changed.subscribe();
        let reached = changed.wait_for(|current| *current >= revision);
        matches!(tokio::time::timeout(patience, reached).await, Ok(Ok(_)))
    }

    /// Ends the watches of a kind that is no longer served.
    pub(crate) fn discontinue(&self, resource: &Resource) {
        if let Some(shelf) = self.inner.lock().shelves.get_mut(resource) {
            shelf.log.changed = watch::channel(0).0;
        }
    }

    /// Forgets the history, as after a long time: watches and lists of older versions have expired.
    pub(crate) fn compact(&self) {
        let mut inner = self.inner.lock();
        let revision = inner.revision;
        for log in inner.logs() {
            log.history.clear();
            log.forgotten = revision;
            log.changed.send_replace(revision);
        }
    }

    /// Ends all watches, for good.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.logs().for_each(|log| log.changed = watch::channel(0).0);
    }
}

/// The right to write.
pub(crate) struct Writer<'a> {
    store: &'a Store,
    _turn: MutexGuard<'a, ()>,
}

impl Writer<'_> {
    /// Creates or replaces; gives the object its version.
    pub(crate) fn put(&self, resource: &Resource, mut object: Value) -> Object {
        let mut inner = self.store.inner.lock();
        inner.revision += 1;
        let revision = inner.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let object = Arc::new(object);
        let shelf = inner.shelf(resource);
        let previous = shelf.objects.insert(key_of(&object), Arc::clone(&object));
        let current = Some(Arc::clone(&object));
        let shown = Arc::clone(&object);
        inner.tell(Event { resource: resource.clone(), revision, previous, current, shown });
        object
    }

    /// Gives back the last state, or nothing when there was none.
    pub(crate) fn remove(&self, resource: &Resource, key: &Key) -> Option<Object> {
        let mut inner = self.store.inner.lock();
        let previous = inner.shelf(resource).objects.remove(key)?;
        inner.revision += 1;
        let revision = inner.revision;
        let mut shown = (*previous).clone();
        shown["metadata"]["resourceVersion"] = json!(revision.to_string());
        let shown = Arc::new(shown);
        let gone = Some(Arc::clone(&previous));
        inner.tell(Event { resource: resource.clone(), revision, previous: gone, current: None, shown });
        Some(previous)
    }
}

impl Inner {
    fn shelf(&mut self, resource: &Resource) -> &mut Shelf {
        let revision = self.revision;
        let new = || Shelf { objects: BTreeMap::new(), log: Log { forgotten: 0, ..Log::new(revision) } };
        self.shelves.entry(resource.clone()).or_insert_with(new)
    }

    fn log(&mut self, resource: Option<&Resource>) -> &mut Log {
        match resource {
            Some(resource) => &mut self.shelf(resource).log,
            None => &mut self.log,
        }
    }

    fn logs(&mut self) -> impl Iterator<Item = &mut Log> {
        self.shelves.values_mut().map(|shelf| &mut shelf.log).chain([&mut self.log])
    }

    fn tell(&mut self, event: Event) {
        self.shelf(&event.resource).log.tell(event.clone());
        self.log.tell(event);
    }
}

impl Log {
    fn new(revision: u64) -> Log {
        Log { history: VecDeque::new(), forgotten: revision, changed: watch::channel(revision).0 }
    }

    fn check(&self, after: u64) -> Result<(), Expired> {
        if after < self.forgotten { Err(Expired { oldest: self.forgotten }) } else { Ok(()) }
    }

    fn tell(&mut self, event: Event) {
        let revision = event.revision;
        if self.history.len() == HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.revision;
        }
        self.history.push_back(event);
        self.changed.send_replace(revision);
    }
}

/// A place in the history of one resource, or of all. It holds no queue: a reader that is too slow finds that its place has
/// expired.
pub(crate) struct Events {
    store: Store,
    resource: Option<Resource>,
    after: u64,
    changed: watch::Receiver<u64>,
}

pub(crate) enum Next {
    Event(Event),
    /// The reader was too slow.
    Expired(Expired),
    /// The kind is no longer served, or everything has stopped.
    Closed,
}

impl Events {
    /// May be dropped while it waits, without loss.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            // Seen before the history is read, so that a change in between wakes us.
            let closed = self.changed.has_changed().is_err();
            self.changed.mark_unchanged();
            match self.ready() {
                Err(expired) => return Next::Expired(expired),
                Ok(Some(event)) => return Next::Event(event),
                Ok(None) if closed => return Next::Closed,
                // An error is the end, which the next round sees.
                Ok(None) => drop(self.changed.changed().await),
            }
        }
    }

    /// What is there to be read now.
    fn ready(&mut self) -> Result<Option<Event>, Expired> {
        let mut inner = self.store.inner.lock();
        let log = inner.log(self.resource.as_ref());
        log.check(self.after)?;
        let place = log.history.partition_point(|event| event.revision <= self.after);
        let event = log.history.get(place).cloned();
        if let Some(event) = &event {
            self.after = event.revision;
        }
        Ok(event)
    }
}

pub(crate) fn key_of(object: &Value) -> Key {
    let text = |field| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn select(objects: &BTreeMap<Key, Object>, namespace: Option<&str>) -> Vec<Object> {
    match namespace {
        None => objects.values().cloned().collect(),
        Some(namespace) => objects
            .range((namespace.to_owned(), String::new())..)
            .take_while(|(key, _)| key.0 == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
