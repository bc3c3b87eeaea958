//! Events are forgotten an hour after they were written or last happened, as by a real API server.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::failure::Failure;
use crate::kinds::{self, text, unless_gone};
use crate::objects::{Deletion, Objects};

use super::reconciler::{Key, Reconciler, Source};

const KEPT: Duration = Duration::from_hours(1);

pub(crate) struct EventExpiry;

impl Reconciler for EventExpiry {
    fn name(&self) -> &'static str {
        "event-expiry"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::own(kinds::events())]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(event) = objects.get(&kinds::events(), &key.namespace, &key.name) else { return Ok(None) };
        let age = last_seen(&event).map(|seen| now.duration_since(seen)).unwrap_or_default();
        let age = Duration::try_from(age).unwrap_or_default();
        if let Some(left) = KEPT.checked_sub(age).filter(|left| !left.is_zero()) {
            return Ok(Some(left));
        }
        unless_gone(objects.delete(&kinds::events(), &key.namespace, &key.name, &Deletion::default()))
            .map(|()| None)
    }
}

fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    times.iter().filter_map(|pointer| text(event, pointer).parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_goes_an_hour_after_it_last_happened() {
        let objects = Objects::default();
        let metadata = json!({"namespace": "default", "name": "e"});
        let event = json!({"metadata": metadata, "lastTimestamp": "2096-01-01T00:00:00Z"});
        objects.create(&kinds::events(), event).unwrap();
        let key = Key { namespace: "default".to_owned(), name: "e".to_owned() };
        let look = |at: &str| EventExpiry.reconcile(&objects, &key, at.parse().unwrap()).unwrap();
        assert_eq!(look("2096-01-01T00:59:00Z"), Some(Duration::from_mins(1)));
        assert_eq!(objects.list(&kinds::events(), None).len(), 1);
        assert_eq!(look("2096-01-01T01:00:00Z"), None);
        assert!(objects.list(&kinds::events(), None).is_empty());
    }
}
