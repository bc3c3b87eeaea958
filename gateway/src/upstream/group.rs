//! The targets of an upstream, compiled: where they are, how they are doing, what they have done.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Protocol, Upstream};
use crate::telemetry::stats::{Stats, TargetStats};

/// A host and port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: Host,
    pub port: u16,
}

/// An address, or a name that has to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(Arc<str>),
}

/// An upstream and its targets, in the model's order.
pub struct Group {
    pub upstream: Upstream,
    pub targets: Box<[GroupTarget]>,
    next: AtomicUsize,
}

/// One target.
pub struct GroupTarget {
    pub endpoint: Endpoint,
    pub stats: Arc<TargetStats>,
}

impl Endpoint {
    pub fn new(host: &str, port: u16) -> Endpoint {
        let host = match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.into()),
        };
        Endpoint { host, port }
    }

    /// Value of Host for requests that go there over a protocol: the port is left out where it goes without saying.
    pub fn host_header(&self, named: Option<&str>, protocol: Protocol) -> String {
        let host = match (named, &self.host) {
            (Some(named), _) => named.to_owned(),
            (None, Host::Address(IpAddr::V6(address))) => format!("[{address}]"),
            (None, Host::Address(IpAddr::V4(address))) => address.to_string(),
            (None, Host::Name(name)) => name.to_string(),
        };
        if self.port == protocol.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Address(address) => std::net::SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Group {
    /// Compiles an upstream. What its targets have gone through is taken over from the previous generation.
    pub fn new(upstream: &Upstream, stats: &Stats, _previous: Option<&Group>) -> Group {
        let targets = upstream
            .targets
            .iter()
            .filter(|target| target.weight > 0)
            .map(|target| {
                let endpoint = Endpoint::new(&target.host, target.port);
                GroupTarget { stats: stats.target(&endpoint.to_string()), endpoint }
            })
            .collect();
        Group { upstream: upstream.clone(), targets, next: AtomicUsize::new(0) }
    }

    /// The name under which TLS is spoken with its targets.
    pub fn server_name(&self) -> &str {
        if let Some(host) = &self.upstream.host_header {
            return host;
        }
        match self.targets.first().map(|target| &target.endpoint.host) {
            Some(Host::Name(name)) => name,
            _ => &self.upstream.name,
        }
    }

    /// Every target's address and how it is doing.
    pub fn health(&self) -> impl Iterator<Item = (String, &'static str)> + '_ {
        self.targets.iter().map(|target| (target.endpoint.to_string(), "unchecked"))
    }

    /// Places of targets in order of preference, without those that were tried.
    pub fn choose(&self, tried: &[usize]) -> Option<usize> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.targets.len();
        let mut places = (0..count).map(|step| (start + step) % count);
        places.clone().find(|place| !tried.contains(place)).or_else(|| places.next())
    }
}
