//! DaemonSets: one pod on every node, and here there is one node.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace, typed, unless_gone};
use crate::labels::{labels, map, selects};
use crate::objects::{Objects, Part};

use super::ownership::{claim, concerned_controller};
use super::pod_control::{create_pod, delete_pod, has_ended, is_available, is_ready};
use super::reconciler::{Key, Reconciler, Source};
use super::template_revision;

pub(crate) struct DaemonSets {
    events: Events,
}

impl DaemonSets {
    pub(crate) fn new(objects: &Objects) -> DaemonSets {
        DaemonSets { events: Events::new(objects, "daemonset-controller") }
    }
}

impl Reconciler for DaemonSets {
    fn name(&self) -> &'static str {
        "daemonset"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::daemon_sets()),
            Source::new(kinds::pods(), |_, pod| concerned_controller(pod, "DaemonSet")),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(set) = objects.get(&kinds::daemon_sets(), &key.namespace, &key.name) else {
            return Ok(None);
        };
        let Some(spec) = typed::<DaemonSet>(&set).and_then(|set| set.spec) else { return Ok(None) };
        if is_going(&set) {
            return Ok(None);
        }
        let wanted = usize::from(fits_a_node(objects, &set));
        let pods = claim(objects, &kinds::pods(), &set, |pod| selects(&spec.selector, &labels(pod)))?;
        let revision = template_revision::of_template(&set);
        let in_place =
            spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete");
        let mut places = 0;
        for pod in &pods {
            let old = in_place && template_revision::of_pod(pod) != revision;
            if !is_going(pod) && (has_ended(pod) || old || places >= wanted) {
                delete_pod(objects, &self.events, &set, pod)?;
            }
            // Its place is taken until it has gone.
            places += 1;
        }
        if places < wanted {
            create_pod(objects, &self.events, &set, &template_revision::marked(&set))?;
        }
        write_status(objects, &set, wanted, &revision, spec.min_ready_seconds.unwrap_or(0), now)
    }
}

fn fits_a_node(objects: &Objects, set: &Value) -> bool {
    let wanted = map(set, "/spec/template/spec/nodeSelector");
    objects.list(&kinds::nodes(), None).iter().any(|node| {
        let labels = labels(node);
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

fn write_status(
    objects: &Objects,
    set: &Value,
    wanted: usize,
    revision: &str,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Result<Option<Duration>, Failure> {
    let pods = claim(objects, &kinds::pods(), set, |_| false)?;
    let (mut current, mut updated, mut ready, mut available) = (0, 0, 0, 0);
    let mut again = None;
    for pod in pods.iter().filter(|pod| !is_going(pod)) {
        current += 1;
        updated += usize::from(template_revision::of_pod(pod) == revision);
        ready += usize::from(is_ready(pod));
        match is_available(pod, min_ready_seconds, now) {
            Ok(yes) => available += usize::from(yes),
            Err(left) => again = Some(left),
        }
    }
    let written = objects.modify(&kinds::daemon_sets(), namespace(set), name(set), Part::Status, |set| {
        let generation = set["metadata"]["generation"].clone();
        set["status"] = json!({
            "currentNumberScheduled": current, "desiredNumberScheduled": wanted, "numberMisscheduled": 0,
            "numberReady": ready, "numberAvailable": available, "numberUnavailable": wanted.saturating_sub(available),
            "updatedNumberScheduled": updated, "observedGeneration": generation,
        });
    });
    unless_gone(written).map(|()| again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_for_the_node_and_a_new_one_for_a_new_template() {
        let objects = Objects::default();
        let node = json!({"metadata": {"name": "here"}, "spec": {}});
        objects.create(&kinds::nodes(), node).unwrap();
        let template = json!({
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "c", "image": "one"}]},
        });
        let set = json!({
            "metadata": {"namespace": "default", "name": "agent"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
        });
        objects.create(&kinds::daemon_sets(), set).unwrap();
        let look = || {
            let key = Key { namespace: "default".to_owned(), name: "agent".to_owned() };
            DaemonSets::new(&objects).reconcile(&objects, &key, Timestamp::UNIX_EPOCH).unwrap();
            objects.list(&kinds::pods(), None)
        };
        let first = look();
        assert_eq!(first.len(), 1);
        assert_eq!(look().len(), 1);
        objects
            .modify(&kinds::daemon_sets(), "default", "agent", Part::AllButStatus, |set| {
                set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("two");
            })
            .unwrap();
        look();
        let second = look();
        assert_eq!(second.len(), 1);
        assert_ne!(name(&first[0]), name(&second[0]));
        let status = objects.get(&kinds::daemon_sets(), "default", "agent").unwrap()["status"].clone();
        assert_eq!(
            (&status["desiredNumberScheduled"], &status["updatedNumberScheduled"]),
            (&json!(1), &json!(1))
        );
    }
}
