//! Kong's queue: entries wait, leave in batches, and are tried again until they are delivered or given up.
//!
//! Bounded in entries and bytes; what does not fit pushes out the oldest, counted. A batch that is being sent
//! is no longer waiting and counts against no bound. Batches leave one after another, so entries keep their
//! order; with `unlimited` concurrency every entry goes its own way at once.
//!
//! Differs from Kong on purpose: the coalescing delay runs from when an entry came and not from when the
//! sender became free, and an entry that doesn't fit while a batch is gathered costs the oldest entry, not
//! itself and the rest of the log phase.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use uuid::Uuid;

use super::totals::{Loss, Totals};
use crate::clock::{Clock, Moment};

/// The longest wait before a retry when the process is about to end.
const HASTE: Duration = Duration::from_millis(200);
/// At most one line about trouble in this time, until it is over.
const QUIET: Duration = Duration::from_secs(10);

/// What is sent, and how its trouble is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goods {
    /// In the plural, for log lines.
    pub name: &'static str,
    /// One line when trouble begins and one when it is over, and none between them.
    pub told_once: bool,
}

/// Bounds and times, as in Kong's `config.queue`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Entries handed over in one call.
    pub max_batch_size: usize,
    /// How long the first entry of a batch waits for others.
    pub max_coalescing_delay: Duration,
    pub max_entries: usize,
    pub max_bytes: Option<usize>,
    /// Give up a batch that failed after this time; `None` after the first attempt.
    pub max_retry_time: Option<Duration>,
    pub initial_retry_delay: Duration,
    pub max_retry_delay: Duration,
    /// Every entry its own task, without batches; `max_entries` of them at most.
    pub unlimited: bool,
}

/// Where batches go.
pub(super) trait Deliver: Send + Sync {
    /// Makes one message of a batch.
    fn pack(&self, entries: &[&[u8]]) -> Bytes;

    /// Sends it. The error says what happened, for a person.
    fn deliver(&self, message: Bytes) -> BoxFuture<'_, Result<(), String>>;
}

/// One queue with its sender.
pub(super) struct Queue {
    goods: Goods,
    /// For log lines; without secrets.
    label: String,
    limits: Limits,
    deliver: Box<dyn Deliver>,
    clock: Clock,
    totals: Arc<Totals>,
    state: Mutex<State>,
    woken: Notify,
    /// Cuts short the wait before a retry.
    hurried: Notify,
    hurry: AtomicBool,
}

/// One entry on its way, with the plugin instance it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) owner: Uuid,
    pub(super) text: Bytes,
    pub(super) since: Moment,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The sender wants to be woken when so many wait.
    wanted: usize,
    /// Nothing new will come: end when empty.
    closing: bool,
    /// Owners that have moved to another queue, and which.
    moved: HashMap<Uuid, Weak<Queue>>,
    /// Entries sent on their own.
    loose: usize,
    trouble: Trouble,
}

/// What went wrong and has been told, or not yet: a line for every entry would be trouble of its own.
#[derive(Default)]
struct Trouble {
    told: Option<Moment>,
    failed_attempts: u64,
    dropped: u64,
    given_up: u64,
}

impl Queue {
    /// A queue whose sender runs on `runtime` until the queue is closed and empty.
    pub(super) fn start(
        goods: Goods,
        label: String,
        limits: Limits,
        deliver: Box<dyn Deliver>,
        clock: Clock,
        totals: Arc<Totals>,
        runtime: &Handle,
    ) -> Arc<Queue> {
        let state = State { wanted: 1, ..State::default() };
        let queue = Arc::new(Queue {
            goods,
            label,
            limits,
            deliver,
            clock,
            totals,
            state: Mutex::new(state),
            woken: Notify::new(),
            hurried: Notify::new(),
            hurry: AtomicBool::new(false),
        });
        runtime.spawn(queue.clone().run());
        queue
    }

