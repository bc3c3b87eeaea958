//! Choosing the target for a request.
//!
//! A [`Balancer`] is made once from a list of addresses and then only read; what it remembers about them ([`Load`]) is
//! shared with the balancer that follows it. A worker's own turn is in its [`Cursor`]. Health is asked of the caller,
//! names are resolved elsewhere, and how often a request may be tried again is not decided here.

mod consistent_hash;
mod hash_input;
mod load;
mod round_robin;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use smallvec::SmallVec;

use crate::model::{Algorithm, Upstream};
use consistent_hash::Ring;
use load::Load;
use round_robin::Wheel;

pub use hash_input::{HashInput, hash_input};

/// One address that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// 0 is never chosen.
    pub weight: u32,
    /// The host of its target: a DNS name, or the address itself.
    pub name: Arc<str>,
}

/// The addresses of an upstream, ready to be chosen from.
#[derive(Debug)]
pub struct Balancer {
    endpoints: Box<[Endpoint]>,
    loads: Box<[Arc<Load>]>,
    /// Percent of the weight that must be available, and more than that.
    threshold: f64,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    RoundRobin(Wheel),
    ConsistentHashing(Ring),
    /// The fewest requests under way, this one included.
    LeastConnections,
    /// The lowest moving average of response times.
    Latency,
}

/// Where a worker is in turning. Each worker has one per upstream, which is kept across generations; nobody else
/// writes to it.
#[derive(Debug)]
#[repr(align(64))]
pub struct Cursor(AtomicU32);

/// What one choice is made for.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    pub cursor: &'a Cursor,
    /// From [`hash_input`]; only consistent hashing looks at it.
    pub hash: u32,
    /// The endpoints that this request went to before, in order.
    pub tried: &'a [usize],
    /// Milliseconds of any clock that doesn't go back.
    pub now: u64,
}

/// A request that is with its endpoint, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct InFlight {
    load: Option<Arc<Load>>,
}

impl Balancer {
    /// Takes over what the previous balancer of the same upstream knows about the same endpoints.
    pub fn new(upstream: &Upstream, endpoints: Vec<Endpoint>, previous: Option<&Balancer>) -> Balancer {
        let plan = match upstream.algorithm {
            Algorithm::RoundRobin => Plan::RoundRobin(Wheel::new(&endpoints)),
            Algorithm::ConsistentHashing => Plan::ConsistentHashing(Ring::new(&endpoints, upstream.slots)),
            Algorithm::LeastConnections => Plan::LeastConnections,
            Algorithm::Latency => Plan::Latency,
        };
        let loads = inherit(&endpoints, previous);
        Balancer { endpoints: endpoints.into(), loads, threshold: upstream.healthchecks.threshold, plan }
    }

    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Whether [`Turn::hash`] matters.
    pub fn hashes(&self) -> bool {
        matches!(self.plan, Plan::ConsistentHashing(_))
    }

    /// The place of the endpoint to use. A retry goes to one that was not tried yet, and round again when all were.
    /// `None` when no endpoint is healthy, or not enough of the weight.
    pub fn choose(&self, turn: &Turn<'_>, healthy: impl Fn(usize) -> bool) -> Option<usize> {
        let has_weight = |at: usize| self.endpoints.get(at).is_some_and(|endpoint| endpoint.weight > 0);
        let available = |at: usize| has_weight(at) && healthy(at);
        let none_left = !(0..self.endpoints.len()).any(available);
        if none_left || self.threshold > 0.0 && !self.is_healthy(&healthy) {
            return None;
        }
        let skipped = self.skipped(turn.tried, available);
        let usable = |at: usize| available(at) && !skipped.contains(&at);
        match &self.plan {
            Plan::RoundRobin(wheel) => wheel.choose(turn.cursor, &self.endpoints, usable),
            Plan::ConsistentHashing(ring) => ring.choose(turn.hash, usable),
            Plan::LeastConnections => {
                self.lowest(turn.cursor, usable, |load| f64::from(load.in_flight()) + 1.0)
            }
            Plan::Latency => self.lowest(turn.cursor, usable, |load| f64::from(load.latency(turn.now))),
        }
    }

