//! What makes pods: Deployments and the like.

use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::{fill, pods, unchanged};
use crate::failure::{Cause, Causes};

pub(in super::super) const DEPLOYMENT: Rules =
    Rules { default: default_deployment, validate, validate_update, ..Rules::NONE };
pub(in super::super) const REPLICA_SET: Rules =
    Rules { default: default_replica_set, validate, validate_update, ..Rules::NONE };
pub(in super::super) const STATEFUL_SET: Rules =
    Rules { default: default_stateful_set, validate, validate_update, ..Rules::NONE };
pub(in super::super) const DAEMON_SET: Rules =
    Rules { default: default_daemon_set, validate, validate_update, ..Rules::NONE };
pub(in super::super) const JOB: Rules = Rules { default: default_job, ..Rules::NONE };
pub(in super::super) const CRON_JOB: Rules = Rules { default: default_cron_job, ..Rules::NONE };
pub(in super::super) const AUTOSCALER: Rules =
    Rules { default: |scaler| fill(&mut scaler["spec"], "minReplicas", 1), ..Rules::NONE };
pub(in super::super) const CLAIM: Rules = Rules {
    default: |claim| fill(&mut claim["spec"], "volumeMode", "Filesystem"),
    on_create: |claim| claim["status"] = json!({"phase": "Pending"}),
    ..Rules::NONE
};

fn default_deployment(deployment: &mut Value) {
    let spec = &mut deployment["spec"];
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    let strategy = &mut spec["strategy"];
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", "25%");
        fill(&mut strategy["rollingUpdate"], "maxSurge", "25%");
    }
    pods::default_spec(&mut spec["template"]["spec"]);
}

fn default_replica_set(set: &mut Value) {
    let spec = &mut set["spec"];
    fill(spec, "replicas", 1);
    pods::default_spec(&mut spec["template"]["spec"]);
}

fn default_stateful_set(set: &mut Value) {
    let spec = &mut set["spec"];
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "podManagementPolicy", "OrderedReady");
    fill(&mut spec["updateStrategy"], "type", "RollingUpdate");
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        fill(&mut spec["updateStrategy"]["rollingUpdate"], "partition", 0);
    }
    pods::default_spec(&mut spec["template"]["spec"]);
}

fn default_daemon_set(set: &mut Value) {
    let spec = &mut set["spec"];
    fill(spec, "revisionHistoryLimit", 10);
    fill(&mut spec["updateStrategy"], "type", "RollingUpdate");
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        fill(&mut spec["updateStrategy"]["rollingUpdate"], "maxUnavailable", 1);
        fill(&mut spec["updateStrategy"]["rollingUpdate"], "maxSurge", 0);
    }
    pods::default_spec(&mut spec["template"]["spec"]);
}

fn default_job_spec(spec: &mut Value) {
    fill(spec, "completions", 1);
    fill(spec, "parallelism", 1);
    fill(spec, "backoffLimit", 6);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    pods::default_spec(&mut spec["template"]["spec"]);
}

fn default_job(job: &mut Value) {
    default_job_spec(&mut job["spec"]);
}

fn default_cron_job(job: &mut Value) {
    let spec = &mut job["spec"];
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    pods::default_spec(&mut spec["jobTemplate"]["spec"]["template"]["spec"]);
}

/// The selector must be said and must select the template's own pods.
fn validate(workload: &Value, causes: &mut Causes) {
    let spec = &workload["spec"];
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let is_empty = |field: &str| {
        let part = &selector[field];
        part.as_object().is_none_or(serde_json::Map::is_empty) && part.as_array().is_none_or(Vec::is_empty)
    };
    if selector.is_null() {
        causes.add(Cause::required("spec.selector", ""));
    } else if is_empty("matchLabels") && is_empty("matchExpressions") {
        let why = "empty selector is invalid for deployment";
        causes.add(Cause::invalid("spec.selector", selector, why));
    } else if !crate::selector::object_selects(selector, labels) {
        let why = "`selector` does not match template `labels`";
        causes.add(Cause::invalid("spec.template.metadata.labels", labels, why));
    }
    if let Some(replicas) = spec["replicas"].as_i64().filter(|replicas| *replicas < 0) {
        let why = "must be greater than or equal to 0";
        causes.add(Cause::invalid("spec.replicas", &json!(replicas), why));
    }
    pods::validate_spec(&spec["template"]["spec"], "spec.template.spec", causes);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if matches!(policy.as_str(), Some("OnFailure" | "Never")) {
        causes.add(Cause::unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
}

fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    unchanged(&new["spec"]["selector"], &old["spec"]["selector"], "spec.selector", causes);
}
