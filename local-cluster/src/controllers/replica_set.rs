//! ReplicaSets: as many pods of one template as wanted.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, stamp, typed, unless_gone};
use crate::labels::{labels, map, selects};
use crate::objects::{Object, Objects, Part};

use super::ownership::{claim, concerned_controller};
use super::pod_control::{create_pod, delete_pod, first_to_go, is_active, is_available, is_ready};
use super::reconciler::{Key, Reconciler, Source};

/// How many pods are made in one look, so that a wrong template fails a few times and not a thousand times.
const BURST: usize = 100;

pub(crate) struct ReplicaSets {
    events: Events,
}

impl ReplicaSets {
    pub(crate) fn new(objects: &Objects) -> ReplicaSets {
        ReplicaSets { events: Events::new(objects, "replicaset-controller") }
    }
}

impl Reconciler for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::replica_sets()),
            Source::new(kinds::pods(), |_, pod| concerned_controller(pod, "ReplicaSet")),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(set) = objects.get(&kinds::replica_sets(), &key.namespace, &key.name) else {
            return Ok(None);
        };
        let Some(spec) = typed::<ReplicaSet>(&set).and_then(|set| set.spec) else { return Ok(None) };
        let pods = claim(objects, &kinds::pods(), &set, |pod| {
            is_active(pod) && selects(&spec.selector, &labels(pod))
        })?;
        let active: Vec<Object> = pods.into_iter().filter(|pod| is_active(pod)).collect();
        let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
        let failed = if is_going(&set) { None } else { self.scale(objects, &set, active, wanted).err() };
        let again = write_status(objects, &set, spec.min_ready_seconds.unwrap_or(0), failed.as_ref(), now)?;
        failed.map_or(Ok(again), Err)
    }
}

impl ReplicaSets {
    fn scale(
        &self,
        objects: &Objects,
        set: &Value,
        active: Vec<Object>,
        wanted: usize,
    ) -> Result<(), Failure> {
        if active.len() < wanted {
            for _ in active.len()..wanted.min(active.len() + BURST) {
                create_pod(objects, &self.events, set, &set["spec"]["template"])?;
            }
        } else {
            let surplus = active.len() - wanted;
            for pod in first_to_go(active).iter().take(surplus) {
                delete_pod(objects, &self.events, set, pod)?;
            }
        }
        Ok(())
    }
}

/// Counts the pods that there are now. Asks to be called again when a ready pod will count as available later.
fn write_status(
    objects: &Objects,
    set: &Value,
    min_ready_seconds: i32,
    failed: Option<&Failure>,
    now: Timestamp,
) -> Result<Option<Duration>, Failure> {
    let pods = objects.list(&kinds::pods(), Some(kinds::namespace(set)));
    let own = pods.iter().filter(|pod| {
        is_active(pod)
            && super::ownership::controller_of(pod)
                .is_some_and(|owner| owner["uid"] == set["metadata"]["uid"])
    });
    let template_labels = map(set, "/spec/template/metadata/labels");
    let (mut replicas, mut labelled, mut ready, mut available) = (0, 0, 0, 0);
    let mut again: Option<Duration> = None;
    for pod in own {
        let labels = labels(pod);
        replicas += 1;
        labelled += i32::from(template_labels.iter().all(|(key, value)| labels.get(key) == Some(value)));
        ready += i32::from(is_ready(pod));
        match is_available(pod, min_ready_seconds, now) {
            Ok(yes) => available += i32::from(yes),
            Err(left) => again = Some(again.map_or(left, |other| other.min(left))),
        }
    }
    let result = objects.modify(
        &kinds::replica_sets(),
        kinds::namespace(set),
        kinds::name(set),
        Part::Status,
        |set| {
            let mut status = json!({
                "replicas": replicas,
                "fullyLabeledReplicas": labelled,
                "readyReplicas": ready,
                "availableReplicas": available,
                "observedGeneration": set["metadata"]["generation"],
            });
            // As a real one leaves zeros out.
            if let Some(counts) = status.as_object_mut() {
                counts.retain(|name, count| name == "replicas" || (!count.is_null() && *count != json!(0)));
            }
            if let Some(failure) = failed {
                let was = &set["status"]["conditions"][0];
                let since = if was.is_null() { json!(stamp(now)) } else { was["lastTransitionTime"].clone() };
                status["conditions"] = json!([{
                    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                    "message": failure.message, "lastTransitionTime": since,
                }]);
            }
            set["status"] = status;
        },
    );
    unless_gone(result).map(|()| again)
}

#[cfg(test)]
mod tests;
