//! What a Deployment says of itself: counts, and the conditions that `kubectl rollout status` and `kubectl wait` read.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Rollout, number, replicas_of};
use crate::failure::Failure;
use crate::kinds::{self, name, namespace, stamp, text, unless_gone};
use crate::objects::{Object, Part};

/// Pods by how far they are.
#[derive(Clone, Copy)]
struct Counts {
    replicas: i32,
    updated: i32,
    ready: i32,
    available: i32,
}

/// A condition as wanted now; times are kept when it says the same as before.
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Rollout<'_> {
    pub(super) fn modify_status(&self, edit: impl FnOnce(&mut Value)) -> Result<(), Failure> {
        let (namespace, name) = (namespace(&self.deployment), name(&self.deployment));
        let written =
            self.objects.modify(&kinds::deployments(), namespace, name, Part::Status, |deployment| {
                edit(&mut deployment["status"]);
            });
        unless_gone(written)
    }

    /// Asks to be called again when the progress deadline will have passed.
    pub(super) fn write_status(&self, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let counts = self.counts();
        let before = self.deployment["status"].clone();
        let progressed = counts.are_ahead_of(&before);
        let (progressing, again) = self.progress(&before, counts, progressed, now);
        let enough = counts.available >= self.wanted() - self.missing();
        let availability = Condition {
            kind: "Available",
            status: if enough { "True" } else { "False" },
            reason: if enough { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" },
            message: if enough {
                "Deployment has minimum availability.".to_owned()
            } else {
                "Deployment does not have minimum availability.".to_owned()
            },
        };
        let failure = self.sets.iter().find_map(|set| {
            let failed =
                set["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == "ReplicaFailure")?;
            Some(Condition {
                kind: "ReplicaFailure",
                status: "True",
                reason: "FailedCreate",
                message: text(failed, "/message").to_owned(),
            })
        });
        let conditions: Vec<Value> = [Some(availability), progressing, failure]
            .into_iter()
            .flatten()
            .map(|condition| condition.written(&before, progressed, now))
            .collect();
        let sized: i32 = self.sets.iter().map(|set| replicas_of(set)).sum();
        let fields = [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", (sized - counts.available).max(0)),
        ];
        let generation = self.deployment["metadata"]["generation"].clone();
        self.modify_status(|status| {
            let mut written = json!({});
            if !generation.is_null() {
                written["observedGeneration"] = generation;
            }
            for (field, count) in fields.into_iter().filter(|(_, count)| *count != 0) {
                written[field] = json!(count);
            }
            if let Some(collisions) = status.get("collisionCount") {
                written["collisionCount"] = collisions.clone();
            }
            written["conditions"] = json!(conditions);
            *status = written;
        })?;
        Ok(again)
    }

    fn counts(&self) -> Counts {
        let count = |set: &Object, field: &str| number(set, &format!("/status/{field}"), 0);
        let total = |field: &str| self.sets.iter().map(|set| count(set, field)).sum();
        Counts {
            replicas: total("replicas"),
            updated: self.newest().map_or(0, |set| count(set, "replicas")),
            ready: total("readyReplicas"),
            available: total("availableReplicas"),
        }
    }

    /// Whether the rollout gets on. Asks to be looked at again when it will have had its time.
    fn progress(
        &self,
        before: &Value,
        counts: Counts,
        progressed: bool,
        now: Timestamp,
    ) -> (Option<Condition>, Option<Duration>) {
        let condition = |status, reason, message| Condition { kind: "Progressing", status, reason, message };
        let last = find(before, "Progressing");
        let last_reason = last.map_or("", |last| text(last, "/reason"));
        if self.spec.paused == Some(true) {
            let message = "Deployment is paused".to_owned();
            return (Some(condition("Unknown", "DeploymentPaused", message)), None);
        }
        let Some(newest) = self.newest().map(|set| format!("\"{}\"", name(set))) else { return (None, None) };
        let same_set = last.is_some_and(|last| text(last, "/message").contains(&newest));
        let settled =
            same_set && last_reason == "NewReplicaSetAvailable" && counts.replicas == counts.updated;
        if settled || counts.are_complete(self.wanted()) {
            // Stays so when pods fail later: the rollout was a success.
            let message = format!("ReplicaSet {newest} has successfully progressed.");
            return (Some(condition("True", "NewReplicaSetAvailable", message)), None);
        }
        let seconds = self.spec.progress_deadline_seconds.unwrap_or(600);
        let allowed = Duration::from_secs(seconds.max(0).unsigned_abs().into());
        // The largest number is Kubernetes' way to say "no deadline".
        let endless = seconds == i32::MAX;
        let began = if progressed || !same_set || last_reason == "DeploymentPaused" {
            now
        } else {
            last.and_then(|last| text(last, "/lastUpdateTime").parse().ok()).unwrap_or(now)
        };
        let passed = Duration::try_from(now.duration_since(began)).unwrap_or_default();
        let was_late = same_set && !progressed && last_reason == "ProgressDeadlineExceeded";
        if was_late || (!endless && passed >= allowed) {
            let message = format!("ReplicaSet {newest} has timed out progressing.");
            return (Some(condition("False", "ProgressDeadlineExceeded", message)), None);
        }
        let message = format!("ReplicaSet {newest} is progressing.");
        // Times in conditions are whole seconds, so a second is added for what was cut off.
        let again = (!endless).then(|| allowed.saturating_sub(passed) + Duration::from_secs(1));
        (Some(condition("True", "ReplicaSetUpdated", message)), again)
    }
}

impl Counts {
    fn are_complete(self, wanted: i32) -> bool {
        [self.replicas, self.updated, self.available].iter().all(|count| *count == wanted)
    }

    /// More new pods, fewer old ones, or more that serve, than the status said before.
    fn are_ahead_of(self, before: &Value) -> bool {
        let before = |field: &str| number(before, &format!("/{field}"), 0);
        self.updated > before("updatedReplicas")
            || self.replicas - self.updated < before("replicas") - before("updatedReplicas")
            || self.ready > before("readyReplicas")
            || self.available > before("availableReplicas")
    }
}

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

impl Condition {
    fn written(self, before: &Value, progressed: bool, now: Timestamp) -> Value {
        let last = find(before, self.kind);
        let same_status = last.filter(|last| last["status"] == self.status);
        let moved = self.kind == "Progressing" && progressed;
        let same = same_status.filter(|last| last["message"] == self.message.as_str() && !moved);
        let now = json!(stamp(now));
        json!({
            "type": self.kind, "status": self.status,
            "lastUpdateTime": same.map_or(&now, |last| &last["lastUpdateTime"]),
            "lastTransitionTime": same_status.map_or(&now, |last| &last["lastTransitionTime"]),
            "reason": self.reason, "message": self.message,
        })
    }
}
