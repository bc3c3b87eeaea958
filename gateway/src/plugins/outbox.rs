//! What plugins send to collectors: records become entries, and entries go into the queue of their settings.
//!
//! A worker pushes a pointer into an inbox of its own and goes on. One task on the control runtime makes the
//! entries; while there is traffic it looks every few milliseconds, so that a busy worker wakes nobody. Plugins with
//! the same settings share a queue; a queue lives for as long as plugins use it and until it is empty; a plugin
//! whose settings change takes its waiting entries along to the new queue.

mod post;
mod queue;
mod settings;
mod totals;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::post::Post;
pub use self::post::{Packing, Target, endpoint};
use self::queue::Queue;
pub use self::queue::{Goods, Limits};
pub use self::settings::{QueueSettings, differs, queue_fields, seconds};
pub use self::totals::OutboxTotals;
use self::totals::{Loss, Totals};
use super::environment::Resolve;
use crate::clock::Clock;
use crate::exchange::Record;

/// Inboxes: a thread has one of its own unless there are more threads than these.
const INBOXES: usize = 16;
/// Most records that may wait in an inbox; beyond them the newest are dropped, counted.
const INBOX: usize = 8_192;
/// How long the writer rests between two looks while there is traffic.
const REST: Duration = Duration::from_millis(5);
/// Records written before other tasks get their turn.
const STRETCH: usize = 64;

/// The entries of one kind that the process sends: log entries, or spans.
pub struct Outbox {
    desk: Arc<Desk>,
    writer: JoinHandle<()>,
}

/// Makes entries of records, for one plugin.
pub trait Clerk: Send + Sync {
    fn write(&self, record: &Record, paper: &mut Paper);
}

/// What a clerk writes on.
#[derive(Debug, Default)]
pub struct Paper {
    pub entries: Vec<Bytes>,
    /// Where an entry can be made before it is as long as it gets. Its memory is used again.
    pub draft: Vec<u8>,
    /// Parts of entries that could not be made.
    pub faults: u64,
}

/// What plugins hand records to: their own clerk, and the queue they share.
pub struct Sender {
    owner: Uuid,
    queue: Arc<Queue>,
    clerk: Box<dyn Clerk>,
    settings: Settings,
    desk: Arc<Desk>,
}

/// Everything that makes two queues different.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub target: Target,
    pub limits: Limits,
}

struct Desk {
    goods: Goods,
    inboxes: [Mutex<Inbox>; INBOXES],
    /// The writer sleeps until it is woken.
    asleep: AtomicBool,
    woken: Notify,
    queues: Mutex<Queues>,
    totals: Arc<Totals>,
    clock: Clock,
    runtime: Handle,
    resolver: Option<Arc<dyn Resolve>>,
}

#[derive(Default)]
struct Inbox {
    letters: Vec<Letter>,
    /// Records in them.
    records: usize,
    /// Entries that those will become.
    entries: u64,
}

/// Records of one sender: its count of owners, which all threads write to, changes once for all of them.
struct Letter {
    sender: Arc<Sender>,
    records: Vec<Arc<Record>>,
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

impl Outbox {
    pub fn new(
        goods: Goods,
        runtime: Handle,
        clock: Clock,
        resolver: Option<Arc<dyn Resolve>>,
    ) -> Arc<Outbox> {
        let desk = Arc::new(Desk {
            goods,
            inboxes: Default::default(),
            asleep: AtomicBool::new(false),
            woken: Notify::new(),
            queues: Mutex::default(),
            totals: Arc::default(),
            clock,
            runtime: runtime.clone(),
            resolver,
        });
        let writer = runtime.spawn(desk.clone().write());
        Arc::new(Outbox { desk, writer })
    }

    /// A plugin's way into the queue of these settings, which it keeps open until it is dropped.
    pub fn sender(
        &self,
        owner: Uuid,
        settings: Settings,
        clerk: Box<dyn Clerk>,
    ) -> Result<Arc<Sender>, String> {
        let queue = self.desk.join(owner, &settings)?;
        Ok(Arc::new(Sender { owner, queue, clerk, settings, desk: self.desk.clone() }))
    }

    pub fn totals(&self) -> OutboxTotals {
        let unwritten: u64 = self.desk.inboxes.iter().map(|inbox| inbox.lock().entries).sum();
        let written = self.desk.totals.read();
        OutboxTotals {
            accepted: written.accepted + unwritten,
            waiting: written.waiting + unwritten,
            ..written
        }
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
            tracing::error!(
                "stopped with {lost} {} that could not be delivered in time",
                self.desk.goods.name
            );
        }
        lost
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Sender {
    /// Takes a record that will become so many entries. Costs an uncontended lock; wakes the writer only when it
    /// sleeps.
    pub fn submit(self: &Arc<Self>, record: &Arc<Record>, entries: u64) {
        let mut inbox = self.desk.inboxes[own_inbox()].lock();
        if inbox.records >= INBOX {
            drop(inbox);
            self.desk.totals.accepted(entries);
            return self.desk.totals.lose(Loss::Full, entries);
        }
        inbox.records += 1;
        inbox.entries += entries;
        match inbox.letters.iter_mut().find(|letter| Arc::ptr_eq(&letter.sender, self)) {
            Some(letter) => letter.records.push(record.clone()),
            None => inbox.letters.push(Letter { sender: self.clone(), records: vec![record.clone()] }),
        }
        drop(inbox);
        if self.desk.asleep.load(Ordering::SeqCst) && self.desk.asleep.swap(false, Ordering::SeqCst) {
            self.desk.woken.notify_one();
        }
    }
}

/// The inbox of the thread that asks.
fn own_inbox() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % INBOXES;
    }
    OWN.with(|own| *own)
}

impl Drop for Sender {
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
            self.asleep.store(true, Ordering::SeqCst);
            // Who came before that did not see that we sleep.
            if self.inboxes.iter().any(|inbox| !inbox.lock().letters.is_empty()) {
                self.asleep.store(false, Ordering::SeqCst);
                continue;
            }
            self.woken.notified().await;
        }
    }

    /// Writes what is in the inboxes. Says whether there was anything.
    async fn write_all(&self) -> bool {
        let mut any = false;
        let mut paper = Paper::default();
        for inbox in &self.inboxes {
            let Inbox { letters, .. } = std::mem::take(&mut *inbox.lock());
            any |= !letters.is_empty();
            for Letter { sender, records } in letters {
                for stretch in records.chunks(STRETCH) {
                    for record in stretch {
                        self.write_one(&sender, record, &mut paper);
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        any
    }

    fn write_one(&self, sender: &Sender, record: &Record, paper: &mut Paper) {
        sender.clerk.write(record, paper);
        self.totals.accepted(paper.entries.len() as u64);
        self.totals.parts_failed(std::mem::take(&mut paper.faults));
        for entry in paper.entries.drain(..) {
            sender.queue.push(sender.owner, entry, &self.runtime);
        }
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
            self.goods,
            target.label(),
            limits.clone(),
            Box::new(post),
            self.clock.clone(),
            self.totals.clone(),
            &self.runtime,
        ))
    }
}
