//! The history of a Deployment: which ReplicaSet carries which revision, and what `kubectl rollout` reads of it.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Rollout, replicas_of};
use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace, text, unless_gone};
use crate::objects::{Deletion, Object, Part};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const HASH: &str = "pod-template-hash";

/// Annotations that a ReplicaSet does not take over from its Deployment.
const NOT_COPIED: [&str; 5] = [REVISION, HISTORY, DESIRED, MOST, LAST_APPLIED];

/// The revision that an object carries; 0 for none.
pub(super) fn of(object: &Value) -> u64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether two pod templates make the same pods: equal but for the label that tells ReplicaSets apart.
pub(super) fn same_template(left: &Value, right: &Value) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.shift_remove(HASH);
        }
        without_emptiness(&mut template);
        template
    };
    bare(left) == bare(right)
}

/// `null`, and a creation time that only clients write, say nothing.
fn without_emptiness(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_emptiness);
        }
        Value::Array(items) => items.iter_mut().for_each(without_emptiness),
        _ => {}
    }
}

/// Ten letters and digits for a template; `collisions` gives another name when one is taken.
fn template_hash(template: &Value, collisions: i64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(format!("{template}{collisions}"));
    digest.iter().take(10).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

impl Rollout<'_> {
    /// The ReplicaSet of the template as it is now, made when there is none, with the newest revision on it.
    pub(super) fn ensure_newest(&mut self) -> Result<Object, Failure> {
        let revision = self.old().map(|set| of(set)).max().unwrap_or(0) + 1;
        let set = match self.newest().cloned() {
            Some(set) => self.annotate(&set, revision)?,
            None => self.create_newest(revision)?,
        };
        let carried = of(&set);
        self.objects.modify(
            &kinds::deployments(),
            namespace(&self.deployment),
            name(&self.deployment),
            Part::AllButStatus,
            |deployment| deployment["metadata"]["annotations"][REVISION] = json!(carried.to_string()),
        )?;
        self.read_sets()?;
        Ok(set)
    }

    /// Brings the Deployment's annotations and the revision to a ReplicaSet that is there already.
    fn annotate(&self, set: &Value, revision: u64) -> Result<Object, Failure> {
        let copied = self.copied_annotations();
        self.objects.modify(&kinds::replica_sets(), namespace(set), name(set), Part::AllButStatus, |set| {
            let before = of(set);
            for (key, value) in copied {
                set["metadata"]["annotations"][key] = value;
            }
            // A template that comes back takes the newest number; the ones it had before are its history.
            if before < revision {
                set["metadata"]["annotations"][REVISION] = json!(revision.to_string());
                if before > 0 {
                    let history =
                        text(set, "/metadata/annotations/deployment.kubernetes.io~1revision-history");
                    let history = [history, &before.to_string()]
                        .iter()
                        .filter(|part| !part.is_empty())
                        .copied()
                        .collect::<Vec<_>>()
                        .join(",");
                    set["metadata"]["annotations"][HISTORY] = json!(history);
                }
            }
        })
    }

    fn create_newest(&self, revision: u64) -> Result<Object, Failure> {
        let template = &self.deployment["spec"]["template"];
        let collisions = self.deployment["status"]["collisionCount"].as_i64().unwrap_or(0);
        let hash = template_hash(template, collisions);
        let mut template = template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = self.deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut annotations = self.copied_annotations();
        annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
        annotations.insert(DESIRED.to_owned(), json!(self.wanted().to_string()));
        annotations.insert(MOST.to_owned(), json!((self.wanted() + self.surge()).to_string()));
        let replicas = self.first_size();
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", name(&self.deployment)),
                "namespace": namespace(&self.deployment),
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [super::super::ownership::controller_reference(&self.deployment)],
            },
            "spec": {
                "replicas": replicas,
                "minReadySeconds": self.spec.min_ready_seconds.unwrap_or(0),
                "selector": selector,
                "template": template,
            },
        });
        match self.objects.create(&kinds::replica_sets(), set) {
            Ok(set) => {
                if replicas > 0 {
                    let message = format!("Scaled up replica set {} from 0 to {replicas}", name(&set));
                    self.events.normal(&*self.deployment, "ScalingReplicaSet", &message);
                }
                Ok(set)
            }
            Err(failure) if failure.reason == "AlreadyExists" => {
                // Another's ReplicaSet has that name: the next look takes another one.
                self.modify_status(|status| status["collisionCount"] = json!(collisions + 1))?;
                Err(failure)
            }
            Err(failure) => {
                let message = format!("Failed to create new replica set: {failure}");
                self.events.warning(&*self.deployment, "ReplicaSetCreateError", &message);
                Err(failure)
            }
        }
    }

    fn copied_annotations(&self) -> Map<String, Value> {
        let annotations = self.deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.into_iter().filter(|(key, _)| !NOT_COPIED.contains(&key.as_str())).collect()
    }

    /// Of the ReplicaSets that no pod belongs to, keeps as many of the newest as the Deployment wants to remember.
    pub(super) fn remove_old_history(&self) -> Result<(), Failure> {
        let kept = usize::try_from(self.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
        let empty = |set: &&Object| {
            let observed = set["status"]["observedGeneration"].as_u64().unwrap_or(0);
            replicas_of(set) == 0
                && set["status"]["replicas"].as_u64().unwrap_or(0) == 0
                && observed >= set["metadata"]["generation"].as_u64().unwrap_or(0)
                && !is_going(set)
        };
        let mut idle: Vec<_> = self.old().filter(empty).collect();
        idle.sort_by_key(|set| of(set));
        let surplus = idle.len().saturating_sub(kept);
        for set in idle.iter().take(surplus) {
            let deletion = Deletion::default();
            unless_gone(self.objects.delete(&kinds::replica_sets(), namespace(set), name(set), &deletion))?;
        }
        Ok(())
    }
}
