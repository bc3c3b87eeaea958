//! The targets of an upstream: where they are, which to take, how they are doing, what they have done.
//!
//! Targets that are names stand for all their addresses; when a name's addresses change the list is made anew,
//! and what is known about an address goes over to the new list.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::balancer::{self, Balancer, Cursor};
use super::dns::{Answer, DnsError, Resolver};
use super::health::{self, Health};
use crate::model::{Protocol, Target, Upstream};
use crate::telemetry::stats::{Stats, TargetStats};

/// A host and port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: Host,
    pub port: u16,
    /// What requests that go there call it.
    pub names: HostNames,
}

/// Values of Host, unless the client's is kept: the port is left out where it goes without saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames {
    clear: Arc<str>,
    tls: Arc<str>,
}

/// An address, or a name that has to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(Arc<str>),
}

/// An upstream and its targets.
pub struct Group {
    pub upstream: Upstream,
    pub checked: bool,
    /// Some targets are names.
    pub has_names: bool,
    targets: Vec<(Endpoint, u32)>,
    /// Names among the targets, each with the addresses that the members were made from.
    names: Mutex<Vec<(Arc<str>, Option<Answer>)>>,
    members: ArcSwap<Members>,
    /// By worker.
    cursors: Arc<[Cursor]>,
    stats: Arc<Stats>,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    Healthy,
    Unhealthy,
    /// Nobody looks.
    Unchecked,
    /// Its name has no address, or nobody has asked yet.
    NoAddress,
}

/// The addresses requests may go to. Places count from 0, alike in all lists.
pub struct Members {
    pub balancer: Balancer,
    pub names: Box<[HostNames]>,
    pub health: Box<[Arc<Health>]>,
    pub stats: Box<[Arc<TargetStats>]>,
}

impl Endpoint {
    pub fn new(host: &str, port: u16) -> Endpoint {
        let host = match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.into()),
        };
        let name = match &host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.to_string(),
        };
        Endpoint { host, port, names: HostNames::new(&name, port) }
    }
}

impl HostNames {
    fn new(host: &str, port: u16) -> HostNames {
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host.to_owned(),
        };
        let of = |protocol: Protocol| -> Arc<str> {
            if port == protocol.default_port() {
                host.as_str().into()
            } else {
                format!("{host}:{port}").into()
            }
        };
        HostNames { clear: of(Protocol::Http), tls: of(Protocol::Https) }
    }

    /// The name for a protocol.
    pub fn over(&self, protocol: Protocol) -> &Arc<str> {
        if protocol.is_tls() { &self.tls } else { &self.clear }
    }
}

impl Group {
    /// Compiles an upstream. What its targets have gone through is taken over from the previous generation.
    pub fn new(upstream: &Upstream, stats: &Arc<Stats>, previous: Option<&Group>) -> Group {
        let targets: Vec<_> = upstream
            .targets
            .iter()
            .map(|target| (Endpoint::new(&target.host, target.port), target.weight))
            .collect();
        let mut names: Vec<Arc<str>> = targets
            .iter()
            .filter_map(|(endpoint, _)| match &endpoint.host {
                Host::Name(name) => Some(Arc::clone(name)),
                Host::Address(_) => None,
            })
            .collect();
        names.sort();
        names.dedup();
        let before = previous.map(|group| group.members.load_full());
        let members = members(upstream, &targets, &HashMap::new(), stats, before.as_deref());
        Group {
            checked: health::is_checked(&upstream.healthchecks),
            has_names: !names.is_empty(),
            upstream: upstream.clone(),
            targets,
            names: Mutex::new(names.into_iter().map(|name| (name, None)).collect()),
            members: ArcSwap::from_pointee(members),
            cursors: match previous {
                Some(previous) => Arc::clone(&previous.cursors),
                None => (0..stats.workers()).map(|_| Cursor::random()).collect(),
            },
            stats: Arc::clone(stats),
        }
    }

