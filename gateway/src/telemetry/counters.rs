//! Counters that one worker writes and anybody reads: an addition is a load and a store, never a locked
//! instruction, and no two workers write to the same cache line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use admin_api::Histogram;
use admin_api::histogram::{BUCKETS, bucket_of};

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

/// Durations by bucket, with one writer. Takes memory at the first one.
#[derive(Debug, Default)]
pub struct Durations(OnceLock<Box<[Tally]>>);

impl Tally {
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    #[inline]
    pub fn subtract(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(amount), Ordering::Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Durations {
    #[inline]
    pub fn record(&self, micros: u64) {
        let buckets = self.0.get_or_init(|| std::iter::repeat_with(Tally::default).take(BUCKETS).collect());
        buckets[bucket_of(micros)].add(1);
    }

    /// Adds what was counted to a histogram.
    pub fn merge_into(&self, histogram: &mut Histogram) {
        for (bucket, count) in self.0.get().into_iter().flat_map(|buckets| buckets.iter().enumerate()) {
            let count = count.get();
            if count > 0 {
                histogram.add_bucket(bucket, count);
            }
        }
    }
}
