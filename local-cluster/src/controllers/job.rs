//! Jobs: pods that are to end well, a wanted number of times.
//!
//! Pods are counted as they are found, so a finished pod that somebody deletes counts for nothing.
//! `podFailurePolicy`, `successPolicy` and per-index back-off are not acted on; the Job then has an Event that
//! says so.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, stamp, text, typed, unless_gone};
use crate::objects::{Deletion, Object, Objects, Part, Propagation};

use super::ownership::{claim, concerned_controller};
use super::pod_control::{create_pod, delete_pod, is_active, is_ready};
use super::reconciler::{Key, Reconciler, Source};

/// The wait after the first failed pod; it doubles with each more, up to the longest.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

pub(crate) struct Jobs {
    events: Events,
}

/// A Job's pods by how far they are.
struct Pods {
    active: Vec<Object>,
    succeeded: Vec<Object>,
    failed: Vec<Object>,
}

/// How a Job has ended.
struct End {
    kind: &'static str,
    reason: &'static str,
    message: String,
}

impl Jobs {
    pub(crate) fn new(objects: &Objects) -> Jobs {
        Jobs { events: Events::new(objects, "job-controller") }
    }
}

impl Reconciler for Jobs {
    fn name(&self) -> &'static str {
        "job"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::jobs()),
            Source::new(kinds::pods(), |_, pod| concerned_controller(pod, "Job")),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(job) = objects.get(&kinds::jobs(), &key.namespace, &key.name) else { return Ok(None) };
        let Some(spec) = typed::<Job>(&job).and_then(|job| job.spec) else { return Ok(None) };
        if is_going(&job) {
            return Ok(None);
        }
        if let Some(finished) = finished_at(&job) {
            return expire(objects, &job, &spec, finished, now);
        }
        self.tell_what_is_ignored(&job, &spec);
        let pods = Pods::of(objects, &job)?;
        let started = text(&job, "/status/startTime").parse().unwrap_or(now);
        let suspended = spec.suspend == Some(true);
        let end = if suspended { None } else { end(&spec, &pods, started, now) };
        let again = match &end {
            Some(_) => self.remove_active(objects, &job, &pods)?,
            None if suspended => self.remove_active(objects, &job, &pods)?,
            None => self.keep_going(objects, &job, &spec, &pods, now)?,
        };
        let deadline = spec.active_deadline_seconds.filter(|_| end.is_none() && !suspended).map(|seconds| {
            let passed = Duration::try_from(now.duration_since(started)).unwrap_or_default();
            Duration::from_secs(seconds.max(0).unsigned_abs()).saturating_sub(passed)
        });
        self.write_status(objects, &job, end, suspended, now)?;
        Ok([again, deadline].into_iter().flatten().min())
    }
}

impl Pods {
    fn of(objects: &Objects, job: &Value) -> Result<Pods, Failure> {
        let pods = claim(objects, &kinds::pods(), job, |_| false)?;
        let in_phase = |phase: &str| -> Vec<Object> {
            pods.iter().filter(|pod| text(pod, "/status/phase") == phase).cloned().collect()
        };
        let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
        Ok(Pods { active: pods.into_iter().filter(|pod| is_active(pod)).collect(), succeeded, failed })
    }

    /// How often something failed: pods, and restarts inside those that may restart.
    fn failures(&self, spec: &JobSpec) -> i32 {
        let restarts = |pod: &Object| {
            let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.filter_map(|status| status["restartCount"].as_i64()).sum::<i64>() as i32
        };
        let in_place =
            spec.template.spec.as_ref().and_then(|pod| pod.restart_policy.as_deref()) == Some("OnFailure");
        let restarted = if in_place { self.active.iter().map(restarts).sum() } else { 0 };
        self.failed.len() as i32 + restarted
    }
}

fn index_of(pod: &Object) -> Option<i32> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// How many ends well count: every index once, or every pod.
fn completed(spec: &JobSpec, pods: &Pods) -> i32 {
    if is_indexed(spec) {
        pods.succeeded.iter().filter_map(index_of).collect::<BTreeSet<_>>().len() as i32
    } else {
        pods.succeeded.len() as i32
    }
}

