//! What is asked of a Kubernetes API, whichever it is.

pub mod changes;
pub mod facts;
pub mod forward;
pub mod kubernetes;
pub mod settle;

use async_trait::async_trait;
use serde_json::Value;

use crate::scenario::values::ObjectName;

/// Verbs on whole objects, by their names.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Server-side apply; gives the object as stored.
    async fn apply(&self, object: &Value) -> Result<Value, String>;

    /// A merge patch; gives the object as stored.
    async fn merge(&self, name: &ObjectName, patch: &Value) -> Result<Value, String>;

    /// Deletes; says whether there was something to delete. `now` means without grace.
    async fn delete(&self, name: &ObjectName, now: bool) -> Result<bool, String>;

    /// The object, or nothing.
    async fn get(&self, name: &ObjectName) -> Result<Option<Value>, String>;

    /// All objects of a kind, in all namespaces when `namespace` is empty, with the labels of `selector`.
    async fn list(&self, kind: &str, namespace: &str, selector: &str) -> Result<Vec<Value>, String>;

    /// What a pod's container wrote last, or before its last restart.
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<String, String>;

    /// API group of a kind; empty for the core group.
    async fn group(&self, kind: &str) -> Result<String, String>;
}