    /// The members as they are now; looks names up first, should there be any.
    pub async fn members(&self, resolver: &Resolver) -> Result<Arc<Members>, DnsError> {
        if !self.has_names {
            return Ok(self.members.load_full());
        }
        let names: Vec<Arc<str>> = self.names.lock().iter().map(|(name, _)| Arc::clone(name)).collect();
        let mut answers = HashMap::new();
        for name in names {
            let answer = resolver.lookup(&name).await;
            answers.insert(name, answer);
        }
        let all_failed = answers.len() == self.targets.len() && answers.values().all(Result::is_err);
        if let (true, Some(Err(error))) = (all_failed, answers.values().next()) {
            return Err(error.clone());
        }
        let mut known = self.names.lock();
        let changed = known.iter().any(|(name, answer)| answers.get(name) != answer.as_ref());
        if changed {
            for (name, answer) in known.iter_mut() {
                *answer = answers.get(name).cloned();
            }
            let before = self.members.load();
            let next = members(&self.upstream, &self.targets, &answers, &self.stats, Some(&before));
            self.members.store(Arc::new(next));
        }
        Ok(self.members.load_full())
    }

    /// A worker's turn.
    pub fn cursor(&self, worker: usize) -> &Cursor {
        &self.cursors[worker]
    }

    /// The name under which TLS is spoken with its targets.
    pub fn server_name(&self) -> &str {
        if let Some(host) = &self.upstream.host_header {
            return host;
        }
        match self.targets.first().map(|(endpoint, _)| &endpoint.host) {
            Some(Host::Name(name)) => name,
            _ => &self.upstream.name,
        }
    }

    /// Every target and how its addresses are doing together: one that is available suffices.
    pub fn target_health(&self) -> Vec<(&Target, TargetHealth)> {
        let members = self.members.load();
        let word = |at: usize| {
            let mut available = self.places(&members, at).map(|place| members.health[place].is_available());
            match available.next() {
                None => TargetHealth::NoAddress,
                Some(_) if !self.checked => TargetHealth::Unchecked,
                Some(first) if first || available.any(|is_available| is_available) => TargetHealth::Healthy,
                Some(_) => TargetHealth::Unhealthy,
            }
        };
        self.upstream.targets.iter().enumerate().map(|(at, target)| (target, word(at))).collect()
    }

    /// How each address of each target is doing; a target without any has one line without an address.
    pub fn address_health(&self) -> Vec<(String, Option<SocketAddr>, TargetHealth)> {
        let members = self.members.load();
        let word = |place: usize| match (self.checked, members.health[place].is_available()) {
            (false, _) => TargetHealth::Unchecked,
            (true, true) => TargetHealth::Healthy,
            (true, false) => TargetHealth::Unhealthy,
        };
        let mut lines = Vec::new();
        for (at, target) in self.upstream.targets.iter().enumerate() {
            let before = lines.len();
            for place in self.places(&members, at) {
                let address = members.balancer.endpoints()[place].address;
                lines.push((target.to_string(), Some(address), word(place)));
            }
            if lines.len() == before {
                lines.push((target.to_string(), None, TargetHealth::NoAddress));
            }
        }
        lines
    }

    /// Sets the health of all addresses of a target, given as `host:port`, by hand. Says whether there is such a
    /// target.
    pub fn set_health(&self, target: &str, healthy: bool) -> bool {
        let members = self.members.load();
        let Some(at) = self.upstream.targets.iter().position(|one| one.to_string() == target) else {
            return false;
        };
        for place in self.places(&members, at) {
            members.health[place].set(healthy);
        }
        true
    }

    /// Where the addresses of a target are among the members.
    fn places<'a>(&'a self, members: &'a Members, at: usize) -> impl Iterator<Item = usize> + 'a {
        let (endpoint, _) = &self.targets[at];
        let name: Arc<str> = match &endpoint.host {
            Host::Address(address) => address.to_string().into(),
            Host::Name(name) => Arc::clone(name),
        };
        let endpoints = members.balancer.endpoints().iter().enumerate();
        endpoints
            .filter(move |(_, member)| member.name == name && member.address.port() == endpoint.port)
            .map(|(place, _)| place)
    }