    /// Whether the upstream as a whole counts as healthy: the share of its weight that is available is above the
    /// threshold. Nothing is chosen when it is not.
    pub fn is_healthy(&self, healthy: impl Fn(usize) -> bool) -> bool {
        let weight = |at: usize| f64::from(self.endpoints[at].weight);
        let all: f64 = (0..self.endpoints.len()).map(weight).sum();
        let left: f64 = (0..self.endpoints.len()).filter(|at| healthy(*at)).map(weight).sum();
        left / all * 100.0 > self.threshold
    }

    /// Says that the request goes to the endpoint now. Writes nothing unless the algorithm needs it.
    pub fn begin(&self, at: usize) -> InFlight {
        let load =
            matches!(self.plan, Plan::LeastConnections | Plan::Latency).then(|| Arc::clone(&self.loads[at]));
        if let Some(load) = &load {
            load.enter();
        }
        InFlight { load }
    }

    /// The usable endpoint with the lowest load per weight. Looking begins behind the last choice and the first of
    /// equals wins, so that ties take turns.
    fn lowest(
        &self,
        cursor: &Cursor,
        usable: impl Fn(usize) -> bool,
        of: impl Fn(&Load) -> f64,
    ) -> Option<usize> {
        let length = self.endpoints.len();
        let start = cursor.start(length)?;
        let places = (start..length).chain(0..start).filter(|at| usable(*at));
        let scored = places.map(|at| (at, of(&self.loads[at]) / f64::from(self.endpoints[at].weight)));
        let (at, _) = scored.reduce(|best, next| if next.1 < best.1 { next } else { best })?;
        cursor.passed(at);
        Some(at)
    }

    /// What this round of attempts went to already. A round has as many attempts as there are endpoints to be had, and
    /// doesn't begin with the one that the last round ended with.
    fn skipped(&self, tried: &[usize], available: impl Fn(usize) -> bool) -> SmallVec<[usize; 8]> {
        if tried.is_empty() {
            return SmallVec::new();
        }
        let round = (0..self.endpoints.len()).filter(|at| available(*at)).count().max(1);
        let tried: SmallVec<[usize; 8]> = tried.iter().copied().filter(|at| available(*at)).collect();
        let begun = tried.len() / round * round;
        let again = round > 1 && begun == tried.len();
        tried[begun.saturating_sub(usize::from(again))..].into()
    }
}

/// The loads of endpoints that were there before, and new ones that begin at the average.
fn inherit(endpoints: &[Endpoint], previous: Option<&Balancer>) -> Box<[Arc<Load>]> {
    let key = |endpoint: &Endpoint| (Arc::clone(&endpoint.name), endpoint.address);
    let known: HashMap<_, &Arc<Load>> = previous
        .map(|previous| previous.endpoints.iter().map(key).zip(previous.loads.iter()).collect())
        .unwrap_or_default();
    let kept = endpoints.iter().filter_map(|endpoint| known.get(&key(endpoint)));
    let average = Load::average(kept.map(|load| &***load));
    endpoints
        .iter()
        .map(|endpoint| match known.get(&key(endpoint)) {
            Some(load) => Arc::clone(load),
            None => Arc::new(average.clone()),
        })
        .collect()
}

impl Cursor {
    /// Workers begin at different places, so that their first requests don't meet at one target.
    pub fn random() -> Cursor {
        Cursor(AtomicU32::new(fastrand::u32(..)))
    }

    /// Where to begin looking among so many places, if there are any.
    fn start(&self, length: usize) -> Option<usize> {
        (self.0.load(Relaxed) as usize).checked_rem(length)
    }

    /// The next look begins behind this place.
    fn passed(&self, place: usize) {
        self.0.store(place as u32 + 1, Relaxed);
    }
}

impl InFlight {
    /// The endpoint answered after this long. An attempt that failed is dropped without a word: it was short for the
    /// wrong reason.
    pub fn answered(&self, took: Duration, now: u64) {
        if let Some(load) = &self.load {
            load.observe(took.as_secs_f32(), now);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(load) = &self.load {
            load.leave();
        }
    }
}

#[cfg(test)]
mod tests;
