//! By turn, weighted: a wheel on which every endpoint has as many places as its weight says, spread evenly.

use super::{Cursor, Endpoint};

/// Places with endpoints in them. The worker's cursor goes round.
#[derive(Debug)]
pub(super) struct Wheel {
    places: Box<[u32]>,
}

/// Above this many places weights are rounded.
const LARGEST: u64 = 1 << 16;

/// After this many places without a usable endpoint the weights decide directly.
const PATIENCE: usize = 64;

impl Wheel {
    pub(super) fn new(endpoints: &[Endpoint]) -> Wheel {
        let weights = || endpoints.iter().map(|endpoint| u64::from(endpoint.weight));
        let divisor = weights().fold(0, greatest_common_divisor).max(1);
        let total: u64 = weights().sum::<u64>() / divisor;
        let places_of = |weight: u64| match weight / divisor {
            0 => 0,
            share if total <= LARGEST => share,
            share => (share * LARGEST / total).max(1),
        };
        let mut places = Vec::new();
        for (at, weight) in weights().enumerate() {
            let count = places_of(weight);
            // The middle of the n-th of `count` equal stretches of the wheel.
            places.extend((0..count).map(|n| (((2 * n + 1) << 32) / (2 * count), at as u32)));
        }
        places.sort_unstable();
        Wheel { places: places.into_iter().map(|(_, at)| at).collect() }
    }

    pub(super) fn choose(
        &self,
        cursor: &Cursor,
        endpoints: &[Endpoint],
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let length = self.places.len();
        let start = cursor.start(length)?;
        for step in 0..length.min(PATIENCE) {
            let place = (start + step) % length;
            let at = self.places[place] as usize;
            if usable(at) {
                cursor.passed(place);
                return Some(at);
            }
        }
        cursor.passed(start);
        if length <= PATIENCE { None } else { by_weight(start, endpoints, usable) }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The endpoint at a point of all usable weight. Consecutive turns give points that are spread evenly.
fn by_weight(turn: usize, endpoints: &[Endpoint], usable: impl Fn(usize) -> bool) -> Option<usize> {
    const GOLDEN: u32 = 0x9E37_79B9;
    let weights = || endpoints.iter().enumerate().filter(|(at, _)| usable(*at));
    let total: u64 = weights().map(|(_, endpoint)| u64::from(endpoint.weight)).sum();
    let mut point = (u64::from((turn as u32).wrapping_mul(GOLDEN)) * total) >> 32;
    for (at, endpoint) in weights() {
        match point.checked_sub(u64::from(endpoint.weight)) {
            Some(rest) => point = rest,
            None => return Some(at),
        }
    }
    None
}
