//! How many requests each key has made in each of its windows: one store for the whole process, which
//! outlives configurations.
//!
//! Checking and counting happen under one lock over all windows of a key, so a limit of N admits exactly N
//! whatever the concurrency, and a refused request counts nowhere. The clock is read under that lock: two
//! requests at the edge of a window can't disagree about which window they are in.
//!
//! Memory is bounded: an entry has a fixed size and a shard a greatest number of entries. A shard that is
//! full drops entries whose windows are over; are there none, it drops, out of a few taken at random, the one
//! that has counted least, and counts that. A key that was dropped starts again at zero, so those who flood
//! the store with new keys push out each other, and keys near their limit stay.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::window::Period;
use crate::clock::Clock;
use crate::model::Scope;

const SHARDS: usize = 64;
/// Of a shard. Half of what 8,192 buckets take, so that a full table makes good its gaps in place instead of
/// growing. All shards together: 229,376 keys, 58 MiB.
const ENTRIES: usize = 3_584;
/// How many entries compete for being dropped from a full shard.
const SAMPLE: usize = 8;

/// The store.
pub struct Counters {
    shards: Box<[Shard]>,
    hasher: RandomState,
    dropped: AtomicU64,
    clock: Clock,
}

/// Who is counted, where: 16 bytes for the scope, then a mark of what kind of identifier follows and its
/// length, then the identifier, or the start of its SHA-256 should it be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; Key::SIZE]);

/// The first part of a key: what the plugin instance applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeKey([u8; 16]);

/// Kinds of identifiers. They never share a counter, even when they read the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Address,
    Consumer,
    Credential,
    Service,
    Header,
    Path,
}

/// Limits by period, shortest first.
pub type Limits = SmallVec<[(Period, f64); 2]>;

/// What was counted before this request, and what that means for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Unix time in seconds at which it was judged.
    pub at: u32,
    /// By period; 0 for those without a limit.
    pub before: [u64; 6],
    /// A period whose limit is used up: the request is refused and was not counted.
    pub stopped_by: Option<Period>,
}

#[repr(align(64))]
struct Shard(Mutex<Table>);

struct Table {
    entries: HashTable<Entry>,
    /// When the last search for ended windows was, in Unix seconds.
    swept: u32,
}

struct Entry {
    key: Key,
    /// Unix seconds.
    starts: [u32; 6],
    counts: [u64; 6],
}

impl Counters {
    pub fn new(clock: Clock) -> Counters {
        let shard = || Shard(Mutex::new(Table { entries: HashTable::new(), swept: 0 }));
        Counters {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::default(),
            dropped: AtomicU64::new(0),
            clock,
        }
    }

    /// Counts the request in all its windows if every limit has room for it, else in none.
    pub fn admit(&self, key: &Key, limits: &[(Period, f64)]) -> Usage {
        let hash = self.hasher.hash_one(key);
        // The table picks buckets by the low bits and tells entries apart by the top ones.
        let mut table = self.shards[(hash >> 32) as usize % SHARDS].0.lock();
        let now = self.clock.unix().as_secs() as u32;
        let entry = table.entry(key, hash, now, &self.hasher, &self.dropped);
        entry.admit(limits, now)
    }

