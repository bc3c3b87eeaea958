//! Latency counts of one stretch of time, kept sparse: a second of one route touches a few dozen of the
//! feed's buckets, and thousands of such seconds are held at once.

use admin_api::Histogram;
use admin_api::histogram::value_of;

/// Counts by bucket, ascending, without empty buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: Vec<(u16, u64)>,
    total: u64,
}

impl Latencies {
    /// What `later` counted since `earlier`. A bucket that went back means the source began anew, and then all of
    /// `later` is new.
    pub fn between(earlier: Option<&Histogram>, later: &Histogram) -> Latencies {
        let now = later.counts();
        let before = earlier.map(Histogram::counts).filter(|then| now.iter().zip(*then).all(|(n, t)| n >= t));
        let counts = now
            .iter()
            .enumerate()
            .map(|(bucket, count)| (bucket as u16, count - before.map_or(0, |then| then[bucket])))
            .filter(|(_, count)| *count > 0)
            .collect();
        Latencies::from_counts(counts)
    }

    fn from_counts(counts: Vec<(u16, u64)>) -> Latencies {
        let total = counts.iter().map(|(_, count)| count).sum();
        Latencies { counts, total }
    }

    /// Adds another stretch of time.
    pub fn add(&mut self, other: &Latencies) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        self.total += other.total;
        let mut missing = Vec::new();
        let mut mine = 0;
        for &(bucket, count) in &other.counts {
            while self.counts.get(mine).is_some_and(|(have, _)| *have < bucket) {
                mine += 1;
            }
            match self.counts.get_mut(mine) {
                Some((have, sum)) if *have == bucket => *sum += count,
                _ => missing.push((bucket, count)),
            }
        }
        if !missing.is_empty() {
            self.counts.append(&mut missing);
            // The stable sort merges two sorted runs in one pass.
            self.counts.sort_by_key(|(bucket, _)| *bucket);
        }
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration in microseconds below which a share `q` (0 to 1) of all counts lies; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().find_map(|&(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| value_of(usize::from(bucket)))
        })
    }

    /// The counts as (value in µs, count), ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().map(|&(bucket, count)| (value_of(usize::from(bucket)), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in micros {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn agrees_with_the_dense_form() {
        let earlier = histogram(&[3, 90, 90, 4_000]);
        let mut later = earlier.clone();
        for micros in [1, 90, 250, 70_000, 9_000_000] {
            later.record(micros);
        }
        let sparse = Latencies::between(Some(&earlier), &later);
        let dense = later.since(&earlier);
        assert_eq!(sparse.total(), dense.total());
        assert_eq!(sparse.iter().collect::<Vec<_>>(), dense.iter().collect::<Vec<_>>());
        for q in [0.0, 0.1, 0.5, 0.95, 0.99, 1.0] {
            assert_eq!(sparse.quantile(q), dense.quantile(q), "{q}");
        }
    }

    #[test]
    fn adding_in_any_order_is_counting_all_at_once() {
        let parts = [vec![5, 5, 700], vec![], vec![1, 5, 40_000], vec![700, 2_000_000]];
        let mut forward = Latencies::default();
        let mut backward = Latencies::default();
        for part in &parts {
            forward.add(&Latencies::between(None, &histogram(part)));
        }
        for part in parts.iter().rev() {
            backward.add(&Latencies::between(None, &histogram(part)));
        }
        assert_eq!(forward, Latencies::between(None, &histogram(&parts.concat())));
        assert_eq!(forward, backward);
    }

    #[test]
    fn a_source_that_began_anew_counts_from_zero() {
        let earlier = histogram(&[5, 5, 5]);
        let later = histogram(&[5, 80]);
        assert_eq!(Latencies::between(Some(&earlier), &later), Latencies::between(None, &later));
    }
}