    /// Takes an entry.
    pub(super) fn push(self: &Arc<Self>, owner: Uuid, text: Bytes, runtime: &Handle) {
        let next = self.state.lock().moved.get(&owner).and_then(Weak::upgrade);
        if let Some(next) = next {
            return next.push(owner, text, runtime);
        }
        let entry = Waiting { owner, text, since: self.clock.now() };
        if self.limits.max_bytes.is_some_and(|most| entry.text.len() > most) {
            self.totals.lose(Loss::TooLarge, 1);
            let mut state = self.state.lock();
            state.trouble.dropped += 1;
            let what = format!("an entry has {} bytes, which is more than max_bytes", entry.text.len());
            self.tell(&mut state.trouble, &what);
        } else if self.limits.unlimited {
            self.send_alone(entry, runtime);
        } else {
            self.totals.waiting(1);
            self.enqueue([entry], false);
        }
    }

    /// Entries of an owner whose settings have changed go to the queue of the new ones, also those that still
    /// come in here.
    pub(super) fn hand_over(&self, owner: Uuid, next: &Arc<Queue>) {
        let mut state = self.state.lock();
        state.moved.insert(owner, Arc::downgrade(next));
        let (gone, kept) =
            std::mem::take(&mut state.waiting).into_iter().partition(|entry| entry.owner == owner);
        state.waiting = kept;
        state.bytes = state.waiting.iter().map(|entry| entry.text.len()).sum();
        drop(state);
        next.adopt(gone);
        // The batch under way may hold some of them.
        self.hurried.notify_waiters();
    }

    /// Its owner is back.
    pub(super) fn take_back(&self, owner: Uuid) {
        self.state.lock().moved.remove(&owner);
    }

