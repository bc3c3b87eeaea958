//! Custom resource: how requests are spread over the pods of a Service.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::custom::custom_resource;

/// Named by `konghq.com/upstream-policy` on a Service of the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KongUpstreamPolicy {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: UpstreamPolicySpec,
    /// Never written by this gateway; kept so that it isn't taken for an unknown field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

/// Balancing, hashing and health checks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamPolicySpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_on_fallback: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky_sessions: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthchecks: Option<UpstreamHealthchecks>,
}

/// One source of a hash value; exactly one of the fields is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hash {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_arg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_capture: Option<String>,
}

/// Health checks of every target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamHealthchecks {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveHealthcheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive: Option<PassiveHealthcheck>,
}

/// Probes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActiveHealthcheck {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_sni: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_verify_certificate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<HealthyRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<UnhealthyRules>,
}

/// Judging by traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PassiveHealthcheck {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<HealthyRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<UnhealthyRules>,
}

/// What makes a target healthy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthyRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_statuses: Option<Vec<i64>>,
    /// Seconds between probes of a healthy target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successes: Option<i64>,
}

/// What makes a target unhealthy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnhealthyRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_statuses: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_failures: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_failures: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<i64>,
    /// Seconds between probes of an unhealthy target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<f64>,
}

custom_resource!(KongUpstreamPolicy, "v1beta1", "kongupstreampolicies", NamespaceResourceScope);
