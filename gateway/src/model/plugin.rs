//! Which plugin runs, with which checked settings, and for which requests.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Origin, Protocol};

/// One configured plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plugin {
    pub id: Uuid,
    /// A name of the plugin registry.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    pub enabled: bool,
    /// Settings that passed the plugin's schema, defaults filled in.
    pub config: Value,
    pub protocols: Vec<Protocol>,
    #[serde(flatten)]
    pub scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Why the settings can't be used. Requests in its scope are then refused with 500: a plugin that
    /// guards something must not be skipped because of a typo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// What a plugin applies to; nothing set means every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Scope {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub route: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub service: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub consumer: Option<Uuid>,
}