    /// Every address and how it is doing.
    pub fn health(&self) -> Vec<(String, &'static str)> {
        let members = self.members.load();
        let word = |health: &Health| match (self.checked, health.is_available()) {
            (false, _) => "unchecked",
            (true, true) => "healthy",
            (true, false) => "unhealthy",
        };
        let addresses = members.balancer.endpoints().iter().map(|endpoint| endpoint.address.to_string());
        addresses.zip(members.health.iter().map(|health| word(health))).collect()
    }
}

fn members(
    upstream: &Upstream,
    targets: &[(Endpoint, u32)],
    answers: &HashMap<Arc<str>, Answer>,
    stats: &Stats,
    before: Option<&Members>,
) -> Members {
    let mut endpoints = Vec::new();
    for (endpoint, weight) in targets {
        let mut add = |address: IpAddr, name: Arc<str>| {
            let address = SocketAddr::new(address, endpoint.port);
            endpoints.push(balancer::Endpoint { address, weight: *weight, name });
        };
        match &endpoint.host {
            Host::Address(address) => add(*address, address.to_string().into()),
            Host::Name(name) => {
                for address in answers.get(name).into_iter().flatten().flat_map(|found| found.iter()) {
                    add(*address, Arc::clone(name));
                }
            }
        }
    }
    let known: HashMap<_, _> = before
        .map(|before| before.balancer.endpoints().iter().zip(before.health.iter()))
        .into_iter()
        .flatten()
        .map(|(endpoint, health)| ((Arc::clone(&endpoint.name), endpoint.address), health))
        .collect();
    let health = endpoints
        .iter()
        .map(|endpoint| match known.get(&(Arc::clone(&endpoint.name), endpoint.address)) {
            Some(health) => Arc::clone(health),
            None => Arc::default(),
        })
        .collect();
    let names = endpoints
        .iter()
        .map(|endpoint| {
            let named = upstream.host_header.as_deref().unwrap_or(&endpoint.name);
            HostNames::new(named, endpoint.address.port())
        })
        .collect();
    let stats = endpoints.iter().map(|endpoint| stats.target(&endpoint.address.to_string())).collect();
    Members {
        balancer: Balancer::new(upstream, endpoints, before.map(|before| &before.balancer)),
        names,
        health,
        stats,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_host_is_left_out_where_it_goes_without_saying() {
        for (host, port, protocol, expected) in [
            ("a.test", 80, Protocol::Http, "a.test"),
            ("a.test", 80, Protocol::Https, "a.test:80"),
            ("127.0.0.1", 8080, Protocol::Http, "127.0.0.1:8080"),
            ("::1", 8080, Protocol::Http, "[::1]:8080"),
            ("::1", 443, Protocol::Https, "[::1]"),
        ] {
            assert_eq!(&**HostNames::new(host, port).over(protocol), expected);
        }
    }

    #[test]
    fn health_goes_over_to_the_next_generation() {
        let stats = Stats::new(1, 0);
        let mut upstream = Upstream::new(uuid::Uuid::nil(), "u");
        let target = |host: &str| Target { host: host.to_owned(), port: 80, weight: 100 };
        upstream.targets = vec![target("10.0.0.1"), target("10.0.0.2")];
        upstream.healthchecks.passive.rules.tcp_failures = 1;
        let first = Group::new(&upstream, &stats, None);
        first.members.load().health[1].set(false);
        upstream.targets.insert(0, target("10.0.0.3"));
        let second = Group::new(&upstream, &stats, Some(&first));
        let health: HashMap<_, _> = second.health().into_iter().collect();
        assert_eq!(health["10.0.0.2:80"], "unhealthy");
        assert_eq!(health["10.0.0.3:80"], "healthy");
        assert!(second.set_health("10.0.0.2:80", true) && !second.set_health("10.0.0.9:80", true));
        let words: Vec<_> = second.target_health().into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, [TargetHealth::Healthy; 3]);
    }
}
