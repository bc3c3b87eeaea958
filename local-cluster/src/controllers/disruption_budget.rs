//! PodDisruptionBudgets: how many of the pods they select may be evicted now.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{self, namespace, stamp, typed};
use crate::labels::{labels, selects};
use crate::objects::{Objects, Part};

use super::pod_control::{is_active, is_ready};
use super::reconciler::{Key, Reconciler, Source};

pub(crate) struct DisruptionBudgets;

impl Reconciler for DisruptionBudgets {
    fn name(&self) -> &'static str {
        "disruption-budget"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::disruption_budgets()),
            Source::new(kinds::pods(), |objects, pod| {
                let budgets = objects.list(&kinds::disruption_budgets(), Some(namespace(pod)));
                budgets.iter().map(|budget| Key::of(budget)).collect()
            }),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let resource = kinds::disruption_budgets();
        let Some(budget) = objects.get(&resource, &key.namespace, &key.name) else { return Ok(None) };
        let Some(spec) = typed::<PodDisruptionBudget>(&budget).and_then(|budget| budget.spec) else {
            return Ok(None);
        };
        let pods = objects.list(&kinds::pods(), Some(&key.namespace));
        let selected = pods.iter().filter(|pod| {
            is_active(pod) && spec.selector.as_ref().is_some_and(|selector| selects(selector, &labels(pod)))
        });
        let (mut expected, mut healthy) = (0, 0);
        for pod in selected {
            expected += 1;
            healthy += i32::from(is_ready(pod));
        }
        let desired = match (&spec.min_available, &spec.max_unavailable) {
            (Some(least), _) => up(least, expected),
            (None, Some(most)) => (expected - up(most, expected)).max(0),
            (None, None) => (expected - 1).max(0),
        };
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let (holds, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        objects.modify(&resource, &key.namespace, &key.name, Part::Status, |budget| {
            let was = budget["status"]["conditions"][0].clone();
            let since =
                if was["status"] == holds { was["lastTransitionTime"].clone() } else { json!(stamp(now)) };
            let generation = budget["metadata"]["generation"].clone();
            let condition: Value = json!({
                "type": "DisruptionAllowed", "status": holds, "reason": reason, "message": "",
                "lastTransitionTime": since, "observedGeneration": generation,
            });
            budget["status"] = json!({
                "observedGeneration": generation,
                "disruptionsAllowed": allowed, "currentHealthy": healthy,
                "desiredHealthy": desired, "expectedPods": expected,
                "conditions": [condition],
            });
        })?;
        Ok(None)
    }
}

/// A number, or a percentage of `total` rounded up.
fn up(value: &IntOrString, total: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: f64 = text.trim_end_matches('%').parse().unwrap_or(0.0);
            (percent * f64::from(total) / 100.0).ceil() as i32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_what_is_beyond_the_least() {
        let objects = Objects::default();
        for (name, ready) in [("p1", "True"), ("p2", "True"), ("p3", "False")] {
            let pod = json!({
                "metadata": {"namespace": "default", "name": name, "labels": {"app": "echo"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            });
            objects.create(&kinds::pods(), pod).unwrap();
            let conditions = json!([{"type": "Ready", "status": ready}]);
            let be = |pod: &mut Value| pod["status"] = json!({"conditions": conditions});
            objects.modify(&kinds::pods(), "default", name, Part::Status, be).unwrap();
        }
        let allowed = |name: &str, rule: Value| {
            let mut spec = json!({"selector": {"matchLabels": {"app": "echo"}}});
            spec.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
            let budget = json!({"metadata": {"namespace": "default", "name": name}, "spec": spec});
            objects.create(&kinds::disruption_budgets(), budget).unwrap();
            let key = Key { namespace: "default".to_owned(), name: name.to_owned() };
            DisruptionBudgets.reconcile(&objects, &key, Timestamp::UNIX_EPOCH).unwrap();
            objects.get(&kinds::disruption_budgets(), "default", name).unwrap()["status"]["disruptionsAllowed"]
                .clone()
        };
        assert_eq!(allowed("one", json!({"minAvailable": 1})), 1);
        assert_eq!(allowed("half", json!({"minAvailable": "50%"})), 0);
        assert_eq!(allowed("most", json!({"maxUnavailable": 2})), 1);
    }
}
