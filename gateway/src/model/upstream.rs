//! A named set of targets, how to choose among them, and how their health is judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Origin;

/// A Kong upstream with its targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Upstream {
    pub id: Uuid,
    /// What a service's `host` names.
    pub name: String,
    pub algorithm: Algorithm,
    pub hash_on: HashOn,
    pub hash_fallback: HashOn,
    /// Points on the hashing ring.
    pub slots: u32,
    /// Path of the cookie that `HashOn::Cookie` issues.
    pub hash_on_cookie_path: String,
    /// Sent as Host unless the route keeps the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_header: Option<String>,
    pub healthchecks: HealthChecks,
    pub targets: Vec<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Unix seconds.
    pub created_at: i64,
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// One address requests may go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Target {
    /// An IP address (IPv6 without brackets) or a DNS name, which stands for all its addresses.
    pub host: String,
    pub port: u16,
    /// 0 takes it out of use.
    pub weight: u32,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    #[default]
    RoundRobin,
    ConsistentHashing,
    LeastConnections,
    Latency,
}

/// What consistent hashing hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    #[default]
    None,
    Consumer,
    Ip,
    Header(String),
    Cookie(String),
    Path,
    QueryArg(String),
    UriCapture(String),
}

/// Active and passive checks. Zero switches a check off, as in Kong.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HealthChecks {
    /// Percent of the weight that must be available for the upstream to count as healthy.
    pub threshold: f64,
    pub active: ActiveChecks,
    pub passive: PassiveChecks,
}

/// Probing of every target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActiveChecks {
    pub kind: ProbeKind,
    pub http_path: String,
    /// Seconds, as the intervals.
    pub timeout: f64,
    pub concurrency: u32,
    pub https_verify_certificate: bool,
    pub https_sni: Option<String>,
    pub headers: BTreeMap<String, Vec<String>>,
    pub healthy_interval: f64,
    pub unhealthy_interval: f64,
    pub rules: HealthRules,
}

/// Judging targets by the traffic that goes to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PassiveChecks {
    pub kind: ProbeKind,
    pub rules: HealthRules,
}

/// How many of what change a target's state; 0 never does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthRules {
    pub healthy_statuses: Vec<u16>,
    pub successes: u8,
    pub unhealthy_statuses: Vec<u16>,
    pub tcp_failures: u8,
    pub timeouts: u8,
    pub http_failures: u8,
}

/// What counts as an answer to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    #[default]
    Http,
    Https,
    Tcp,
    Grpc,
    Grpcs,
}

impl Upstream {
    /// Kong's defaults for everything but id and name.
    pub fn new(id: Uuid, name: impl Into<String>) -> Upstream {
        Upstream {
            id,
            name: name.into(),
            algorithm: Algorithm::RoundRobin,
            hash_on: HashOn::None,
            hash_fallback: HashOn::None,
            slots: 10_000,
            hash_on_cookie_path: "/".to_owned(),
            host_header: None,
            healthchecks: HealthChecks::default(),
            targets: Vec::new(),
            tags: None,
            created_at: 0,
            origin: None,
        }
    }
}

impl std::fmt::Display for Target {
    /// `host:port`, as Kong writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Default for ActiveChecks {
    fn default() -> Self {
        ActiveChecks {
            kind: ProbeKind::Http,
            http_path: "/".to_owned(),
            timeout: 1.0,
            concurrency: 10,
            https_verify_certificate: true,
            https_sni: None,
            headers: BTreeMap::new(),
            healthy_interval: 0.0,
            unhealthy_interval: 0.0,
            rules: HealthRules {
                healthy_statuses: vec![200, 302],
                successes: 0,
                unhealthy_statuses: vec![429, 404, 500, 501, 502, 503, 504, 505],
                tcp_failures: 0,
                timeouts: 0,
                http_failures: 0,
            },
        }
    }
}

impl Default for PassiveChecks {
    fn default() -> Self {
        let healthy = (200..=208).chain([226]).chain(300..=308).collect();
        PassiveChecks {
            kind: ProbeKind::Http,
            rules: HealthRules {
                healthy_statuses: healthy,
                successes: 0,
                unhealthy_statuses: vec![429, 500, 503],
                tcp_failures: 0,
                timeouts: 0,
                http_failures: 0,
            },
        }
    }
}
