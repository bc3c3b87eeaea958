//! Where a route leads: an upstream or a host, how to talk to it, and within which times.

use serde::Serialize;
use uuid::Uuid;

use super::{Origin, Protocol};

/// A Kong service. Its `host` is the name of an [`Upstream`](super::Upstream), else an address or a DNS name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    pub id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub protocol: Protocol,
    pub host: String,
    pub port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Further attempts after the first one failed.
    pub retries: u16,
    /// Milliseconds, as the next two.
    pub connect_timeout: u32,
    pub write_timeout: u32,
    pub read_timeout: u32,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_verify: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_verify_depth: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub client_certificate: Option<Uuid>,
    /// Ids of [`CaCertificate`](super::CaCertificate)s to verify against; the system's when absent, nothing is
    /// trusted when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<Vec<Uuid>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    #[serde(skip)]
    pub origin: Option<Origin>,
}

impl Service {
    /// Kong's defaults for everything but id and host.
    pub fn new(id: Uuid, host: impl Into<String>) -> Service {
        Service {
            id,
            name: None,
            protocol: Protocol::Http,
            host: host.into(),
            port: 80,
            path: None,
            retries: 5,
            connect_timeout: 60_000,
            write_timeout: 60_000,
            read_timeout: 60_000,
            enabled: true,
            tls_verify: None,
            tls_verify_depth: None,
            client_certificate: None,
            ca_certificates: None,
            tags: None,
            created_at: 0,
            updated_at: 0,
            origin: None,
        }
    }
}
