//! Custom resource: a consumer and the names of its credential Secrets.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::custom::{Status, custom_resource};

/// Who may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KongConsumer {
    pub metadata: ObjectMeta,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    /// Secrets of the same namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    #[serde(rename = "consumerGroups", default, skip_serializing_if = "Vec::is_empty")]
    pub consumer_groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ConsumerSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// What newer versions of the resource add.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumerSpec {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(rename = "controlPlaneRef", default, skip_serializing_if = "Option::is_none")]
    pub control_plane_ref: Option<ControlPlaneRef>,
}

/// Which control plane the object is meant for; `kic` is ours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlPlaneRef {
    #[serde(rename = "type", default)]
    pub kind: String,
}

custom_resource!(KongConsumer, "v1", "kongconsumers", NamespaceResourceScope);