    /// How many keys were forgotten before their windows were over, because the store was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many keys are kept now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().entries.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    fn entry(
        &mut self,
        key: &Key,
        hash: u64,
        now: u32,
        hasher: &RandomState,
        dropped: &AtomicU64,
    ) -> &mut Entry {
        let full = self.entries.len() == self.entries.capacity() || self.entries.len() >= ENTRIES;
        if full && self.entries.find(hash, |entry| entry.key == *key).is_none() {
            self.make_room(now, dropped);
        }
        let found = self.entries.entry(hash, |entry| entry.key == *key, |entry| hasher.hash_one(entry.key));
        match found {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(Entry { key: *key, starts: [0; 6], counts: [0; 6] }).into_mut(),
        }
    }

    /// Called before the table would grow: what is over goes first, so that it grows for live keys only.
    fn make_room(&mut self, now: u32, dropped: &AtomicU64) {
        let largest = self.entries.len() >= ENTRIES;
        if !largest || self.swept != now {
            self.swept = now;
            self.entries.retain(|entry| entry.lives(now));
        }
        if self.entries.len() >= ENTRIES {
            self.drop_one(now);
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drop_one(&mut self, now: u32) {
        let buckets = self.entries.num_buckets();
        let mut least = None;
        let mut seen = 0;
        while seen < SAMPLE {
            let bucket = fastrand::usize(..buckets);
            let Some(entry) = self.entries.get_bucket(bucket) else { continue };
            seen += 1;
            let weight = entry.weight(now);
            if least.is_none_or(|(lightest, _)| weight < lightest) {
                least = Some((weight, bucket));
            }
        }
        if let Some((_, bucket)) = least
            && let Ok(entry) = self.entries.get_bucket_entry(bucket)
        {
            entry.remove();
        }
    }
}

impl Entry {
    fn admit(&mut self, limits: &[(Period, f64)], now: u32) -> Usage {
        let mut usage = Usage { at: now, before: [0; 6], stopped_by: None };
        for (period, limit) in limits {
            let used = self.count(*period, now);
            usage.before[*period as usize] = used;
            if limit - used as f64 <= 0.0 {
                usage.stopped_by = Some(*period);
            }
        }
        if usage.stopped_by.is_none() {
            for (period, _) in limits {
                self.counts[*period as usize] += 1;
            }
        }
        usage
    }

    /// What has been counted in the window that is now.
    fn count(&mut self, period: Period, now: u32) -> u64 {
        let start = period.start(now);
        let kept = &mut self.starts[period as usize];
        // A wall clock that steps back a little goes on counting in the window it came from, lest the same
        // requests be admitted twice. One that was wrong by more than a window starts anew.
        let stepped_back = start < *kept && *kept - start <= period.longest();
        if *kept != start && !stepped_back {
            *kept = start;
            self.counts[period as usize] = 0;
        }
        self.counts[period as usize]
    }

    fn lives(&self, now: u32) -> bool {
        self.weight(now) > 0
    }

    /// The most it has counted in a window that is not over.
    fn weight(&self, now: u32) -> u64 {
        let live = Period::ALL.into_iter().filter(|period| {
            let start = self.starts[*period as usize];
            now < start.saturating_add(period.longest())
        });
        live.map(|period| self.counts[period as usize]).max().unwrap_or_default()
    }
}

impl Key {
    const SIZE: usize = 40;
    const PLACE: usize = 18;
    /// Longest identifier that is kept as it is.
    const ROOM: usize = Self::SIZE - Self::PLACE;
    /// Stands where the length does when the rest is a digest.
    const DIGEST: u8 = u8::MAX;

    pub fn new(scope: ScopeKey, kind: Kind, identifier: &[u8]) -> Key {
        let mut bytes = [0; Self::SIZE];
        bytes[..16].copy_from_slice(&scope.0);
        bytes[16] = kind as u8;
        if identifier.len() <= Self::ROOM {
            bytes[17] = identifier.len() as u8;
            bytes[Self::PLACE..][..identifier.len()].copy_from_slice(identifier);
        } else {
            bytes[17] = Self::DIGEST;
            let digest = digest::digest(&digest::SHA256, identifier);
            bytes[Self::PLACE..].copy_from_slice(&digest.as_ref()[..Self::ROOM]);
        }
        Key(bytes)
    }
}

impl ScopeKey {
    /// Two instances with the same scope share counters, from one configuration to the next.
    pub fn of(scope: Scope) -> ScopeKey {
        let mut ids = [0; 48];
        for (place, id) in ids.chunks_exact_mut(16).zip([scope.route, scope.service, scope.consumer]) {
            place.copy_from_slice(id.unwrap_or_default().as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&digest::digest(&digest::SHA256, &ids).as_ref()[..16]);
        ScopeKey(key)
    }
}

#[cfg(test)]
mod tests;
