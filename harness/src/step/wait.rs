//! Waits for a fact about objects, and on failure says what was there instead.

use std::time::Duration;

use serde_json::Value;

use super::too_late;
use crate::cluster::Cluster;
use crate::cluster::facts::{condition, must_get, runs, why_not_ready};
use crate::expect::check::{judge, judge_text, show};
use crate::expect::eventually::eventually;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{ConditionCheck, EventCheck, FieldCheck, Wait};
use crate::scenario::values::ObjectName;

const USUAL: Duration = Duration::from_secs(30);
const PACE: Duration = Duration::from_millis(50);

pub(super) async fn wait(context: &mut Context, wait: &Wait) -> Result<String, Failure> {
    let cluster = context.environment.cluster();
    let patience = wait.at_most.map_or(USUAL, |span| span.0);
    let result = eventually(patience, PACE, || fact(cluster, wait)).await;
    match result {
        Ok(seen) => Ok(seen),
        Err(missed) => {
            let mut failure = too_late("waited in vain", &missed);
            for object in wait.rolled_out.iter().flat_map(|objects| &objects.0) {
                if let Ok(deployment) = must_get(cluster, object).await {
                    failure.hints.push(why_not_ready(cluster, &deployment).await);
                }
            }
            failure.hints.retain(|hint| !hint.is_empty());
            Err(failure)
        }
    }
}

/// The fact, in words, or what is there instead.
async fn fact(cluster: &dyn Cluster, wait: &Wait) -> Result<String, String> {
    for object in wait.rolled_out.iter().flat_map(|objects| &objects.0) {
        let deployment = must_get(cluster, object).await?;
        runs(cluster, &deployment)
            .await
            .map_err(|missing| format!("{object} is not rolled out: {missing}"))?;
    }
    for object in wait.gone.iter().flat_map(|objects| &objects.0) {
        if cluster.get(object).await?.is_some() {
            return Err(format!("{object} is still there"));
        }
    }
    if let Some(wanted) = &wait.condition {
        return has_condition(cluster, wanted).await;
    }
    if let Some(wanted) = &wait.event {
        return has_event(cluster, wanted).await;
    }
    if let Some(wanted) = &wait.field {
        return has_field(cluster, wanted).await;
    }
    Ok(String::new())
}

async fn has_condition(cluster: &dyn Cluster, wanted: &ConditionCheck) -> Result<String, String> {
    let object = must_get(cluster, &wanted.object).await?;
    let Some(found) = condition(&object, &wanted.r#type) else {
        return Err(format!("{} has no condition {}", wanted.object, wanted.r#type));
    };
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    let told = format!("{}={}, {}: {}", wanted.r#type, text("status"), text("reason"), text("message"));
    let fits = text("status") == wanted.status
        && wanted.reason.as_ref().is_none_or(|check| judge("reason", check, found.get("reason")).is_empty())
        && wanted
            .message
            .as_ref()
            .is_none_or(|check| judge("message", check, found.get("message")).is_empty());
    if fits { Ok(told) } else { Err(format!("{} has {told}", wanted.object)) }
}

async fn has_event(cluster: &dyn Cluster, wanted: &EventCheck) -> Result<String, String> {
    // Events about what is in no namespace are in the namespace `default`.
    let events = cluster.list("Event", "", "").await?;
    let about: Vec<&Value> = events.iter().filter(|event| is_about(event, &wanted.object)).collect();
    let told = |event: &Value| {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("reason"), text("message"))
    };
    let fits = |event: &&&Value| {
        judge_text("reason", &wanted.reason, event["reason"].as_str()).is_empty()
            && wanted
                .message
                .as_ref()
                .is_none_or(|check| judge_text("message", check, event["message"].as_str()).is_empty())
    };
    match about.iter().find(fits) {
        Some(event) => Ok(told(event)),
        None if about.is_empty() => Err(format!("there is no Event about {}", wanted.object)),
        None => {
            let others: Vec<String> = about.iter().map(|event| told(event)).collect();
            Err(format!("{} has other Events: {}", wanted.object, others.join(" | ")))
        }
    }
}

fn is_about(event: &Value, object: &ObjectName) -> bool {
    let about = &event["involvedObject"];
    let same = |field: &str, wanted: &str| about[field].as_str().unwrap_or_default() == wanted;
    same("kind", &object.kind) && same("name", &object.name) && same("namespace", &object.namespace)
}

async fn has_field(cluster: &dyn Cluster, wanted: &FieldCheck) -> Result<String, String> {
    let object = must_get(cluster, &wanted.object).await?;
    let value = object.pointer(&wanted.pointer);
    match judge(&format!("{} of {}", wanted.pointer, wanted.object), &wanted.value, value).first() {
        None => Ok(format!("{} = {}", wanted.pointer, value.map(show).unwrap_or_default())),
        Some(miss) => Err(format!("{} was expected, got {}", miss.expected, miss.got)),
    }
}
