//! What happens to records after a worker has handed them in: they become entries, and entries go into the
//! queue of their settings.
//!
//! A worker pushes a pointer and goes on. One task on the control runtime writes the entries; while there is
//! traffic it looks every few milliseconds, so that a busy worker wakes nobody. Plugins with the same settings
//! share a queue; a queue lives for as long as plugins use it and until it is empty; a plugin whose settings
//! change takes its waiting entries along to the new queue.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::custom_fields::CustomFields;
use super::post::{Post, Target};
use super::queue::{Limits, Queue};
use super::totals::{LogTotals, Loss, Totals};
use crate::clock::Clock;
use crate::exchange::Record;
use crate::plugins::environment::Resolve;
use crate::plugins::log_entry::{self, Entities};

/// Most records that may wait to be written; beyond them the newest are dropped, counted.
const INBOX: usize = 65_536;
/// How long the writer rests between two looks while there is traffic.
const REST: Duration = Duration::from_millis(5);
/// Entries written before other tasks get their turn.
const STRETCH: usize = 64;

/// The work of all log plugins of the process.
pub struct LogWork {
    desk: Arc<Desk>,
    writer: JoinHandle<()>,
}

/// What log plugins hand records to: their own settings and the queue they share.
pub(super) struct Logger {
    owner: Uuid,
    queue: Arc<Queue>,
    fields: Option<CustomFields>,
    settings: Settings,
    desk: Arc<Desk>,
}

/// Everything that makes two queues different.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) target: Target,
    pub(super) limits: Limits,
}

struct Desk {
    inbox: Mutex<Inbox>,
    woken: Notify,
    entities: Mutex<Entities>,
    queues: Mutex<Queues>,
    totals: Arc<Totals>,
    clock: Clock,
    runtime: Handle,
    resolver: Option<Arc<dyn Resolve>>,
}

#[derive(Default)]
struct Inbox {
    letters: Vec<Letter>,
    /// The writer sleeps until it is woken.
    asleep: bool,
}

struct Letter {
    record: Arc<Record>,
    logger: Arc<Logger>,
}

#[derive(Default)]
struct Queues {
    open: Vec<Shared>,
    /// The queue each plugin has used last.
    last: HashMap<Uuid, Weak<Queue>>,
    /// Look for queues that have ended once `last` is so long.
    sweep_at: usize,
    /// Queues that nobody uses, until they are empty.
    closing: Vec<Weak<Queue>>,
}

struct Shared {
    settings: Settings,
    queue: Arc<Queue>,
    users: usize,
}

impl LogWork {
    pub fn new(runtime: Handle, clock: Clock, resolver: Option<Arc<dyn Resolve>>) -> Arc<LogWork> {
        let desk = Arc::new(Desk {
            inbox: Mutex::default(),
            woken: Notify::new(),
            entities: Mutex::default(),
            queues: Mutex::default(),
            totals: Arc::default(),
            clock,
            runtime: runtime.clone(),
            resolver,
        });
        let writer = runtime.spawn(desk.clone().write());
        Arc::new(LogWork { desk, writer })
    }

    /// A logger of a plugin. It keeps the queue of these settings open until it is dropped.
    pub(super) fn logger(
        &self,
        owner: Uuid,
        settings: Settings,
        fields: Option<CustomFields>,
    ) -> Result<Arc<Logger>, String> {
        let queue = self.desk.join(owner, &settings)?;
        Ok(Arc::new(Logger { owner, queue, fields, settings, desk: self.desk.clone() }))
    }

    pub fn totals(&self) -> LogTotals {
        let written = self.desk.totals.read();
        let unwritten = self.desk.inbox.lock().letters.len() as u64;
        LogTotals { waiting: written.waiting + unwritten, ..written }
    }

    /// How many entries wait in each queue, by endpoint.
    pub fn depths(&self) -> Vec<(String, usize)> {
        let queues = self.desk.queues.lock();
        queues.open.iter().map(|shared| (shared.queue.label().to_owned(), shared.queue.len())).collect()
    }

    /// Sends what there is, for no longer than `grace`; what is left is lost. Says how much that is.
    pub async fn shutdown(&self, grace: Duration) -> u64 {
        let end = self.desk.clock.now() + grace;
        self.desk.write_all().await;
        self.desk.queues.lock().hurry();
        loop {
            let totals = self.desk.totals.read();
            let rest = end.since(self.desk.clock.now());
            if totals.waiting + totals.sending == 0 || rest.is_zero() {
                break;
            }
            tokio::select! {
                () = self.desk.totals.next_progress() => {}
                () = self.desk.clock.sleep(rest) => {}
            }
        }
        let lost = self.desk.totals.stop();
        if lost > 0 {
            tracing::error!("stopped with {lost} log entries that could not be delivered in time");
        }
        lost
    }
}

