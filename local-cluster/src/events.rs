//! The Events that controllers and the node leave on objects: one for each cause, counted when it happens again.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kinds::{self, name, namespace, stamp, text, uid};
use crate::objects::{Objects, Part};

/// Who tells.
#[derive(Clone)]
pub(crate) struct Events {
    objects: Objects,
    component: &'static str,
}

/// What an Event is about: an object, or a part of it such as `spec.containers{proxy}`.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) object: &'a Value,
    pub(crate) part: Option<&'a str>,
}

impl<'a> From<&'a Value> for About<'a> {
    fn from(object: &'a Value) -> Self {
        About { object, part: None }
    }
}

impl Events {
    pub(crate) fn new(objects: &Objects, component: &'static str) -> Events {
        Events { objects: objects.clone(), component }
    }

    pub(crate) fn normal<'a>(&self, about: impl Into<About<'a>>, reason: &str, message: &str) {
        self.record("Normal", about.into(), reason, message);
    }

    pub(crate) fn warning<'a>(&self, about: impl Into<About<'a>>, reason: &str, message: &str) {
        self.record("Warning", about.into(), reason, message);
    }

    fn record(&self, severity: &str, about: About<'_>, reason: &str, message: &str) {
        let object = about.object;
        // What is in no namespace has its Events in `default`, as with a real API server.
        let home = if namespace(object).is_empty() { "default" } else { namespace(object) };
        let cause = [uid(object), about.part.unwrap_or_default(), severity, reason, message, self.component];
        let digest = Sha256::digest(cause.join("\0"));
        let id = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
        let event_name = format!("{}.{id:016x}", name(object));
        let now = stamp(Timestamp::now());
        let again = self.objects.modify(&kinds::events(), home, &event_name, Part::AllButStatus, |event| {
            event["count"] = json!(event["count"].as_u64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
        });
        if again.is_ok() {
            return;
        }
        let mut involved = json!({
            "apiVersion": text(object, "/apiVersion"),
            "kind": text(object, "/kind"),
            "name": name(object),
            "uid": uid(object),
            "resourceVersion": text(object, "/metadata/resourceVersion"),
        });
        if !namespace(object).is_empty() {
            involved["namespace"] = json!(namespace(object));
        }
        if let Some(part) = about.part {
            involved["fieldPath"] = json!(part);
        }
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": event_name, "namespace": home},
            "involvedObject": involved,
            "type": severity, "reason": reason, "message": message,
            "source": {"component": self.component},
            "reportingComponent": self.component, "reportingInstance": "",
            "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            "eventTime": null,
        });
        if let Err(failure) = self.objects.create(&kinds::events(), event) {
            // A namespace that is going takes none.
            tracing::debug!("no Event {reason} for {}: {failure}", name(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_is_counted_and_another_is_told_apart() {
        let objects = Objects::default();
        let events = Events::new(&objects, "test");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "p", "uid": "1"}});
        events.warning(&pod, "BackOff", "waits");
        events.warning(&pod, "BackOff", "waits");
        events.normal(About { object: &pod, part: Some("spec.containers{c}") }, "Started", "runs");
        let told = objects.list(&kinds::events(), Some("default"));
        let mut counts: Vec<_> = told.iter().map(|event| (text(event, "/reason"), &event["count"])).collect();
        counts.sort_by_key(|(reason, _)| *reason);
        assert_eq!(counts, [("BackOff", &json!(2)), ("Started", &json!(1))]);
    }
}