    /// Nothing new will come: what waits is sent at once, and then the sender ends.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.woken.notify_one();
    }

    /// As `close`, and without long waits before retries.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
        self.close();
        self.hurried.notify_waiters();
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// How many entries wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    fn adopt(&self, entries: VecDeque<Waiting>) {
        self.enqueue(entries, true);
    }

    /// Entries are counted as waiting already.
    fn enqueue(&self, entries: impl IntoIterator<Item = Waiting>, in_front: bool) {
        let mut state = self.state.lock();
        let old = if in_front { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        for entry in entries.into_iter().chain(old) {
            state.bytes += entry.text.len();
            state.waiting.push_back(entry);
        }
        if in_front {
            state.bytes = state.waiting.iter().map(|entry| entry.text.len()).sum();
        }
        let mut dropped = 0;
        while state.waiting.len() > self.limits.max_entries
            || self.limits.max_bytes.is_some_and(|most| state.bytes > most)
        {
            let Some(oldest) = state.waiting.pop_front() else { break };
            state.bytes -= oldest.text.len();
            dropped += 1;
        }
        if dropped > 0 {
            self.totals.no_longer_waiting(dropped);
            self.totals.lose(Loss::Full, dropped);
            state.trouble.dropped += dropped;
            self.tell(&mut state.trouble, "the queue is full, so the oldest entries are dropped");
        }
        let wake = state.waiting.len() >= state.wanted;
        drop(state);
        if wake {
            self.woken.notify_one();
        }
    }

    /// Says what is wrong, with what has happened since the last time; not more often than the goods deserve.
    fn tell(&self, trouble: &mut Trouble, what: &str) {
        let now = self.clock.now();
        if trouble.told.is_some_and(|told| self.goods.told_once || now.since(told) < QUIET) {
            return;
        }
        let Trouble { failed_attempts, dropped, given_up, .. } = std::mem::take(trouble);
        trouble.told = Some(now);
        tracing::error!(
            collector = self.label,
            failed_attempts,
            dropped,
            given_up,
            "{} are not delivered: {what}",
            self.goods.name
        );
    }

    fn tell_recovery(&self) {
        let mut state = self.state.lock();
        if state.trouble.told.is_some() {
            let Trouble { failed_attempts, dropped, given_up, .. } = std::mem::take(&mut state.trouble);
            drop(state);
            tracing::info!(
                collector = self.label,
                failed_attempts,
                dropped,
                given_up,
                "{} are delivered again",
                self.goods.name
            );
        }
    }

    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next_batch().await {
            self.send(batch).await;
            self.totals.progress();
        }
    }

    /// Waits for a full batch, or for the first entry's time to be up. `None` when there is nothing to come.
    async fn next_batch(&self) -> Option<Vec<Waiting>> {
        loop {
            let rest = {
                let mut state = self.state.lock();
                let now = self.clock.now();
                let due = state.waiting.front().map(|first| first.since + self.limits.max_coalescing_delay);
                let full = state.waiting.len() >= self.limits.max_batch_size;
                match due {
                    None if state.closing => return None,
                    None => {
                        state.wanted = 1;
                        None
                    }
                    Some(due) if full || state.closing || now >= due => return Some(self.take(&mut state)),
                    Some(due) => {
                        state.wanted = self.limits.max_batch_size;
                        Some(due.since(now))
                    }
                }
            };
            match rest {
                None => self.woken.notified().await,
                Some(rest) => tokio::select! {
                    () = self.woken.notified() => {}
                    () = self.clock.sleep(rest) => {}
                },
            }
        }
    }

    fn take(&self, state: &mut State) -> Vec<Waiting> {
        let size = state.waiting.len().min(self.limits.max_batch_size);
        let batch: Vec<Waiting> = state.waiting.drain(..size).collect();
        state.bytes -= batch.iter().map(|entry| entry.text.len()).sum::<usize>();
        state.wanted = usize::MAX;
        self.totals.sending(batch.len() as u64);
        batch
    }

    /// Delivers a batch, or gives it up, or leaves its entries to the queues they belong to by now.
    async fn send(&self, mut batch: Vec<Waiting>) {
        let began = self.clock.now();
        let mut message = self.pack(&batch);
        let mut retry = 0;
        loop {
            let Err(error) = self.deliver.deliver(message.clone()).await else {
                self.totals.sent(batch.len() as u64);
                self.tell_recovery();
                return;
            };
            self.totals.attempt_failed();
            if !self.keep_own(&mut batch, &mut message) {
                return;
            }
            let elapsed = self.clock.now().since(began);
            let gives_up = self.limits.max_retry_time.is_none_or(|most| elapsed > most);
            {
                let mut state = self.state.lock();
                state.trouble.failed_attempts += 1;
                state.trouble.given_up += if gives_up { batch.len() as u64 } else { 0 };
                self.tell(&mut state.trouble, &error);
            }
            if gives_up {
                self.totals.give_up(batch.len() as u64);
                return;
            }
            self.wait_before(&mut retry).await;
            if !self.keep_own(&mut batch, &mut message) {
                return;
            }
        }
    }

    async fn wait_before(&self, retry: &mut u32) {
        let hurried = self.hurried.notified();
        tokio::pin!(hurried);
        // From here on nothing is missed; who hurried before shows in the flag.
        hurried.as_mut().enable();
        let hurry = self.hurry.load(Ordering::Relaxed);
        let longest = if hurry { HASTE } else { self.limits.max_retry_delay };
        let delay =
            self.limits.initial_retry_delay.saturating_mul(1_u32.checked_shl(*retry).unwrap_or(u32::MAX));
        *retry += 1;
        tokio::select! {
            () = self.clock.sleep(delay.min(longest)) => {}
            () = hurried => {}
        }
    }

    fn pack(&self, batch: &[Waiting]) -> Bytes {
        let texts: Vec<&[u8]> = batch.iter().map(|entry| &*entry.text).collect();
        self.deliver.pack(&texts)
    }

    /// Gives entries of owners that have moved to their queues. Says whether any are left.
    fn keep_own(&self, batch: &mut Vec<Waiting>, message: &mut Bytes) -> bool {
        let moved = self.state.lock().moved.clone();
        let size = batch.len();
        for (owner, next) in moved {
            let Some(next) = next.upgrade() else { continue };
            let gone: VecDeque<Waiting> = batch.extract_if(.., |entry| entry.owner == owner).collect();
            self.totals.sending_again_waiting(gone.len() as u64);
            next.adopt(gone);
        }
        if batch.len() < size {
            *message = self.pack(batch);
        }
        !batch.is_empty()
    }

    fn send_alone(self: &Arc<Self>, entry: Waiting, runtime: &Handle) {
        {
            let mut state = self.state.lock();
            if state.loose >= self.limits.max_entries {
                self.totals.lose(Loss::Full, 1);
                state.trouble.dropped += 1;
                return self.tell(&mut state.trouble, "too many entries are under way");
            }
            state.loose += 1;
        }
        self.totals.waiting(1);
        self.totals.sending(1);
        let queue = self.clone();
        runtime.spawn(async move {
            queue.send(vec![entry]).await;
            queue.state.lock().loose -= 1;
            queue.totals.progress();
        });
    }
}

#[cfg(test)]
mod tests;
