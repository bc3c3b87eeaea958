use super::*;
use crate::kinds::{name, uid};
use crate::objects::Deletion;

fn set(replicas: u32) -> Value {
    let template = json!({
        "metadata": {"labels": {"app": "echo"}},
        "spec": {"containers": [{"name": "echo", "image": "echo"}]},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"namespace": "default", "name": "echo-1"},
        "spec": {"replicas": replicas, "minReadySeconds": 5, "selector": {"matchLabels": {"app": "echo"}}, "template": template},
    })
}

fn key() -> Key {
    Key { namespace: "default".to_owned(), name: "echo-1".to_owned() }
}

fn look(objects: &Objects, at: &str) -> Option<Duration> {
    ReplicaSets::new(objects).reconcile(objects, &key(), at.parse().unwrap()).unwrap()
}

fn pods(objects: &Objects) -> Vec<Object> {
    objects.list(&kinds::pods(), Some("default"))
}

fn status(objects: &Objects) -> Value {
    objects.get(&kinds::replica_sets(), "default", "echo-1").unwrap()["status"].clone()
}

fn make_ready(objects: &Objects, pod: &str, since: &str) {
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": since});
    objects
        .modify(&kinds::pods(), "default", pod, Part::Status, |pod| {
            pod["status"] = json!({"phase": "Running", "conditions": [ready]});
        })
        .unwrap();
}

#[test]
fn makes_and_removes_pods_and_counts_them() {
    let objects = Objects::default();
    objects.create(&kinds::replica_sets(), set(2)).unwrap();
    look(&objects, "2026-01-01T00:00:00Z");
    let made = pods(&objects);
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["metadata"]["labels"]["app"], "echo");
    assert_eq!(status(&objects), json!({"replicas": 2, "fullyLabeledReplicas": 2, "observedGeneration": 1}));

    make_ready(&objects, name(&made[1]), "2026-01-01T00:00:01Z");
    assert_eq!(look(&objects, "2026-01-01T00:00:02Z"), Some(Duration::from_secs(4)));
    assert_eq!(status(&objects)["readyReplicas"], 1);
    assert!(status(&objects)["availableReplicas"].is_null());
    assert_eq!(look(&objects, "2026-01-01T00:00:06Z"), None);
    assert_eq!(status(&objects)["availableReplicas"], 1);

    objects
        .modify(&kinds::replica_sets(), "default", "echo-1", Part::AllButStatus, |set| {
            set["spec"]["replicas"] = json!(1);
        })
        .unwrap();
    look(&objects, "2026-01-01T00:00:07Z");
    let left = pods(&objects);
    assert_eq!(left.len(), 1);
    assert_eq!(name(&left[0]), name(&made[1]), "the ready one stays");
    assert_eq!(status(&objects)["observedGeneration"], 2);
}

#[test]
fn a_pod_that_goes_is_replaced() {
    let objects = Objects::default();
    objects.create(&kinds::replica_sets(), set(1)).unwrap();
    look(&objects, "2026-01-01T00:00:00Z");
    let first = pods(&objects);
    objects.delete(&kinds::pods(), "default", name(&first[0]), &Deletion::default()).unwrap();
    look(&objects, "2026-01-01T00:00:01Z");
    let second = pods(&objects);
    assert_eq!(second.len(), 1);
    assert_ne!(uid(&first[0]), uid(&second[0]));
}

#[test]
fn orphans_that_match_are_taken_in() {
    let objects = Objects::default();
    let orphan = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": "orphan", "labels": {"app": "echo"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    objects.create(&kinds::pods(), orphan).unwrap();
    let set = objects.create(&kinds::replica_sets(), set(1)).unwrap();
    look(&objects, "2026-01-01T00:00:00Z");
    let pods = pods(&objects);
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
}
