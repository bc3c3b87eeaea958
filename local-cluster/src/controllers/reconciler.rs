//! What every controller has in common: changes name the objects to look at again, each is looked at once
//! however many changes there were, and again later when that failed or the controller asks for it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::kinds::{name, namespace};
use crate::objects::{Change, Objects, Resource};

/// The first wait after a failure; it doubles up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// The object to look at. The namespace is empty for what is in none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(object: &Value) -> Key {
        Key { namespace: namespace(object).to_owned(), name: name(object).to_owned() }
    }
}

/// A resource to watch, and the objects that a change of one of its objects concerns.
pub(crate) struct Source {
    pub(crate) resource: Resource,
    pub(crate) concerns: fn(&Objects, &Value) -> Vec<Key>,
}

impl Source {
    pub(crate) fn new(resource: Resource, concerns: fn(&Objects, &Value) -> Vec<Key>) -> Source {
        Source { resource, concerns }
    }

    /// The objects that the controller is for.
    pub(crate) fn own(resource: Resource) -> Source {
        Source::new(resource, |_, object| vec![Key::of(object)])
    }
}

pub(crate) trait Reconciler: Send {
    /// For the log.
    fn name(&self) -> &'static str;

    fn sources(&self) -> Vec<Source>;

    /// Brings one object, if it still exists, to what it wants to be. `Some` asks to be called again after
    /// that time even when nothing changes.
    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure>;
}

/// Runs until dropped, or until the cluster has stopped.
pub(crate) async fn run(objects: Objects, reconciler: Box<dyn Reconciler>) {
    let mut changes = concerned(&objects, reconciler.sources());
    let mut pending = BTreeSet::new();
    let mut later: HashMap<Key, Instant> = HashMap::new();
    let mut failures: HashMap<Key, Duration> = HashMap::new();
    loop {
        // Everything that has come is taken in first, so that many changes of one object cost one look.
        while let Some(change) = changes.next().now_or_never() {
            let Some(keys) = change else { return };
            pending.extend(keys);
        }
        if let Some(key) = pending.pop_first() {
            later.remove(&key);
            match reconciler.reconcile(&objects, &key, Timestamp::now()) {
                Ok(again) => {
                    failures.remove(&key);
                    if let Some(after) = again {
                        later.insert(key, Instant::now() + after);
                    }
                }
                Err(failure) => {
                    let Key { namespace, name } = &key;
                    tracing::warn!("{}: failed at {namespace}/{name}: {failure}", reconciler.name());
                    let wait = failures.get(&key).map_or(FIRST_RETRY, |last| (*last * 2).min(LAST_RETRY));
                    failures.insert(key.clone(), wait);
                    later.insert(key, Instant::now() + wait);
                }
            }
            tokio::task::yield_now().await;
            continue;
        }
        let next = later.iter().min_by_key(|(_, time)| **time).map(|(key, time)| (key.clone(), *time));
        tokio::select! {
            change = changes.next() => match change {
                Some(keys) => pending.extend(keys),
                None => return,
            },
            key = due(next) => {
                later.remove(&key);
                pending.insert(key);
            }
        }
    }
}

async fn due(next: Option<(Key, Instant)>) -> Key {
    match next {
        Some((key, time)) => {
            sleep_until(time).await;
            key
        }
        None => std::future::pending().await,
    }
}

fn concerned(objects: &Objects, sources: Vec<Source>) -> SelectAll<BoxStream<'static, Vec<Key>>> {
    let streams = sources.into_iter().map(|source| {
        let (objects, concerns) = (objects.clone(), source.concerns);
        let changes = objects.watch(&source.resource);
        stream::unfold(changes, |mut changes| async move { Some((changes.next().await?, changes)) })
            .map(move |change| match change {
                Change::Added(object) | Change::Modified(object) | Change::Deleted(object) => {
                    concerns(&objects, &object)
                }
            })
            .boxed()
    });
    stream::select_all(streams)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::kinds;

    /// Fails twice at each object, then asks for one more look.
    struct Stubborn {
        looks: Arc<Mutex<HashMap<Key, u32>>>,
        told: mpsc::UnboundedSender<(String, u32)>,
    }

    impl Reconciler for Stubborn {
        fn name(&self) -> &'static str {
            "stubborn"
        }

        fn sources(&self) -> Vec<Source> {
            vec![Source::own(kinds::config_maps())]
        }

        fn reconcile(&self, _: &Objects, key: &Key, _: Timestamp) -> Result<Option<Duration>, Failure> {
            let mut looks = self.looks.lock();
            let look = looks.entry(key.clone()).or_default();
            *look += 1;
            let _ = self.told.send((key.name.clone(), *look));
            match *look {
                1 | 2 => Err(Failure::not_found(&kinds::config_maps(), &key.name)),
                3 => Ok(Some(Duration::from_mins(1))),
                _ => Ok(None),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_again_after_a_failure_and_when_asked() {
        let objects = Objects::default();
        objects
            .create(&kinds::config_maps(), json!({"metadata": {"namespace": "default", "name": "one"}}))
            .unwrap();
        let (told, mut looks) = mpsc::unbounded_channel();
        let start = Instant::now();
        tokio::spawn(run(objects.clone(), Box::new(Stubborn { looks: Arc::default(), told })));
        for look in 1..=3 {
            assert_eq!(looks.recv().await.unwrap(), ("one".to_owned(), look));
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(looks.recv().await.unwrap(), ("one".to_owned(), 4));
        assert!(start.elapsed() >= Duration::from_mins(1));
    }
}
