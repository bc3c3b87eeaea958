//! Latency buckets that gateway and dashboard agree on: log-linear, 16 steps per power of two, from 1 µs to
//! about 67 s. The worst error of a value read back is 1/32 of it.
//!
//! The gateway counts into its own atomics with [`bucket_of`]; this type is what travels and what is merged.

use serde::{Deserialize, Serialize};

const STEPS: u64 = 16;
/// Values from here on share the last bucket (2^26 µs, about 67 s).
const LAST_OCTAVE: u32 = 26;

/// How many buckets a full histogram has.
pub const BUCKETS: usize = (LAST_OCTAVE as usize - 4 + 1) * STEPS as usize + 1;

/// The bucket that counts a duration of `micros` microseconds.
#[inline]
pub fn bucket_of(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let octave = micros.ilog2();
    if octave >= LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let step = (micros >> (octave - 4)) - STEPS;
    ((u64::from(octave) - 3) * STEPS + step) as usize
}

/// The middle of a bucket in microseconds: what a count in it is reported as.
pub fn value_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    if bucket as usize >= BUCKETS - 1 {
        return 1 << LAST_OCTAVE;
    }
    let shift = bucket / STEPS - 1;
    let low = (STEPS + bucket % STEPS) << shift;
    low + (1 << shift) / 2
}

/// Counts by bucket, sparse on the wire: `[[bucket, count], …]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(usize, u64)>", into = "Vec<(usize, u64)>")]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS].into(), total: 0 }
    }
}

impl From<Vec<(usize, u64)>> for Histogram {
    fn from(pairs: Vec<(usize, u64)>) -> Self {
        let mut histogram = Histogram::default();
        for (bucket, count) in pairs {
            histogram.add_bucket(bucket, count);
        }
        histogram
    }
}

impl From<Histogram> for Vec<(usize, u64)> {
    fn from(histogram: Histogram) -> Self {
        histogram.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect()
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, micros: u64) {
        self.add_bucket(bucket_of(micros), 1);
    }

    /// Adds `count` to a bucket; a bucket beyond the last counts as the last.
    pub fn add_bucket(&mut self, bucket: usize, count: u64) {
        self.counts[bucket.min(BUCKETS - 1)] += count;
        self.total += count;
    }

    /// Adds another histogram's counts.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// What was counted since `earlier`. A source that restarted (any bucket went back) counts from zero.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        if self.counts.iter().zip(&earlier.counts).any(|(now, then)| now < then) {
            return self.clone();
        }
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now - then).collect();
        Histogram { counts, total: self.total - earlier.total }
    }

    /// All counts, by bucket; [`bucket_of`] and [`value_of`] translate.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration in microseconds below which a share `q` (0 to 1) of all counts lies; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            (*count > 0 && seen >= rank).then(|| value_of(bucket))
        })
    }

    /// The non-empty buckets as (value in µs, count), ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bucket, n)| (value_of(bucket), *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_read_back_within_a_thirty_second_part() {
        for micros in (0..5_000).chain((1..60_000_000).step_by(9_973)) {
            let back = value_of(bucket_of(micros));
            let error = back.abs_diff(micros);
            assert!(error * 32 <= micros.max(32), "{micros} came back as {back}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_ascend_without_gaps() {
        let mut last = 0;
        for micros in 0..300_000 {
            let bucket = bucket_of(micros);
            assert!(bucket == last || bucket == last + 1, "{micros}");
            last = bucket;
        }
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in 1..=15 {
            histogram.record(micros);
        }
        assert_eq!(histogram.quantile(0.0), Some(1));
        assert_eq!(histogram.quantile(0.5), Some(8));
        assert_eq!(histogram.quantile(1.0), Some(15));
    }

    #[test]
    fn since_subtracts_and_survives_a_restart() {
        let mut earlier = Histogram::default();
        earlier.record(10);
        let mut now = earlier.clone();
        now.record(12);
        assert_eq!(now.since(&earlier).total(), 1);
        assert_eq!(earlier.since(&now), earlier);
    }

    #[test]
    fn travels_sparse() {
        let mut histogram = Histogram::default();
        histogram.record(3);
        histogram.record(3);
        let text = serde_json::to_string(&histogram).unwrap();
        assert_eq!(text, "[[3,2]]");
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
    }
}
