//! A certificate authority that upstreams may be verified against.

use serde::Serialize;
use uuid::Uuid;

use super::Origin;

/// One certificate of an authority. PEM that parses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaCertificate {
    pub id: Uuid,
    /// PEM.
    pub cert: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip)]
    pub origin: Option<Origin>,
}
