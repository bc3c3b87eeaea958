//! Facts read off objects: whether a Deployment is rolled out, what its pods are, which condition it has. Each
//! says what is still missing, so that a wait that fails names its cause.

use serde_json::Value;

use super::Cluster;
use crate::scenario::values::ObjectName;

/// Whether a Deployment is rolled out; if not, what is missing.
pub fn rolled_out(deployment: &Value) -> Result<(), String> {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let (seen, generation) = (number("/status/observedGeneration"), number("/metadata/generation"));
    if seen < generation {
        return Err(format!("its controller has seen generation {seen} of {generation}"));
    }
    let places = [("updated", "/status/updatedReplicas"), ("available", "/status/availableReplicas")];
    for (word, pointer) in places {
        if number(pointer) != wanted {
            return Err(format!("{} of {wanted} pods are {word}", number(pointer)));
        }
    }
    match number("/status/replicas") {
        all if all > wanted => Err(format!("{} old pods are still there", all - wanted)),
        _ => Ok(()),
    }
}

/// Whether a Deployment is rolled out and all its pods take requests. Its status alone may be of a moment ago, before
/// one of them was lost.
pub async fn runs(cluster: &dyn Cluster, deployment: &Value) -> Result<(), String> {
    rolled_out(deployment)?;
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let pods = pods_of(cluster, deployment).await?;
    match pods.iter().filter(|pod| is_ready(pod)).count() as u64 {
        ready if ready == wanted => Ok(()),
        ready => Err(format!("{ready} of {wanted} pods are ready")),
    }
}

/// Why the pods of a Deployment are not ready, in the words of their statuses.
pub async fn why_not_ready(cluster: &dyn Cluster, deployment: &Value) -> String {
    let Ok(pods) = pods_of(cluster, deployment).await else { return String::new() };
    let mut reasons = Vec::new();
    for pod in &pods {
        let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
        for status in containers.into_iter().flatten() {
            let ready = status["ready"].as_bool().unwrap_or(false);
            let restarts = status["restartCount"].as_u64().unwrap_or(0);
            let told =
                ["/state/waiting", "/state/terminated", "/lastState/terminated"].iter().find_map(|pointer| {
                    let state = status.pointer(pointer)?;
                    let text = |field: &str| state[field].as_str().unwrap_or_default().to_owned();
                    Some(format!("{} {}", text("reason"), text("message")).trim().to_owned())
                });
            if !ready || restarts > 0 {
                let told = told.unwrap_or_else(|| "running".to_owned());
                reasons.push(format!("pod {name}: {told}, restarted {restarts} times"));
            }
        }
        if containers.is_none() {
            let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("no phase yet");
            reasons.push(format!("pod {name}: {phase}"));
        }
    }
    reasons.join("; ")
}

/// The pods of a Deployment.
pub async fn pods_of(cluster: &dyn Cluster, deployment: &Value) -> Result<Vec<Value>, String> {
    let namespace = deployment.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
        .collect();
    cluster.list("Pod", namespace, &selector.join(",")).await
}

/// Whether a pod takes requests.
pub fn is_ready(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// A condition of an object, by its type.
pub fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == name)
}

/// The object, or that it is not there.
pub async fn must_get(cluster: &dyn Cluster, name: &ObjectName) -> Result<Value, String> {
    cluster.get(name).await?.ok_or_else(|| format!("{name} is not there"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_tells_what_it_waits_for() {
        let deployment =
            |status: Value| json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        for (status, expected) in [
            (json!({}), "its controller has seen generation 0 of 2"),
            (
                json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}),
                "1 of 2 pods are updated",
            ),
            (
                json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}),
                "1 old pods are still there",
            ),
        ] {
            assert_eq!(rolled_out(&deployment(status)), Err(expected.to_owned()));
        }
        let done =
            json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(rolled_out(&deployment(done)), Ok(()));
    }
}
