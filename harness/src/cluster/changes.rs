//! A cluster whose changes can be taken back: what was made is deleted, what was there before is put back as it was. Each
//! change is written down before it is made, so that another process can take it back when this one was killed.
//!
//! What controllers do of their own accord is not recorded; it goes with the objects that caused it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cluster;
use super::kubernetes::Kubernetes;
use crate::expect::eventually::eventually;
use crate::manifest::name_of;
use crate::scenario::values::ObjectName;
use crate::versions::full_name;

/// How long something that is deleted may take to be gone: pods end in their own time, namespaces after them.
const GONE: Duration = Duration::from_mins(4);
const PACE: Duration = Duration::from_millis(200);

/// How to take back a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there.
    Made { kind: String, namespace: String, name: String },
    /// It was there, like this.
    Was(Value),
    /// istioctl installed Istio.
    Istio,
    /// helm installed a release.
    Release { namespace: String, name: String },
}

/// Such a cluster.
pub struct Changes {
    cluster: Arc<Kubernetes>,
    /// Whole names of images and what is run instead.
    images: Vec<(String, String)>,
    /// Put on everything that is made.
    labels: Vec<(String, String)>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    known: BTreeSet<ObjectName>,
    changes: Vec<Change>,
    file: Option<File>,
}

impl Changes {
    /// `images` are names as manifests have them, and what is run instead.
    pub fn new(
        cluster: Arc<Kubernetes>,
        images: Vec<(String, String)>,
        labels: Vec<(String, String)>,
    ) -> Changes {
        let images = images.into_iter().map(|(name, instead)| (full_name(&name), instead)).collect();
        Changes { cluster, images, labels, record: Mutex::default() }
    }

    /// From now on changes are also written to a file.
    ///
    /// # Errors
    /// It can't be written.
    pub fn record_to(&self, file: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("failed to write {}: {error}", file.display());
        let file = File::options().create(true).append(true).open(file).map_err(failed)?;
        self.record.lock().file = Some(file);
        Ok(())
    }

    /// Takes what another process wrote down for our own.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn recall(&self, file: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("failed to read {}: {error}", file.display()))?;
        // The last line may have been cut off; then its change was not made.
        self.record.lock().changes =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(())
    }

    pub fn cluster(&self) -> &Arc<Kubernetes> {
        &self.cluster
    }

    /// Writes down a change that is about to be made.
    ///
    /// # Errors
    /// It can't be written down, and so must not be made.
    pub fn note(&self, change: Change) -> Result<(), String> {
        let mut record = self.record.lock();
        if record.changes.contains(&change) {
            return Ok(());
        }
        if let Some(file) = &mut record.file {
            let line = serde_json::to_string(&change).map_err(|error| error.to_string())?;
            writeln!(file, "{line}").map_err(|error| format!("failed to write down a change: {error}"))?;
        }
        record.changes.push(change);
        Ok(())
    }

    /// The changes so far, the last first.
    pub fn noted(&self) -> Vec<Change> {
        self.record.lock().changes.iter().rev().cloned().collect()
    }

    /// Before an object is changed for the first time.
    async fn before(&self, name: &ObjectName) -> Result<(), String> {
        if self.record.lock().known.contains(name) {
            return Ok(());
        }
        let was = self.cluster.get(name).await?.map(Change::Was);
        let change = was.unwrap_or_else(|| {
            let ObjectName { kind, namespace, name } = name.clone();
            Change::Made { kind, namespace, name }
        });
        self.note(change)?;
        self.record.lock().known.insert(name.clone());
        Ok(())
    }

    /// Takes back all changes to objects, the last first, and waits until what was made is gone. Gives what could not be
    /// taken back.
    pub async fn take_back(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut going = Vec::new();
        for change in self.noted() {
            match change {
                Change::Made { kind, namespace, name } => {
                    let name = ObjectName { kind, namespace, name };
                    match self.remove(&name).await {
                        Ok(true) => going.push(name),
                        Ok(false) => {}
                        Err(error) => left.push(error),
                    }
                }
                Change::Was(object) => {
                    if let Err(error) = self.cluster.put_back(&object).await {
                        left.push(error);
                    }
                }
                Change::Istio | Change::Release { .. } => {}
            }
        }
        for name in going {
            if let Err(missed) = eventually(GONE, PACE, || self.gone(&name)).await {
                left.push(missed.to_string());
            }
        }
        let mut record = self.record.lock();
        record.changes.retain(|change| matches!(change, Change::Istio | Change::Release { .. }));
        record.known.clear();
        left
    }

    /// Deletes what may be gone already, with its kind or its namespace.
    async fn remove(&self, name: &ObjectName) -> Result<bool, String> {
        match self.cluster.delete(name, false).await {
            Err(error) if error.contains("the cluster has no kind") => Ok(false),
            deleted => deleted,
        }
    }

    async fn gone(&self, name: &ObjectName) -> Result<(), String> {
        let left = match self.cluster.get(name).await {
            Err(error) if error.contains("the cluster has no kind") => None,
            left => left?,
        };
        let Some(left) = left else { return Ok(()) };
        let why = match &left["status"]["conditions"] {
            Value::Array(conditions) => {
                let told = conditions.iter().filter(|condition| condition["status"] == "True");
                let told: Vec<&str> = told.filter_map(|condition| condition["message"].as_str()).collect();
                told.join("; ")
            }
            _ => format!("finalizers {}", left["metadata"]["finalizers"]),
        };
        Err(format!("{name} is still there: {why}"))
    }

    /// The object with the images that are run instead, and our labels.
    fn adapted(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let containers =
            ["/spec/template/spec/containers", "/spec/template/spec/initContainers", "/spec/containers"];
        for pointer in containers {
            for container in object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten() {
                let image = container["image"].as_str().map(full_name).unwrap_or_default();
                if let Some((_, instead)) = self.images.iter().find(|(name, _)| *name == image) {
                    container["image"] = instead.clone().into();
                }
            }
        }
        for (label, value) in &self.labels {
            object["metadata"]["labels"][label.as_str()] = value.clone().into();
        }
        object
    }
}

#[async_trait]
impl Cluster for Changes {
    async fn apply(&self, object: &Value) -> Result<Value, String> {
        self.before(&self.whole(&name_of(object)).await?).await?;
        self.cluster.apply(&self.adapted(object)).await
    }

    async fn merge(&self, name: &ObjectName, patch: &Value) -> Result<Value, String> {
        self.before(&self.whole(name).await?).await?;
        self.cluster.merge(name, patch).await
    }

    async fn delete(&self, name: &ObjectName, now: bool) -> Result<bool, String> {
        // Pods are replaced by those who made them.
        if name.kind != "Pod" {
            self.before(&self.whole(name).await?).await?;
        }
        self.cluster.delete(name, now).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Option<Value>, String> {
        self.cluster.get(name).await
    }

    async fn list(&self, kind: &str, namespace: &str, selector: &str) -> Result<Vec<Value>, String> {
        self.cluster.list(kind, namespace, selector).await
    }

    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<String, String> {
        self.cluster.logs(namespace, pod, container, previous).await
    }

    async fn group(&self, kind: &str) -> Result<String, String> {
        self.cluster.group(kind).await
    }
}

impl Changes {
    /// A name with the namespace that is meant where none is named.
    async fn whole(&self, name: &ObjectName) -> Result<ObjectName, String> {
        let mut name = name.clone();
        if name.namespace.is_empty() && self.cluster.is_namespaced(&name.kind).await? {
            "default".clone_into(&mut name.namespace);
        }
        Ok(name)
    }
}
