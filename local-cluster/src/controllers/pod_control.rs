//! Pods as the controllers that make them see them: which still count, which are ready, which goes first.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, name, name_suffix, namespace, text, uid};
use crate::objects::{Deletion, Object, Objects};

use super::ownership::controller_reference;

/// Neither ended nor being deleted.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_going(pod) && !has_ended(pod)
}

pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Since when the pod is ready.
pub(crate) fn ready_since(pod: &Value) -> Option<Timestamp> {
    let conditions = pod.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|one| one["type"] == "Ready" && one["status"] == "True")?;
    Some(text(ready, "/lastTransitionTime").parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    ready_since(pod).is_some()
}

/// Whether the pod has been ready for long enough; if it is ready but not yet for long enough, how long until then.
pub(crate) fn is_available(pod: &Value, min_ready_seconds: i32, now: Timestamp) -> Result<bool, Duration> {
    let Some(since) = ready_since(pod) else { return Ok(false) };
    let wanted = Duration::from_secs(min_ready_seconds.max(0).unsigned_abs().into());
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    wanted.checked_sub(passed).filter(|left| !left.is_zero()).map_or(Ok(true), Err)
}

/// In the order in which pods are given up: those not yet placed, not yet running, not ready, then the youngest.
pub(crate) fn first_to_go(mut pods: Vec<Object>) -> Vec<Object> {
    pods.sort_by_cached_key(|pod| {
        let phase = match text(pod, "/status/phase") {
            "Pending" | "" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        (
            !text(pod, "/spec/nodeName").is_empty(),
            phase,
            is_ready(pod),
            Reverse(ready_since(pod)),
            Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
        )
    });
    pods
}

/// Makes a pod from the owner's template, and tells so on the owner. Its name begins with the owner's.
pub(crate) fn create_pod(
    objects: &Objects,
    events: &Events,
    owner: &Value,
    template: &Value,
) -> Result<Object, Failure> {
    let pod_name = format!("{}-{}", name(owner), name_suffix(5));
    create_named_pod(objects, events, owner, template, &pod_name)
}

pub(crate) fn create_named_pod(
    objects: &Objects,
    events: &Events,
    owner: &Value,
    template: &Value,
    pod_name: &str,
) -> Result<Object, Failure> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": pod_name,
            "generateName": format!("{}-", name(owner)),
            "namespace": namespace(owner),
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "finalizers": template["metadata"]["finalizers"],
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    });
    let created = objects.create_as_client(&kinds::pods(), without_nulls(pod));
    match &created {
        Ok(pod) => events.normal(owner, "SuccessfulCreate", &format!("Created pod: {}", name(pod))),
        Err(failure) => events.warning(owner, "FailedCreate", &format!("Error creating: {failure}")),
    }
    created
}

/// Deletes a pod, and tells so on the owner. One that is gone already is no failure.
pub(crate) fn delete_pod(
    objects: &Objects,
    events: &Events,
    owner: &Value,
    pod: &Value,
) -> Result<(), Failure> {
    let deletion = Deletion { uid: Some(uid(pod).to_owned()), ..Deletion::default() };
    match objects.delete(&kinds::pods(), namespace(pod), name(pod), &deletion) {
        Ok(_) => events.normal(owner, "SuccessfulDelete", &format!("Deleted pod: {}", name(pod))),
        Err(failure) if matches!(failure.code, 404 | 409) => {}
        Err(failure) => {
            events.warning(owner, "FailedDelete", &format!("Error deleting: {failure}"));
            return Err(failure);
        }
    }
    Ok(())
}

fn without_nulls(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    object
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn unready_and_young_pods_go_first() {
        let pod = |name: &str, placed: bool, ready: Option<&str>, phase: &str| -> Object {
            let mut pod = json!({"metadata": {"name": name}, "spec": {}, "status": {"phase": phase}});
            if placed {
                pod["spec"]["nodeName"] = json!("here");
            }
            if let Some(since) = ready {
                let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": since});
                pod["status"]["conditions"] = json!([ready]);
            }
            Arc::new(pod)
        };
        let pods = vec![
            pod("old", true, Some("2026-01-01T00:00:00Z"), "Running"),
            pod("young", true, Some("2026-01-02T00:00:00Z"), "Running"),
            pod("unready", true, None, "Running"),
            pod("starting", true, None, "Pending"),
            pod("unplaced", false, None, "Pending"),
        ];
        let order: Vec<_> = first_to_go(pods).iter().map(|pod| name(pod).to_owned()).collect();
        assert_eq!(order, ["unplaced", "starting", "unready", "young", "old"]);
    }

    #[test]
    fn available_only_after_the_wanted_time() {
        let conditions =
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let pod = json!({"status": {"conditions": conditions}});
        let at = |time: &str| is_available(&pod, 10, time.parse().unwrap());
        assert_eq!(at("2026-01-01T00:00:04Z"), Err(Duration::from_secs(6)));
        assert_eq!(at("2026-01-01T00:00:10Z"), Ok(true));
        assert_eq!(is_available(&json!({}), 0, Timestamp::UNIX_EPOCH), Ok(false));
    }
}
