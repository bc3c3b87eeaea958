//! Which target a request goes to, on the first attempt and on the next.

use std::net::SocketAddr;
use std::sync::Arc;

use admin_api::Reason;
use smallvec::SmallVec;

use super::dns::{DnsError, Resolver};
use super::group::{Endpoint, Group, Host};
use crate::model::Protocol;
use crate::telemetry::stats::TargetStats;

/// A target for one attempt. Counted as busy until it is dropped.
pub struct Target {
    pub address: SocketAddr,
    /// Value of Host, unless the client's is kept.
    pub host_header: String,
    group: Option<(Arc<Group>, usize)>,
    busy: Option<Busy>,
}

/// What has been tried for a request.
#[derive(Default)]
pub struct Tried {
    places: SmallVec<[usize; 4]>,
}

struct Busy {
    stats: Arc<TargetStats>,
    worker: usize,
    failed: bool,
}

/// Why there is no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// None is left that may be used.
    Nobody,
    Name(DnsError),
}

impl Tried {
    /// Remembers that a target has failed.
    pub fn add(&mut self, target: &Target) {
        if let Some((_, place)) = &target.group {
            self.places.push(*place);
        }
    }
}

impl Target {
    /// The host that a service names itself.
    pub async fn direct(endpoint: &Endpoint, protocol: Protocol, resolver: &Resolver) -> Result<Target, NoTarget> {
        let address = address(endpoint, resolver).await?;
        Ok(Target { address, host_header: endpoint.host_header(None, protocol), group: None, busy: None })
    }

    /// One of an upstream's targets.
    pub async fn of_group(
        group: &Arc<Group>,
        protocol: Protocol,
        tried: &Tried,
        resolver: &Resolver,
        worker: usize,
    ) -> Result<Target, NoTarget> {
        let place = group.choose(&tried.places).ok_or(NoTarget::Nobody)?;
        let target = &group.targets[place];
        let address = address(&target.endpoint, resolver).await?;
        target.stats.begin(worker);
        Ok(Target {
            address,
            host_header: target.endpoint.host_header(group.upstream.host_header.as_deref(), protocol),
            group: Some((Arc::clone(group), place)),
            busy: Some(Busy { stats: Arc::clone(&target.stats), worker, failed: false }),
        })
    }

    /// The attempt came to nothing.
    pub fn failed(&mut self, _reason: Reason) {
        if let Some(busy) = &mut self.busy {
            busy.failed = true;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stats.end(self.worker, self.failed);
    }
}

async fn address(endpoint: &Endpoint, resolver: &Resolver) -> Result<SocketAddr, NoTarget> {
    let ip = match &endpoint.host {
        Host::Address(ip) => *ip,
        Host::Name(name) => {
            let addresses = resolver.lookup(name).await.map_err(NoTarget::Name)?;
            // A resolver's answer is never empty.
            *addresses.get(fastrand::usize(..addresses.len().max(1))).ok_or(NoTarget::Nobody)?
        }
    };
    Ok(SocketAddr::new(ip, endpoint.port))
}
