//! Which address a request goes to, on the first attempt and on the next, and what becomes known of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin_api::Reason;
use smallvec::SmallVec;

use super::balancer::{Cursor, InFlight, Turn, hash_input};
use super::dns::{DnsError, Resolver};
use super::group::{Endpoint, Group, Host, Members};
use super::health::Sign;
use crate::exchange::Exchange;
use crate::http::name::Name;
use crate::model::Protocol;

/// An address for one attempt. Counted as busy until it is dropped.
pub struct Target {
    pub address: SocketAddr,
    /// Value of Host, unless the client's is kept.
    pub host_header: Arc<str>,
    member: Option<Member>,
}

/// What is known about the choice for one request.
#[derive(Default)]
pub struct Tried {
    /// Places mean these members, even if the list has changed since.
    members: Option<Arc<Members>>,
    places: SmallVec<[usize; 4]>,
    hash: u32,
}

/// What choosing needs of the worker.
#[derive(Clone, Copy)]
pub struct Chooser<'a> {
    pub resolver: &'a Resolver,
    pub cursor: &'a Cursor,
    /// Index of the worker.
    pub worker: usize,
    /// Milliseconds of a clock that doesn't go back.
    pub now_ms: u64,
}

/// Why there is no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// None is left that may be used.
    Nobody,
    Name(DnsError),
}

/// A member of a group that is being tried.
struct Member {
    group: Arc<Group>,
    members: Arc<Members>,
    place: usize,
    worker: usize,
    in_flight: InFlight,
    failed: bool,
}

impl Tried {
    /// Remembers that a target has failed.
    pub fn add(&mut self, target: &Target) {
        if let Some(member) = &target.member {
            self.places.push(member.place);
        }
    }
}

impl Target {
    /// The host that a service names itself.
    pub async fn direct(
        endpoint: &Endpoint,
        protocol: Protocol,
        resolver: &Resolver,
    ) -> Result<Target, NoTarget> {
        let address = match &endpoint.host {
            Host::Address(address) => *address,
            Host::Name(name) => {
                let found = resolver.lookup(name).await.map_err(NoTarget::Name)?;
                // A resolver's answer is never empty.
                let pick = fastrand::usize(..found.len().max(1));
                *found.get(pick).ok_or(NoTarget::Nobody)?
            }
        };
        Ok(Target {
            address: SocketAddr::new(address, endpoint.port),
            host_header: Arc::clone(endpoint.names.over(protocol)),
            member: None,
        })
    }

    /// One of an upstream's targets.
    pub async fn of_group(
        group: &Arc<Group>,
        protocol: Protocol,
        exchange: &mut Exchange,
        tried: &mut Tried,
        chooser: Chooser<'_>,
    ) -> Result<Target, NoTarget> {
        let members = match &tried.members {
            Some(members) => Arc::clone(members),
            None => {
                let members = group.members(chooser.resolver).await.map_err(NoTarget::Name)?;
                if members.balancer.hashes() {
                    let input = hash_input(&group.upstream, exchange);
                    tried.hash = input.hash;
                    if let Some(cookie) = input.set_cookie {
                        exchange.on_response.append(Name::SetCookie, cookie);
                    }
                }
                tried.members = Some(Arc::clone(&members));
                members
            }
        };
        let turn =
            Turn { cursor: chooser.cursor, hash: tried.hash, tried: &tried.places, now: chooser.now_ms };
        let healthy = |place: usize| !group.checked || members.health[place].is_available();
        let place = members.balancer.choose(&turn, healthy).ok_or(NoTarget::Nobody)?;
        let endpoint = &members.balancer.endpoints()[place];
        members.stats[place].begin(chooser.worker);
        Ok(Target {
            address: endpoint.address,
            host_header: Arc::clone(members.names[place].over(protocol)),
            member: Some(Member {
                in_flight: members.balancer.begin(place),
                group: Arc::clone(group),
                place,
                worker: chooser.worker,
                failed: false,
                members,
            }),
        })
    }

    /// The attempt came to nothing.
    pub fn failed(&mut self, reason: Reason) {
        let Some(member) = &mut self.member else { return };
        let sign = match reason {
            Reason::ConnectTimeout | Reason::UpstreamTimeout => Sign::Timeout,
            Reason::UpstreamInvalid => Sign::InvalidAnswer,
            Reason::ConnectFailed | Reason::TlsFailed | Reason::UpstreamReset | Reason::UpstreamTruncated => {
                Sign::TcpFailure
            }
            // Not the target's fault.
            _ => return,
        };
        member.failed = true;
        member.record(sign);
    }

    /// The target has answered after so long.
    pub fn answered(&self, status: u16, took: Duration, now_ms: u64) {
        if let Some(member) = &self.member {
            member.in_flight.answered(took, now_ms);
            member.record(Sign::Status(status));
        }
    }
}

impl Member {
    fn record(&self, sign: Sign) {
        if !self.group.checked {
            return;
        }
        let rules = &self.group.upstream.healthchecks.passive.rules;
        if let Some(change) = self.members.health[self.place].record(sign, rules) {
            let address = self.members.balancer.endpoints()[self.place].address;
            tracing::info!(upstream = self.group.upstream.name, %address, "target {change:?} by its traffic");
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.members.stats[self.place].end(self.worker, self.failed);
    }
}
