//! StatefulSets: pods with numbers and names that stay, made in order and changed from the last to the first.
//!
//! There are no persistent volumes in this cluster, so `volumeClaimTemplates` keep a set from having pods; an
//! Event says so.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace, typed, unless_gone};
use crate::labels::{labels, selects};
use crate::objects::{Object, Objects, Part};

use super::ownership::{claim, concerned_controller};
use super::pod_control::{create_named_pod, delete_pod, has_ended, is_available, is_ready};
use super::reconciler::{Key, Reconciler, Source};
use super::template_revision;

pub(crate) struct StatefulSets {
    events: Events,
}

impl StatefulSets {
    pub(crate) fn new(objects: &Objects) -> StatefulSets {
        StatefulSets { events: Events::new(objects, "statefulset-controller") }
    }
}

impl Reconciler for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::stateful_sets()),
            Source::new(kinds::pods(), |_, pod| concerned_controller(pod, "StatefulSet")),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(set) = objects.get(&kinds::stateful_sets(), &key.namespace, &key.name) else {
            return Ok(None);
        };
        let Some(spec) = typed::<StatefulSet>(&set).and_then(|set| set.spec) else { return Ok(None) };
        if is_going(&set) {
            return Ok(None);
        }
        if spec.volume_claim_templates.as_ref().is_some_and(|templates| !templates.is_empty()) {
            let message =
                "volumeClaimTemplates need persistent volumes, which this cluster doesn't have; use emptyDir";
            self.events.warning(&*set, "FailedCreate", message);
            return Ok(None);
        }
        let again = self.advance(objects, &set, &spec, now)?;
        write_status(objects, &set, &spec, now)?;
        Ok(again)
    }
}

impl StatefulSets {
    /// Takes the next step; asks to be called again when a pod will count as available later.
    fn advance(
        &self,
        objects: &Objects,
        set: &Value,
        spec: &StatefulSetSpec,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let pods = own_pods(objects, set, spec)?;
        let (first, count) = numbers(spec);
        let in_order = spec.pod_management_policy.as_deref() != Some("Parallel");
        let least = spec.min_ready_seconds.unwrap_or(0);
        let mut again = None;
        let mut is_settled = |pod: &Value| match is_available(pod, least, now) {
            Ok(yes) => yes && !is_going(pod),
            Err(left) => {
                again = Some(left);
                false
            }
        };
        for number in first..first + count {
            match pods.iter().find(|pod| number_of(set, pod) == Some(number)) {
                None => {
                    let pod_name = format!("{}-{number}", name(set));
                    create_named_pod(objects, &self.events, set, &template(set, spec, number), &pod_name)?;
                    if in_order {
                        return Ok(again);
                    }
                }
                Some(pod) if has_ended(pod) && !is_going(pod) => {
                    delete_pod(objects, &self.events, set, pod)?;
                    return Ok(again);
                }
                Some(pod) if in_order && !is_settled(pod) => return Ok(again),
                Some(_) => {}
            }
        }
        let beyond = |pod: &&Object| {
            number_of(set, pod).is_none_or(|number| !(first..first + count).contains(&number))
        };
        let mut surplus: Vec<&Object> = pods.iter().filter(beyond).collect();
        surplus.sort_by_key(|pod| std::cmp::Reverse(number_of(set, pod)));
        if !surplus.is_empty() {
            for pod in surplus {
                if !is_going(pod) {
                    delete_pod(objects, &self.events, set, pod)?;
                }
                if in_order {
                    break;
                }
            }
            return Ok(again);
        }
        self.renew(objects, set, spec, &pods, &mut is_settled)?;
        Ok(again)
    }

