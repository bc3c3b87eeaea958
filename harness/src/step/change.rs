//! Changes of one object: annotations, a merge patch, the number of pods, a restart. Each waits as `apply` does.

use serde_json::{Map, Value, json};

use super::apply::after;
use crate::cluster::settle::Changed;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{Annotate, Patch, ProblemCheck, Scale};
use crate::scenario::values::ObjectName;

pub(super) async fn annotate(context: &mut Context, annotate: &Annotate) -> Result<String, Failure> {
    let set = annotate.set.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    let removed = annotate.remove.0.iter().map(|key| (key.clone(), Value::Null));
    let annotations: Map<String, Value> = set.chain(removed).collect();
    let patch = json!({ "metadata": { "annotations": annotations } });
    change(context, &annotate.object, &patch, &annotate.problems).await
}

pub(super) async fn patch(context: &mut Context, patch: &Patch) -> Result<String, Failure> {
    change(context, &patch.object, &patch.merge, &patch.problems).await
}

pub(super) async fn scale(context: &mut Context, scale: &Scale) -> Result<String, Failure> {
    change(context, &scale.object, &json!({ "spec": { "replicas": scale.to } }), &[]).await
}

/// Changes the pod template's annotation that `kubectl rollout restart` changes.
pub(super) async fn restart(context: &mut Context, object: &ObjectName) -> Result<String, Failure> {
    let now = jiff::Timestamp::now().to_string();
    let annotation = json!({ "kubectl.kubernetes.io/restartedAt": now });
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": annotation } } } });
    change(context, object, &patch, &[]).await
}

async fn change(
    context: &Context,
    object: &ObjectName,
    patch: &Value,
    problems: &[ProblemCheck],
) -> Result<String, Failure> {
    let stored = context.environment.cluster().merge(object, patch).await?;
    after(context, &Changed { stored: vec![stored], deleted: Vec::new() }, problems).await
}
