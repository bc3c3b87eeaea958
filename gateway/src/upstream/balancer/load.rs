//! What is remembered about an endpoint: requests under way, and how long answers take.
//!
//! Shared by all workers and by successive balancers. Atomic, without locks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Live figures of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Load {
    in_flight: AtomicU32,
    /// A [`Sample`] in one piece.
    latency: AtomicU64,
}

/// A moving average as of some time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    seconds: f32,
    /// Milliseconds; wraps around after seven weeks.
    time: u32,
}

/// Seconds in which the past loses all but 37 % of its weight.
const DECAY: f32 = 10.0;

impl Load {
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// The average in seconds. It fades while nothing is heard, so that a slow endpoint gets another chance.
    pub(super) fn latency(&self, now: u64) -> f32 {
        Sample::unpack(self.latency.load(Relaxed)).moved(0.0, now as u32).seconds
    }

    pub(super) fn observe(&self, seconds: f32, now: u64) {
        let moved = |packed| Some(Sample::unpack(packed).moved(seconds, now as u32).pack());
        // The closure always gives a value, so this can't fail.
        let _ = self.latency.fetch_update(Relaxed, Relaxed, moved);
    }

    /// An idle endpoint as fast as the others on average; as fast as can be when there are none.
    pub(super) fn average<'a>(loads: impl Iterator<Item = &'a Load>) -> Load {
        let samples: Vec<Sample> = loads.map(|load| Sample::unpack(load.latency.load(Relaxed))).collect();
        let sum: f32 = samples.iter().map(|sample| sample.seconds).sum();
        let newest = samples.iter().map(|sample| sample.time).max().unwrap_or(0);
        let average = Sample { seconds: sum / samples.len().max(1) as f32, time: newest };
        Load { in_flight: AtomicU32::new(0), latency: AtomicU64::new(average.pack()) }
    }
}

impl Clone for Load {
    /// The same latency, but nothing under way.
    fn clone(&self) -> Load {
        Load { in_flight: AtomicU32::new(0), latency: AtomicU64::new(self.latency.load(Relaxed)) }
    }
}

impl Sample {
    /// The older the average, the more the new time counts.
    fn moved(self, seconds: f32, now: u32) -> Sample {
        // A clock of another thread may be a little behind.
        let age = now.wrapping_sub(self.time) as i32;
        let age = age.max(0) as f32 / 1000.0;
        let kept = (-age / DECAY).exp();
        Sample { seconds: self.seconds * kept + seconds * (1.0 - kept), time: now }
    }

    fn pack(self) -> u64 {
        u64::from(self.seconds.to_bits()) << 32 | u64::from(self.time)
    }

    fn unpack(packed: u64) -> Sample {
        Sample { seconds: f32::from_bits((packed >> 32) as u32), time: packed as u32 }
    }
}
