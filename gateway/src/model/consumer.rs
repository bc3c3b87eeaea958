//! Who may call, with which credentials and groups.

use serde::Serialize;
use uuid::Uuid;

use super::{Origin, Secret};

/// A Kong consumer with what identifies it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Consumer {
    pub id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// ACL groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// One credential of a consumer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Credential {
    pub id: Uuid,
    #[serde(flatten)]
    pub kind: CredentialKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// What a credential consists of, by the plugin that reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum CredentialKind {
    KeyAuth { key: Secret },
    BasicAuth { username: String, password: Secret },
    Jwt { key: String, algorithm: String, secret: Secret, rsa_public_key: Option<String> },
}
