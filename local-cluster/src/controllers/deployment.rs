//! Deployments: one ReplicaSet for each template a Deployment has had, and the way from one to the next.
//!
//! The rules (surge, unavailable, revisions, progress) are those of kube-controller-manager's deployment
//! controller, whose annotations `kubectl rollout` reads.

mod revision;
mod rolling;
mod status;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use serde_json::{Value, json};

use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace, typed};
use crate::labels::{labels, selects};
use crate::objects::{Object, Objects, Part};

use super::ownership::{claim, concerned_controller, controller_name};
use super::reconciler::{Key, Reconciler, Source};

pub(crate) struct Deployments {
    events: Events,
}

/// A Deployment and what belongs to it, as one look sees it.
struct Rollout<'a> {
    objects: &'a Objects,
    events: &'a Events,
    deployment: Object,
    spec: DeploymentSpec,
    /// All ReplicaSets, the oldest first.
    sets: Vec<Object>,
}

impl Deployments {
    pub(crate) fn new(objects: &Objects) -> Deployments {
        Deployments { events: Events::new(objects, "deployment-controller") }
    }
}

impl Reconciler for Deployments {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::deployments()),
            Source::new(kinds::replica_sets(), |_, set| concerned_controller(set, "Deployment")),
            // `Recreate` waits until the last old pod has gone.
            Source::new(kinds::pods(), |objects, pod| {
                let Some(set) = controller_name(pod, "ReplicaSet") else { return Vec::new() };
                let set = objects.get(&kinds::replica_sets(), namespace(pod), set);
                set.map(|set| concerned_controller(&set, "Deployment")).unwrap_or_default()
            }),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, now: Timestamp) -> Result<Option<Duration>, Failure> {
        let Some(deployment) = objects.get(&kinds::deployments(), &key.namespace, &key.name) else {
            return Ok(None);
        };
        let Some(spec) = typed::<Deployment>(&deployment).and_then(|typed| typed.spec) else {
            return Ok(None);
        };
        let mut rollout = Rollout { objects, events: &self.events, deployment, spec, sets: Vec::new() };
        rollout.read_sets()?;
        if !is_going(&rollout.deployment) {
            rollout.advance()?;
            rollout.read_sets()?;
        }
        rollout.write_status(now)
    }
}

impl Rollout<'_> {
    fn advance(&mut self) -> Result<(), Failure> {
        // A paused rollout still takes a new size.
        if self.spec.paused == Some(true) || (self.is_resized() && !self.recreates()) {
            self.scale_in_proportion()?;
        } else if self.recreates() {
            self.recreate()?;
        } else {
            self.roll()?;
        }
        self.remove_old_history()
    }

    fn recreates(&self) -> bool {
        let strategy = self.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
        strategy == Some("Recreate")
    }

    fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    fn read_sets(&mut self) -> Result<(), Failure> {
        let selects_set = |set: &Value| selects(&self.spec.selector, &labels(set));
        let mut sets = claim(self.objects, &kinds::replica_sets(), &self.deployment, selects_set)?;
        sets.sort_by_cached_key(|set| {
            (
                kinds::text(set, "/metadata/creationTimestamp").to_owned(),
                revision::of(set),
                name(set).to_owned(),
            )
        });
        self.sets = sets;
        Ok(())
    }

    /// The ReplicaSet of the template as it is now.
    fn newest(&self) -> Option<&Object> {
        let template = &self.deployment["spec"]["template"];
        self.sets.iter().find(|set| revision::same_template(&set["spec"]["template"], template))
    }

    fn old(&self) -> impl Iterator<Item = &Object> {
        let newest = self.newest().map(|set| kinds::uid(set).to_owned());
        self.sets.iter().filter(move |set| newest.as_deref() != Some(kinds::uid(set)))
    }

    /// Sets the size of a ReplicaSet and the notes by which a later change of the Deployment's own size is seen.
    fn resize(&self, set: &Value, replicas: i32) -> Result<(), Failure> {
        let before = replicas_of(set);
        let (wanted, most) = (self.wanted(), self.wanted() + self.surge());
        self.objects.modify(
            &kinds::replica_sets(),
            namespace(set),
            name(set),
            Part::AllButStatus,
            |set| {
                if before != replicas {
                    set["spec"]["replicas"] = json!(replicas);
                }
                set["metadata"]["annotations"][revision::DESIRED] = json!(wanted.to_string());
                set["metadata"]["annotations"][revision::MOST] = json!(most.to_string());
            },
        )?;
        if before != replicas {
            let way = if replicas > before { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} from {before} to {replicas}", name(set));
            self.events.normal(&*self.deployment, "ScalingReplicaSet", &message);
        }
        Ok(())
    }
}

fn replicas_of(set: &Value) -> i32 {
    number(set, "/spec/replicas", 1)
}

fn number(object: &Value, pointer: &str, default: i32) -> i32 {
    let found = object.pointer(pointer).and_then(Value::as_i64);
    found.and_then(|number| i32::try_from(number).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests;