    /// Replaces pods of an older template from the last to the first, one at a time.
    fn renew(
        &self,
        objects: &Objects,
        set: &Value,
        spec: &StatefulSetSpec,
        pods: &[Object],
        is_settled: &mut impl FnMut(&Value) -> bool,
    ) -> Result<(), Failure> {
        let strategy = spec.update_strategy.as_ref();
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete") {
            return Ok(());
        }
        let partition =
            strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition).unwrap_or(0);
        let revision = template_revision::of_template(set);
        let mut newest_first: Vec<&Object> = pods.iter().collect();
        newest_first.sort_by_key(|pod| std::cmp::Reverse(number_of(set, pod)));
        for pod in newest_first {
            if number_of(set, pod).is_none_or(|number| number < partition) {
                break;
            }
            if template_revision::of_pod(pod) != revision {
                return if is_going(pod) { Ok(()) } else { delete_pod(objects, &self.events, set, pod) };
            }
            if !is_settled(pod) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn own_pods(objects: &Objects, set: &Value, spec: &StatefulSetSpec) -> Result<Vec<Object>, Failure> {
    claim(objects, &kinds::pods(), set, |pod| {
        number_of(set, pod).is_some() && selects(&spec.selector, &labels(pod))
    })
}

/// The number of the first pod, and how many there are to be.
fn numbers(spec: &StatefulSetSpec) -> (i32, i32) {
    let first = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    (first, spec.replicas.unwrap_or(1).max(0))
}

fn number_of(set: &Value, pod: &Value) -> Option<i32> {
    name(pod).strip_prefix(name(set))?.strip_prefix('-')?.parse().ok()
}

/// The pod of a number: it has a host name of its own within the set's Service.
fn template(set: &Value, spec: &StatefulSetSpec, number: i32) -> Value {
    let mut template = template_revision::marked(set);
    let pod_name = format!("{}-{number}", name(set));
    template["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = json!(pod_name);
    template["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = json!(number.to_string());
    template["spec"]["hostname"] = json!(pod_name);
    if let Some(service) = spec.service_name.as_ref().filter(|service| !service.is_empty()) {
        template["spec"]["subdomain"] = json!(service);
    }
    template
}

fn write_status(
    objects: &Objects,
    set: &Value,
    spec: &StatefulSetSpec,
    now: Timestamp,
) -> Result<(), Failure> {
    let pods = own_pods(objects, set, spec)?;
    let revision = template_revision::of_template(set);
    let count = |fact: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| !is_going(pod) && fact(pod)).count();
    let replicas = count(&|_| true);
    let updated = count(&|pod| template_revision::of_pod(pod) == revision);
    let ready = count(&is_ready);
    let available = count(&|pod| is_available(pod, spec.min_ready_seconds.unwrap_or(0), now) == Ok(true));
    let written = objects.modify(&kinds::stateful_sets(), namespace(set), name(set), Part::Status, |set| {
        let before = set["status"]["currentRevision"].as_str().map(ToOwned::to_owned);
        let complete = updated == replicas && ready == replicas;
        // The revision before stays the current one until every pod is of the new one.
        let current = if complete { revision.clone() } else { before.unwrap_or_else(|| revision.clone()) };
        let of_current = pods.iter().filter(|pod| template_revision::of_pod(pod) == current).count();
        let generation = set["metadata"]["generation"].clone();
        set["status"] = json!({
            "replicas": replicas, "readyReplicas": ready, "availableReplicas": available,
            "currentReplicas": of_current, "updatedReplicas": updated,
            "currentRevision": current, "updateRevision": revision,
            "collisionCount": 0, "observedGeneration": generation,
        });
    });
    unless_gone(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Deletion;

    struct Cluster(Objects);

    impl Cluster {
        fn new() -> Cluster {
            let template = json!({
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "c", "image": "one"}]},
            });
            let set = json!({
                "metadata": {"namespace": "default", "name": "db"},
                "spec": {
                    "replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                    "template": template,
                },
            });
            let objects = Objects::default();
            objects.create(&kinds::stateful_sets(), set).unwrap();
            Cluster(objects)
        }

        fn look(&self) -> Vec<String> {
            let key = Key { namespace: "default".to_owned(), name: "db".to_owned() };
            StatefulSets::new(&self.0)
                .reconcile(&self.0, &key, "2026-01-01T00:00:00Z".parse().unwrap())
                .unwrap();
            self.0.list(&kinds::pods(), None).iter().map(|pod| name(pod).to_owned()).collect()
        }

        fn make_ready(&self, pod: &str) {
            let ready =
                json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let be = |pod: &mut Value| pod["status"] = json!({"phase": "Running", "conditions": [ready]});
            self.0.modify(&kinds::pods(), "default", pod, Part::Status, be).unwrap();
        }

        fn edit(&self, edit: impl FnOnce(&mut Value)) {
            self.0.modify(&kinds::stateful_sets(), "default", "db", Part::AllButStatus, edit).unwrap();
        }

        fn image(&self, pod: &str) -> String {
            let pod = self.0.get(&kinds::pods(), "default", pod).unwrap();
            pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
        }
    }

    #[test]
    fn pods_come_in_order_and_go_in_reverse() {
        let cluster = Cluster::new();
        assert_eq!(cluster.look(), ["db-0"]);
        assert_eq!(cluster.look(), ["db-0"], "the next waits for this one");
        cluster.make_ready("db-0");
        assert_eq!(cluster.look(), ["db-0", "db-1"]);
        let pod = cluster.0.get(&kinds::pods(), "default", "db-1").unwrap();
        assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("db-1"), &json!("db")));
        cluster.make_ready("db-1");
        cluster.edit(|set| set["spec"]["replicas"] = json!(1));
        cluster.look();
        assert_eq!(cluster.look(), ["db-0"]);
    }

    #[test]
    fn a_new_template_replaces_the_last_pod_first() {
        let cluster = Cluster::new();
        for pod in ["db-0", "db-1"] {
            cluster.look();
            cluster.make_ready(pod);
        }
        cluster.edit(|set| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("two"));
        cluster.look();
        cluster.look();
        assert_eq!((cluster.image("db-0"), cluster.image("db-1")), ("one".to_owned(), "two".to_owned()));
        let status = || cluster.0.get(&kinds::stateful_sets(), "default", "db").unwrap()["status"].clone();
        assert_ne!(status()["currentRevision"], status()["updateRevision"]);
        for pod in ["db-1", "db-0"] {
            cluster.make_ready(pod);
            cluster.look();
            cluster.look();
        }
        cluster.make_ready("db-0");
        cluster.look();
        assert_eq!(cluster.image("db-0"), "two");
        assert_eq!(status()["currentRevision"], status()["updateRevision"]);
        assert_eq!(status()["updatedReplicas"], 2);
    }

    #[test]
    fn a_lost_pod_comes_back_under_its_name() {
        let cluster = Cluster::new();
        cluster.look();
        cluster.0.delete(&kinds::pods(), "default", "db-0", &Deletion::default()).unwrap();
        assert_eq!(cluster.look(), ["db-0"]);
    }
}
