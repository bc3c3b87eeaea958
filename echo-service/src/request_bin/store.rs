//! The bins and their entries, within bounds. What has to go is the oldest,
//! and each bin, and the store, count what went.

use std::{collections::VecDeque, sync::Arc};

use http::Response;
use indexmap::IndexMap;
use parking_lot::Mutex;
use serde::Serialize;

use super::{
    Limits,
    control::Canned,
    har::Entry,
    outage::{Outage, Remaining},
};
use crate::{
    behaviour::Behaviour,
    body::{self, Body},
};

pub(super) struct Store {
    limits: Limits,
    shelf: Mutex<Shelf>,
}

/// Everything under the lock. Bins stand in the order they were last written to.
#[derive(Default)]
struct Shelf {
    bins: IndexMap<String, Bin>,
    sequence: u64,
    bytes: usize,
    dropped_bins: u64,
}

#[derive(Default)]
struct Bin {
    entries: VecDeque<Arc<Entry>>,
    dropped: u64,
    refused: u64,
    canned: Option<Arc<Canned>>,
    outage: Option<Outage>,
}

/// A bin's entries at one moment.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) dropped: u64,
    pub(super) refused: u64,
}

/// All bins at one moment.
#[derive(Serialize)]
pub(super) struct Index {
    bins: Vec<IndexRow>,
    bytes: usize,
    dropped_bins: u64,
    limits: Limits,
}

#[derive(Serialize)]
struct IndexRow {
    id: String,
    entries: usize,
    dropped: u64,
    refused: u64,
    outage: Remaining,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, shelf: Mutex::default() }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn keep(&self, id: &str, mut entry: Entry) {
        let mut shelf = self.shelf.lock();
        shelf.sequence += 1;
        entry.sequence = shelf.sequence;
        shelf.bytes += entry.bytes();
        shelf.bin(id, &self.limits).entries.push_back(Arc::new(entry));
        shelf.trim(id, &self.limits);
    }

    pub(super) fn refuse(&self, id: &str) {
        self.shelf.lock().bin(id, &self.limits).refused += 1;
    }

    pub(super) fn contents(&self, id: &str) -> Contents {
        self.shelf.lock().bins.get(id).map_or_else(Contents::default, |bin| Contents {
            entries: bin.entries.iter().cloned().collect(),
            dropped: bin.dropped,
            refused: bin.refused,
        })
    }

    pub(super) fn empty(&self, id: &str) {
        let mut shelf = self.shelf.lock();
        if let Some(bin) = shelf.bins.get_mut(id) {
            let gone: usize = bin.entries.drain(..).map(|entry| entry.bytes()).sum();
            (bin.dropped, bin.refused) = (0, 0);
            shelf.bytes -= gone;
        }
    }

    pub(super) fn can(&self, id: &str, canned: Canned) {
        self.shelf.lock().bin(id, &self.limits).canned = Some(Arc::new(canned));
    }

    pub(super) fn canned(&self, id: &str) -> Option<Arc<Canned>> {
        self.shelf.lock().bins.get(id)?.canned.clone()
    }

    pub(super) fn answer(&self, id: &str) -> Response<Body> {
        self.canned(id).map_or_else(|| Response::new(body::full("")), |canned| canned.response())
    }

    pub(super) fn begin_outage(&self, id: &str, outage: Outage) {
        self.shelf.lock().bin(id, &self.limits).outage = Some(outage);
    }

    pub(super) fn end_outage(&self, id: &str) {
        if let Some(bin) = self.shelf.lock().bins.get_mut(id) {
            bin.outage = None;
        }
    }

    pub(super) fn outage_left(&self, id: &str) -> Remaining {
        Outage::left(self.shelf.lock().bins.get(id).and_then(|bin| bin.outage.as_ref()))
    }

    /// How a request to the bin is to fail now, if it is. Counts the request.
    pub(super) fn outage(&self, id: &str) -> Option<Behaviour> {
        self.shelf.lock().bins.get_mut(id)?.outage.as_mut()?.strike()
    }

    pub(super) fn index(&self) -> Index {
        let shelf = self.shelf.lock();
        let bins = shelf.bins.iter().map(|(id, bin)| IndexRow {
            id: id.clone(),
            entries: bin.entries.len(),
            dropped: bin.dropped,
            refused: bin.refused,
            outage: Outage::left(bin.outage.as_ref()),
        });
        Index {
            bins: bins.collect(),
            bytes: shelf.bytes,
            dropped_bins: shelf.dropped_bins,
            limits: self.limits,
        }
    }
}

impl Shelf {
    /// The bin, made if need be, now the last one written to.
    fn bin(&mut self, id: &str, limits: &Limits) -> &mut Bin {
        let bin = self.bins.shift_remove(id).unwrap_or_default();
        while self.bins.len() >= limits.bins.max(1) {
            if let Some((_, gone)) = self.bins.shift_remove_index(0) {
                self.bytes -= gone.entries.iter().map(|entry| entry.bytes()).sum::<usize>();
                self.dropped_bins += 1;
            }
        }
        self.bins.entry(id.to_owned()).or_insert(bin)
    }

    /// Brings the bin just written to, and all bins together, back within the limits.
    fn trim(&mut self, id: &str, limits: &Limits) {
        if self.bins.get(id).is_some_and(|bin| bin.entries.len() > limits.entries) {
            self.drop_oldest_of(id);
        }
        while self.bytes > limits.bytes {
            let oldest = self.bins.iter().filter_map(|(id, bin)| Some((bin.entries.front()?.sequence, id)));
            let Some((_, id)) = oldest.min() else { return };
            let id = id.clone();
            self.drop_oldest_of(&id);
        }
    }

    fn drop_oldest_of(&mut self, id: &str) {
        if let Some(bin) = self.bins.get_mut(id)
            && let Some(entry) = bin.entries.pop_front()
        {
            bin.dropped += 1;
            self.bytes -= entry.bytes();
        }
    }
}
