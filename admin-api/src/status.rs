//! `GET /status`, `POST /wait`: which configuration serves, what is wrong with what was offered, and waiting
//! for a change to be live.

use serde::{Deserialize, Serialize};

/// Answer of `GET /status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub instance: String,
    pub version: String,
    /// Number of the configuration that serves; 0 before the first.
    pub generation: u64,
    /// Unix time in milliseconds at which that generation began to serve.
    pub generation_since_ms: u64,
    /// `kubernetes`, `directory` or `declarative`.
    pub source: String,
    /// Conditions that are still missing for readiness; empty when ready.
    pub pending: Vec<String>,
    pub listeners: Vec<Listener>,
    /// What was wrong with which object, and what was done instead.
    pub problems: Vec<Problem>,
    /// The objects that the serving generation was made from.
    pub objects: Vec<ObjectVersion>,
    /// Health of every target.
    pub targets: Vec<TargetHealth>,
    /// What has become of log entries since the start.
    #[serde(default)]
    pub log_entries: Deliveries,
    /// What has become of spans since the start.
    #[serde(default)]
    pub spans: Deliveries,
}

/// What is sent to collectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Taken by a collector.
    pub sent: u64,
    /// Not sent yet.
    pub waiting: u64,
    /// Given up, or dropped for want of room.
    pub lost: u64,
    /// Attempts that a collector did not take.
    pub failed_attempts: u64,
}

/// An address the gateway accepts requests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub address: String,
    /// `http`, `https` or `admin`.
    pub protocol: String,
}

/// Something wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// `Kind namespace/name`, or the place in a file.
    pub object: String,
    /// The field at fault, as a path; empty when the whole object is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// What the gateway does meanwhile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effect: String,
    /// The object is served as it is written; what it lacks shows only with what the gateway can't see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advice: bool,
}

/// An object and the version of it that is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    #[serde(default)]
    pub namespace: String,
    pub name: String,
    /// The API server's resourceVersion; `None` in a wait means: gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

impl std::fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// One target as the balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHealth {
    pub upstream: String,
    pub address: String,
    /// `healthy`, `unhealthy` or `unchecked`.
    pub health: String,
}

/// Body of `POST /wait`: answer when every object listed is part of what serves, in that version or a later
/// one, or is gone from it when no version is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitRequest {
    #[serde(default)]
    pub objects: Vec<ObjectVersion>,
    /// At least this generation.
    #[serde(default)]
    pub generation: u64,
    /// How long to wait, in milliseconds; 10 s when absent, 60 s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Answer of `POST /wait`: status 200 when everything is live, 504 when time ran out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitAnswer {
    pub generation: u64,
    /// What is still missing, in words; empty when everything is live.
    pub missing: Vec<String>,
    /// Problems of the objects that were waited for.
    pub problems: Vec<Problem>,
}
