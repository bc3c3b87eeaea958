//! What has become of entries. At rest, what came in equals what waits, is being sent, was sent and was
//! lost.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counters of all queues together.
#[derive(Default)]
pub(super) struct Totals {
    accepted: AtomicU64,
    waiting: AtomicU64,
    sending: AtomicU64,
    sent: AtomicU64,
    failed_attempts: AtomicU64,
    faults: AtomicU64,
    lost: [AtomicU64; 4],
    /// Somebody finished something.
    progress: Notify,
}

/// Why an entry was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Loss {
    /// There was no room.
    Full,
    /// It alone was longer than the queue may be.
    TooLarge,
    /// It could not be delivered in time.
    GivenUp,
    /// The process ended.
    Stopped,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxTotals {
    /// Entries that plugins handed in, or the records to make them from.
    pub accepted: u64,
    pub waiting: u64,
    pub sending: u64,
    pub sent: u64,
    pub failed_attempts: u64,
    /// Parts of entries that could not be made; the entries went without them.
    pub faults: u64,
    pub lost_full: u64,
    pub lost_too_large: u64,
    pub lost_given_up: u64,
    pub lost_stopped: u64,
}

impl OutboxTotals {
    /// Entries that never reached a collector.
    pub fn lost(&self) -> u64 {
        self.lost_full + self.lost_too_large + self.lost_given_up + self.lost_stopped
    }
}

impl Totals {
    pub(super) fn read(&self) -> OutboxTotals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lost = |loss: Loss| get(&self.lost[loss as usize]);
        OutboxTotals {
            accepted: get(&self.accepted),
            waiting: get(&self.waiting),
            sending: get(&self.sending),
            sent: get(&self.sent),
            failed_attempts: get(&self.failed_attempts),
            faults: get(&self.faults),
            lost_full: lost(Loss::Full),
            lost_too_large: lost(Loss::TooLarge),
            lost_given_up: lost(Loss::GivenUp),
            lost_stopped: lost(Loss::Stopped),
        }
    }

    /// Resolves after somebody has finished something.
    pub(super) async fn next_progress(&self) {
        self.progress.notified().await;
    }

    pub(super) fn accepted(&self, entries: u64) {
        add(&self.accepted, entries);
    }

    pub(super) fn waiting(&self, entries: u64) {
        add(&self.waiting, entries);
    }

    pub(super) fn no_longer_waiting(&self, entries: u64) {
        take(&self.waiting, entries);
    }

    /// From waiting to being sent.
    pub(super) fn sending(&self, entries: u64) {
        take(&self.waiting, entries);
        add(&self.sending, entries);
    }

    pub(super) fn sending_again_waiting(&self, entries: u64) {
        take(&self.sending, entries);
        add(&self.waiting, entries);
    }

    pub(super) fn sent(&self, entries: u64) {
        take(&self.sending, entries);
        add(&self.sent, entries);
    }

    pub(super) fn give_up(&self, entries: u64) {
        take(&self.sending, entries);
        self.lose(Loss::GivenUp, entries);
    }

    /// Everything that is under way or waits is lost. Says how much that is.
    pub(super) fn stop(&self) -> u64 {
        let rest = self.waiting.swap(0, Ordering::Relaxed) + self.sending.swap(0, Ordering::Relaxed);
        self.lose(Loss::Stopped, rest);
        rest
    }

    pub(super) fn lose(&self, why: Loss, entries: u64) {
        add(&self.lost[why as usize], entries);
    }

    pub(super) fn attempt_failed(&self) {
        add(&self.failed_attempts, 1);
    }

    pub(super) fn parts_failed(&self, parts: u64) {
        add(&self.faults, parts);
    }

    pub(super) fn progress(&self) {
        self.progress.notify_one();
    }
}

fn add(counter: &AtomicU64, entries: u64) {
    counter.fetch_add(entries, Ordering::Relaxed);
}

fn take(counter: &AtomicU64, entries: u64) {
    // What was written off when the process stopped may still come to an end of its own.
    let less = |count: u64| Some(count.saturating_sub(entries));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}