fn end(spec: &JobSpec, pods: &Pods, started: Timestamp, now: Timestamp) -> Option<End> {
    let failures = pods.failures(spec);
    let limit = spec.backoff_limit.unwrap_or(6);
    let failed = |reason, message: &str| Some(End { kind: "Failed", reason, message: message.to_owned() });
    if failures > limit {
        return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    let deadline =
        spec.active_deadline_seconds.map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs()));
    let passed = Duration::try_from(now.duration_since(started)).unwrap_or_default();
    if deadline.is_some_and(|deadline| passed >= deadline) {
        return failed("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let complete = match spec.completions {
        Some(wanted) => completed(spec, pods) >= wanted,
        // Without a number, one success says that the work is done; the others may finish.
        None => !pods.succeeded.is_empty() && pods.active.is_empty(),
    };
    let message = "Reached expected number of succeeded pods".to_owned();
    complete.then_some(End { kind: "Complete", reason: "CompletionsReached", message })
}

fn finished_at(job: &Value) -> Option<Timestamp> {
    let conditions = job["status"]["conditions"].as_array()?;
    let end = conditions
        .iter()
        .find(|one| (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True")?;
    text(end, "/lastTransitionTime").parse().ok()
}

/// Deletes a finished Job when it is to be forgotten.
fn expire(
    objects: &Objects,
    job: &Value,
    spec: &JobSpec,
    finished: Timestamp,
    now: Timestamp,
) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = spec.ttl_seconds_after_finished else { return Ok(None) };
    let passed = Duration::try_from(now.duration_since(finished)).unwrap_or_default();
    let kept = Duration::from_secs(seconds.max(0).unsigned_abs().into());
    if let Some(left) = kept.checked_sub(passed).filter(|left| !left.is_zero()) {
        return Ok(Some(left));
    }
    let propagation = Propagation::Foreground;
    let deletion = Deletion { uid: Some(kinds::uid(job).to_owned()), propagation, ..Deletion::default() };
    unless_gone(objects.delete(&kinds::jobs(), kinds::namespace(job), kinds::name(job), &deletion))
        .map(|()| None)
}

impl Jobs {
    fn tell_what_is_ignored(&self, job: &Value, spec: &JobSpec) {
        let ignored = [
            ("podFailurePolicy", spec.pod_failure_policy.is_some()),
            ("successPolicy", spec.success_policy.is_some()),
            ("backoffLimitPerIndex", spec.backoff_limit_per_index.is_some()),
        ];
        let told = !text(job, "/status/startTime").is_empty();
        for (field, _) in ignored.iter().filter(|(_, given)| *given && !told) {
            let message =
                format!("spec.{field} has no effect in this cluster; the Job runs as if it weren't there");
            self.events.warning(job, "FieldIgnored", &message);
        }
    }

    fn remove_active(
        &self,
        objects: &Objects,
        job: &Value,
        pods: &Pods,
    ) -> Result<Option<Duration>, Failure> {
        for pod in &pods.active {
            delete_pod(objects, &self.events, job, pod)?;
        }
        Ok(None)
    }

    /// Makes the pods that are missing, after a failure only when its wait is over.
    fn keep_going(
        &self,
        objects: &Objects,
        job: &Value,
        spec: &JobSpec,
        pods: &Pods,
        now: Timestamp,
    ) -> Result<Option<Duration>, Failure> {
        let parallel = spec.parallelism.unwrap_or(1).max(0);
        let active = pods.active.len() as i32;
        let wanted = match spec.completions {
            Some(completions) => parallel.min(completions - completed(spec, pods)),
            None if pods.succeeded.is_empty() => parallel,
            None => active.min(parallel),
        };
        for pod in pods.active.iter().take((active - wanted).max(0) as usize) {
            delete_pod(objects, &self.events, job, pod)?;
        }
        if active >= wanted {
            return Ok(None);
        }
        if let Some(left) = back_off(&pods.failed, now) {
            return Ok(Some(left));
        }
        let taken: BTreeSet<i32> = pods.active.iter().chain(&pods.succeeded).filter_map(index_of).collect();
        let mut free = (0..).filter(|index| !taken.contains(index));
        for _ in active..wanted {
            let index = free.next().filter(|_| is_indexed(spec));
            create_pod(objects, &self.events, job, &template(job, index))?;
        }
        Ok(None)
    }

    fn write_status(
        &self,
        objects: &Objects,
        job: &Value,
        end: Option<End>,
        suspended: bool,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let pods = Pods::of(objects, job)?;
        let ready = pods.active.iter().filter(|pod| is_ready(pod)).count();
        if let Some(end) = &end {
            let severity = if end.kind == "Complete" { Events::normal } else { Events::warning };
            let reason = if end.kind == "Complete" { "Completed" } else { end.reason };
            let message = if end.kind == "Complete" { "Job completed" } else { &end.message };
            severity(&self.events, job, reason, message);
        }
        let written =
            objects.modify(&kinds::jobs(), kinds::namespace(job), kinds::name(job), Part::Status, |job| {
                let mut status = json!({"ready": ready, "uncountedTerminatedPods": {}});
                let counts = [
                    ("active", pods.active.len()),
                    ("succeeded", pods.succeeded.len()),
                    ("failed", pods.failed.len()),
                ];
                for (field, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                    status[field] = json!(count);
                }
                let began = &job["status"]["startTime"];
                if !suspended {
                    status["startTime"] = if began.is_null() { json!(stamp(now)) } else { began.clone() };
                }
                let condition = |kind: &str, status: &str, reason: &str, message: &str| {
                    let before = job["status"]["conditions"].as_array();
                    let same = before
                        .into_iter()
                        .flatten()
                        .find(|one| one["type"] == kind && one["status"] == status);
                    let since =
                        same.map_or_else(|| json!(stamp(now)), |one| one["lastTransitionTime"].clone());
                    json!({
                        "type": kind, "status": status, "reason": reason, "message": message,
                        "lastProbeTime": since, "lastTransitionTime": since,
                    })
                };
                let mut conditions = Vec::new();
                if suspended {
                    conditions.push(condition("Suspended", "True", "JobSuspended", "Job suspended"));
                }
                if let Some(end) = &end {
                    // The first of the two says how it will end while pods still do.
                    let first = if end.kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
                    conditions.push(condition(first, "True", end.reason, &end.message));
                    conditions.push(condition(end.kind, "True", end.reason, &end.message));
                    if end.kind == "Complete" {
                        status["completionTime"] = json!(stamp(now));
                    }
                }
                if !conditions.is_empty() {
                    status["conditions"] = json!(conditions);
                }
                job["status"] = status;
            });
        unless_gone(written)
    }
}

/// How long until another pod may follow the last that failed.
fn back_off(failed: &[Object], now: Timestamp) -> Option<Duration> {
    let ended = |pod: &Object| -> Option<Timestamp> {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        statuses.iter().filter_map(|one| text(one, "/state/terminated/finishedAt").parse().ok()).max()
    };
    let last = failed.iter().filter_map(ended).max()?;
    let doublings = u32::try_from(failed.len()).unwrap_or(u32::MAX).saturating_sub(1).min(10);
    let wait = (FIRST_BACK_OFF * 2_u32.pow(doublings)).min(LONGEST_BACK_OFF);
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}

/// The pod template with the labels by which a Job's pods are found, and for an indexed Job the pod's index.
fn template(job: &Value, index: Option<i32>) -> Value {
    let mut template = job["spec"]["template"].clone();
    let labels = &mut template["metadata"]["labels"];
    for prefix in ["", "batch.kubernetes.io/"] {
        labels[format!("{prefix}controller-uid")] = json!(kinds::uid(job));
        labels[format!("{prefix}job-name")] = json!(kinds::name(job));
    }
    if let Some(index) = index {
        let index = json!(index.to_string());
        template["metadata"]["labels"][INDEX] = index.clone();
        template["metadata"]["annotations"][INDEX] = index.clone();
        for containers in ["containers", "initContainers"] {
            for container in template["spec"][containers].as_array_mut().into_iter().flatten() {
                let variable = json!({"name": "JOB_COMPLETION_INDEX", "value": index});
                match container["env"].as_array_mut() {
                    Some(env) => env.push(variable),
                    None => container["env"] = json!([variable]),
                }
            }
        }
    }
    template
}

#[cfg(test)]
mod tests;
