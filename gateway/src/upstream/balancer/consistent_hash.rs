//! The same key to the same target: Kong's ring, point for point, so that a fleet in which some instances are Kong's
//! agrees on where a key goes.

use std::net::IpAddr;

use xxhash_rust::xxh32::xxh32;

use super::Endpoint;

/// Points on a circle that belong to endpoints.
#[derive(Debug)]
pub(super) struct Ring {
    size: u32,
    /// The occupied points in order, with the endpoint's place.
    points: Box<[(u32, u32)]>,
}

const SMALLEST: u32 = 1000;

/// What an endpoint of average weight gets.
const POINTS: f64 = 160.0;

const FREE: u32 = u32::MAX;

/// What is hashed to a point of the ring.
pub(super) fn hash(value: &[u8]) -> u32 {
    xxh32(value, 0)
}

impl Ring {
    pub(super) fn new(endpoints: &[Endpoint], slots: u32) -> Ring {
        let mut size = slots.max(SMALLEST);
        loop {
            // Where Kong's ring is too small for its targets it stays empty. Ours grows.
            if let Some(points) = place(endpoints, size) {
                return Ring { size, points };
            }
            size *= 2;
        }
    }

    /// The nearest usable point at or below the hash, going round.
    pub(super) fn choose(&self, hash: u32, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let point = hash % self.size;
        let (below, above) = self.points.split_at(self.points.partition_point(|(at, _)| *at <= point));
        below.iter().rev().chain(above.iter().rev()).map(|(_, at)| *at as usize).find(|at| usable(*at))
    }
}

/// `None` when an endpoint finds no free points.
fn place(endpoints: &[Endpoint], size: u32) -> Option<Box<[(u32, u32)]>> {
    let targets = count_targets(endpoints) as f64;
    let total: f64 = endpoints.iter().map(|endpoint| f64::from(endpoint.weight)).sum();
    let mut owners = vec![FREE; size as usize];
    for at in in_order(endpoints) {
        let Endpoint { address, weight, .. } = &endpoints[at];
        let share = (f64::from(*weight) / total * targets * POINTS).floor() as u32;
        let mut wanted = if *weight > 0 { share.max(1) } else { 0 };
        let mut number = 1;
        while number <= wanted {
            let text = format!("{}::{} {number}", Bracketed(address.ip()), address.port());
            let owner = &mut owners[(hash(text.as_bytes()) % size) as usize];
            if *owner == FREE {
                *owner = at as u32;
            } else {
                wanted += 1;
            }
            number += 1;
            if number > size {
                return None;
            }
        }
    }
    let points = (0..).zip(owners).filter(|(_, owner)| *owner != FREE);
    Some(points.collect())
}

/// Endpoints that share name and port are addresses of one target.
fn count_targets(endpoints: &[Endpoint]) -> usize {
    let mut targets: Vec<_> =
        endpoints.iter().map(|endpoint| (&endpoint.name, endpoint.address.port())).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.len()
}

/// Collisions depend on the order: by target, then by address as text.
fn in_order(endpoints: &[Endpoint]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..endpoints.len()).collect();
    order.sort_by_cached_key(|at| {
        let Endpoint { address, name, .. } = &endpoints[*at];
        (name.clone(), address.port(), format!("{}:{}", Bracketed(address.ip()), address.port()))
    });
    order
}

/// An address as Kong writes it.
struct Bracketed(IpAddr);

impl std::fmt::Display for Bracketed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "[{address}]"),
        }
    }
}
