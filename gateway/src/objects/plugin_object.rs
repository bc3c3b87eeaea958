//! Custom resources: a configured plugin, for one namespace or for the cluster.
//!
//! Both have the same fields, and those stand at the top of the object, not under `spec`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::custom::{Status, custom_resource};

/// A configured plugin that objects of its namespace name in `konghq.com/plugins`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KongPlugin {
    pub metadata: ObjectMeta,
    #[serde(flatten)]
    pub spec: PluginSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// A configured plugin that objects of every namespace may name, or that runs for every request with the
/// label `global: "true"`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KongClusterPlugin {
    pub metadata: ObjectMeta,
    #[serde(flatten)]
    pub spec: PluginSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Which plugin, with which settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginSpec {
    #[serde(default)]
    pub plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// The settings are in a Secret.
    #[serde(rename = "configFrom", default, skip_serializing_if = "Option::is_none")]
    pub config_from: Option<ConfigSource>,
    /// Parts of the settings are in Secrets.
    #[serde(rename = "configPatches", default, skip_serializing_if = "Vec::is_empty")]
    pub config_patches: Vec<ConfigPatch>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// Read for old objects; without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_on: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering: Option<Value>,
    #[serde(rename = "consumerRef", default, skip_serializing_if = "Option::is_none")]
    pub consumer_ref: Option<String>,
}

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigSource {
    #[serde(rename = "secretKeyRef")]
    pub secret_key_ref: SecretKeyRef,
}

/// One value, put into the settings at a JSON pointer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigPatch {
    pub path: String,
    #[serde(rename = "valueFrom")]
    pub value_from: ConfigSource,
}

/// One entry of a Secret. The namespace is only for cluster-wide plugins; others read their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretKeyRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
    pub key: String,
}

custom_resource!(KongPlugin, "v1", "kongplugins", NamespaceResourceScope);
custom_resource!(KongClusterPlugin, "v1", "kongclusterplugins", ClusterResourceScope);
