//! Custom resource: settings for every Ingress of a class.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::custom::custom_resource;

/// Named by `spec.parameters` of an `IngressClass`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngressClassParameters {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: IngressClassParametersSpec,
}

/// The settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressClassParametersSpec {
    /// Send requests to Services' own addresses instead of their pods.
    #[serde(default)]
    pub service_upstream: bool,
    /// Take a path with characters of a regular expression for one.
    #[serde(default)]
    pub enable_legacy_regex_detection: bool,
}

custom_resource!(IngressClassParameters, "v1alpha1", "ingressclassparameterses", NamespaceResourceScope);
