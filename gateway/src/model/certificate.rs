//! A certificate chain, its key, and the names it serves.

use serde::Serialize;
use uuid::Uuid;

use super::{Origin, Secret};

/// One certificate. PEM that parses, with a key that fits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    pub id: Uuid,
    /// PEM, leaf first.
    pub cert: String,
    /// PEM.
    pub key: Secret,
    /// Server names: exact, with one wildcard label at an end, or `*` for the default certificate.
    pub snis: Vec<String>,
    #[serde(skip)]
    pub origin: Option<Origin>,
}