impl Drop for LogWork {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Logger {
    /// Takes a record. Costs a lock and two counters; wakes the writer only when it sleeps.
    pub(super) fn submit(self: &Arc<Self>, record: &Arc<Record>) {
        self.desk.totals.accepted();
        let mut inbox = self.desk.inbox.lock();
        if inbox.letters.len() >= INBOX {
            drop(inbox);
            return self.desk.totals.lose(Loss::Full, 1);
        }
        inbox.letters.push(Letter { record: record.clone(), logger: self.clone() });
        let wake = std::mem::take(&mut inbox.asleep);
        drop(inbox);
        if wake {
            self.desk.woken.notify_one();
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.desk.leave(&self.settings);
    }
}

impl Queues {
    /// Remembers who uses what. Returns the queue the owner used before.
    fn used(&mut self, owner: Uuid, queue: &Arc<Queue>) -> Option<Arc<Queue>> {
        if self.last.len() >= self.sweep_at {
            self.last.retain(|_, queue| queue.strong_count() > 0);
            self.sweep_at = (2 * self.last.len()).max(64);
        }
        self.last.insert(owner, Arc::downgrade(queue))?.upgrade()
    }

    fn hurry(&self) {
        let open = self.open.iter().map(|shared| shared.queue.clone());
        for queue in open.chain(self.closing.iter().filter_map(Weak::upgrade)) {
            queue.hurry();
        }
    }
}

impl Desk {
    async fn write(self: Arc<Self>) {
        loop {
            if self.write_all().await {
                // Not by our own clock: how soon entries are written is no matter of settings or tests.
                tokio::time::sleep(REST).await;
                continue;
            }
            {
                let mut inbox = self.inbox.lock();
                inbox.asleep = inbox.letters.is_empty();
                if !inbox.asleep {
                    continue;
                }
            }
            self.woken.notified().await;
        }
    }

    /// Writes what is in the inbox. Says whether there was anything.
    async fn write_all(&self) -> bool {
        let letters = std::mem::take(&mut self.inbox.lock().letters);
        let any = !letters.is_empty();
        let mut letters = letters.into_iter().peekable();
        while letters.peek().is_some() {
            {
                let mut entities = self.entities.lock();
                for letter in letters.by_ref().take(STRETCH) {
                    self.write_one(&letter, &mut entities);
                }
            }
            tokio::task::yield_now().await;
        }
        any
    }

    fn write_one(&self, letter: &Letter, entities: &mut Entities) {
        let Logger { owner, queue, fields, .. } = &*letter.logger;
        let mut entry = Vec::with_capacity(2048);
        log_entry::write(&mut entry, &letter.record, entities);
        if let Some(fields) = fields {
            let (changed, failures) = fields.apply(&letter.record, entry);
            entry = changed;
            for (field, error) in failures {
                self.totals.field_failed();
                tracing::warn!(plugin = %owner, field, "custom field failed, the entry goes without it: {error}");
            }
        }
        queue.push(*owner, Bytes::from(entry), &self.runtime);
    }

    fn join(&self, owner: Uuid, settings: &Settings) -> Result<Arc<Queue>, String> {
        let mut queues = self.queues.lock();
        let known = queues.open.iter_mut().find(|shared| shared.settings == *settings);
        let queue = if let Some(shared) = known {
            shared.users += 1;
            shared.queue.clone()
        } else {
            let queue = self.start(settings)?;
            queues.open.push(Shared { settings: settings.clone(), queue: queue.clone(), users: 1 });
            queue
        };
        queue.take_back(owner);
        let before = queues.used(owner, &queue);
        drop(queues);
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &queue)) {
            before.hand_over(owner, &queue);
        }
        Ok(queue)
    }

    fn leave(&self, settings: &Settings) {
        let mut queues = self.queues.lock();
        let Some(at) = queues.open.iter().position(|shared| shared.settings == *settings) else { return };
        let shared = &mut queues.open[at];
        shared.users -= 1;
        if shared.users == 0 {
            let queue = queues.open.swap_remove(at).queue;
            queue.close();
            queues.closing.retain(|queue| queue.strong_count() > 0);
            queues.closing.push(Arc::downgrade(&queue));
        }
    }

    fn start(&self, settings: &Settings) -> Result<Arc<Queue>, String> {
        let Settings { target, limits } = settings;
        let post = Post::new(target.clone(), self.resolver.clone())?;
        Ok(Queue::start(
            target.label(),
            limits.clone(),
            Box::new(post),
            self.clock.clone(),
            self.totals.clone(),
            &self.runtime,
        ))
    }
}
