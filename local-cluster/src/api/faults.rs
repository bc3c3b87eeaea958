//! Misbehaviour on request, for tests of clients: answers that are errors, answers that come late, watches that
//! break, a history that is gone.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::watch;

use super::path::Target;
use crate::failure::Failure;
use crate::store::Store;

/// What goes wrong, and for which requests. Conditions that are left out hold for all.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Fault {
    /// `GET`, `PATCH`…
    pub method: Option<String>,
    /// Plural, such as `pods`.
    pub resource: Option<String>,
    pub name: Option<String>,
    /// Only watches, or all but watches.
    pub watch: Option<bool>,
    /// How many requests meet it; for ever when left out.
    pub times: Option<u32>,
    /// Milliseconds before anything else happens.
    pub delay_ms: u64,
    /// An error answered instead: 409, 410, 429, 500, 503… A watch that is to be refused with 410 is answered as
    /// the API does, by an event.
    pub status: Option<u16>,
}

/// Handle on the misbehaviour of one server.
#[derive(Clone)]
pub struct Faults {
    waiting: Arc<Mutex<Vec<Fault>>>,
    /// Moves when watches are to break.
    broken: Arc<watch::Sender<u64>>,
    store: Store,
}

/// What a request meets.
pub(crate) struct Met {
    pub(crate) delay: Duration,
    pub(crate) failure: Option<Failure>,
}

impl Faults {
    pub(crate) fn new(store: &Store) -> Faults {
        Faults { waiting: Arc::default(), broken: Arc::new(watch::channel(0).0), store: store.clone() }
    }

    /// The next requests that fit meet it; of several that fit the first.
    pub fn add(&self, fault: Fault) {
        self.waiting.lock().push(fault);
    }

    pub fn clear(&self) {
        self.waiting.lock().clear();
    }

    /// Breaks all watches off, as a lost connection does.
    pub fn break_watches(&self) {
        self.broken.send_modify(|count| *count += 1);
    }

    /// Forgets the history: watches and lists from before now have expired.
    pub fn expire_history(&self) {
        self.store.compact();
    }

    pub(crate) fn breaks(&self) -> watch::Receiver<u64> {
        self.broken.subscribe()
    }

    pub(crate) fn meet(&self, method: &str, target: Option<&Target>, watch: bool) -> Option<Met> {
        let mut faults = self.waiting.lock();
        let text = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        let place = faults.iter().position(|fault| {
            text(&fault.method, Some(method))
                && text(&fault.resource, target.map(|target| target.plural.as_str()))
                && text(&fault.name, target.and_then(|target| target.name.as_deref()))
                && fault.watch.is_none_or(|wanted| wanted == watch)
        })?;
        let fault = faults[place].clone();
        match faults[place].times.as_mut() {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => drop(faults.remove(place)),
            None => {}
        }
        let failure = fault.status.map(failure);
        Some(Met { delay: Duration::from_millis(fault.delay_ms), failure })
    }
}

fn failure(status: u16) -> Failure {
    let injected = "injected fault";
    match status {
        409 => Failure::new(409, "Conflict", format!("Operation cannot be fulfilled: {injected}")),
        410 => Failure::expired(format!("too old resource version: {injected}")),
        429 => Failure::too_many_requests(format!("too many requests: {injected}"), 1),
        500 => Failure::internal(injected),
        503 => Failure::new(503, "ServiceUnavailable", format!("service unavailable: {injected}")),
        504 => Failure::new(504, "Timeout", format!("timeout: {injected}")),
        status => Failure::new(status, "", injected),
    }
}
