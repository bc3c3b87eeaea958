//! What one worker thread shares among its connections.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use super::client_address::Trust;
use crate::clock::Clock;
use crate::exchange::trace::Trace;
use crate::exchange::{Exchange, Record};
use crate::http::http1::parse::HeadLimits;
use crate::net::deadline::Deadlines;
use crate::overload::Overload;
use crate::plugins::{Chosen, Phases};
use crate::snapshot::Snapshot;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::stats::WorkerStats;
use crate::upstream::dns::Resolver;
use crate::upstream::http2::Shared;
use crate::upstream::pool::{Pool, PoolLimits};

/// A head and 64 KiB of body fit.
const SCRATCH: usize = 72 << 10;
/// How long a connection without a request may still send its first one when no more are wanted, in milliseconds.
const LAST_BEGINNING_MS: u64 = 1_000;
/// How many exchanges are kept for later requests.
const SPARES: usize = 64;
/// How many records are kept in mind.
const RECORDS: usize = 1_024;

/// One worker. Nothing in it is touched by another thread, but for what is behind an `Arc`.
pub struct Worker {
    pub settings: Arc<TrafficSettings>,
    pub deadlines: Rc<Deadlines>,
    pub pool: Pool,
    /// Connections to targets that speak HTTP/2.
    pub shared: Shared,
    /// Where everything is read to. Never borrowed across an await.
    pub scratch: RefCell<Box<[u8]>>,
    pub resolver: Resolver,
    pub counters: Arc<WorkerStats>,
    pub access_log: Option<Arc<AccessLog>>,
    pub clock: Clock,
    pub overload: Overload,
    live: RefCell<Live>,
    /// Exchanges that are over, blank again.
    #[expect(clippy::vec_box, reason = "they come in boxes and leave in them")]
    spares: RefCell<Vec<Box<Exchange>>>,
    /// Records that log plugins were given, the oldest first.
    records: RefCell<VecDeque<Arc<Record>>>,
    leaving: Cell<bool>,
    draining: Cell<bool>,
    date: RefCell<(u64, Rc<[u8]>)>,
}

/// The configuration, as this worker saw it last.
struct Live {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    last: Rc<Pinned>,
}

/// A configuration that stays for as long as exchanges of a worker go by it. They are counted here and not in the
/// `Arc`, whose count all workers share.
pub struct Pinned(Arc<Snapshot>);

impl Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// How traffic is taken, whatever the routes.
#[derive(Debug, Clone, Default)]
pub struct TrafficSettings {
    pub head_limits: HeadLimits,
    /// Of heads that upstreams send.
    pub answer_limits: AnswerLimits,
    pub connection_limits: ConnectionLimits,
    pub timeouts: Timeouts,
    pub pool: PoolLimits,
    /// Percent of a service's requests that may be sent again.
    pub retry_share: u32,
    pub trust: Trust,
    pub http2: Http2Limits,
}

/// How large an upstream's head may be: nginx's buffer is smaller, browsers' limits larger.
pub type AnswerLimits = HeadLimits;

/// How long one client connection is used, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    pub requests: u32,
    pub age_ms: u64,
    /// Per worker; what comes beyond is closed at once and counted.
    pub open: u64,
}

/// Times on the client's side, in milliseconds, and the least that has to happen in them.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From accept, or the first byte of a further request, to the end of the head.
    pub head_ms: u64,
    /// In so long some of a request's body has to come.
    pub body_ms: u64,
    /// In so long a request has to come whole; 0 is no limit.
    pub request_ms: u64,
    /// In so long the client has to take some of an answer.
    pub write_ms: u64,
    /// How much *some* is, in bytes per second. A single byte now and then keeps nobody's connection.
    pub least_rate: u64,
    /// Between two requests.
    pub keep_alive_ms: u64,
}

/// What one HTTP/2 connection may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Http2Limits {
    /// Requests at a time.
    pub streams: u32,
    /// Bytes in flight per stream, and per connection.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Streams that were reset before we had looked at them.
    pub pending_resets: usize,
    /// Streams that we had to reset, over the connection's life.
    pub own_resets: usize,
    /// Frames in ten seconds that carry nothing: pings, settings, priorities, windows, resets.
    pub control_frames: u32,
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
}

impl Timeouts {
    /// Whether so many bytes in so long are enough.
    pub fn suffices(&self, bytes: u64, milliseconds: u64) -> bool {
        bytes > 0 && bytes.saturating_mul(1_000) >= self.least_rate.saturating_mul(milliseconds)
    }

    /// How long some more of a body is waited for when its request began so long ago.
    pub fn patience_ms(&self, age_ms: u64) -> u64 {
        match self.request_ms {
            0 => self.body_ms,
            all => self.body_ms.min(all.saturating_sub(age_ms)).max(1),
        }
    }

    /// Whether a request that began so long ago should be there.
    pub fn is_late(&self, age_ms: u64) -> bool {
        self.request_ms > 0 && age_ms >= self.request_ms
    }
}

impl Default for Http2Limits {
    fn default() -> Self {
        Http2Limits {
            streams: 100,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
            pending_resets: 20,
            own_resets: 500,
            control_frames: 1_000,
            ping_interval: Duration::from_secs(40),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits { requests: 10_000, age_ms: 3_600_000, open: 10_000 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            head_ms: 10_000,
            body_ms: 30_000,
            request_ms: 0,
            write_ms: 30_000,
            least_rate: 64,
            keep_alive_ms: 75_000,
        }
    }
}

impl Worker {
    pub fn new(
        settings: Arc<TrafficSettings>,
        live: Arc<ArcSwap<Snapshot>>,
        resolver: Resolver,
        counters: Arc<WorkerStats>,
        access_log: Option<Arc<AccessLog>>,
        clock: Clock,
        overload: Overload,
    ) -> Rc<Worker> {
        let live = Live { last: Rc::new(Pinned(live.load_full())), cache: Cache::new(live) };
        let deadlines = Deadlines::new();
        Rc::new(Worker {
            pool: Pool::new(settings.pool),
            shared: Shared::new(Rc::clone(&deadlines), settings.http2.control_frames),
            settings,
            deadlines,
            scratch: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
            resolver,
            counters,
            access_log,
            clock,
            overload,
            live: RefCell::new(live),
            spares: RefCell::default(),
            records: RefCell::default(),
            leaving: Cell::new(false),
            draining: Cell::new(false),
            date: RefCell::new((0, Rc::from([]))),
        })
    }

    /// The configuration that serves now.
    pub fn snapshot(&self) -> Rc<Pinned> {
        let Live { cache, last } = &mut *self.live.borrow_mut();
        let now = cache.load();
        if !Arc::ptr_eq(now, &last.0) {
            *last = Rc::new(Pinned(Arc::clone(now)));
        }
        Rc::clone(last)
    }

    /// Unix time in microseconds.
    pub fn now_us(&self) -> u64 {
        self.clock.unix_micros()
    }

    /// The value of a `Date` line, made once a second.
    pub fn date(&self) -> Rc<[u8]> {
        let now = self.clock.unix();
        let mut date = self.date.borrow_mut();
        if date.0 != now.as_secs() {
            let text = httpdate::fmt_http_date(std::time::UNIX_EPOCH + now);
            *date = (now.as_secs(), text.into_bytes().into());
        }
        Rc::clone(&date.1)
    }

    /// An exchange for the next request.
    pub fn blank_exchange(&self) -> Box<Exchange> {
        self.spares.borrow_mut().pop().unwrap_or_else(|| Box::new(Exchange::blank()))
    }

    /// Lets go of idle connections that are of no more use.
    pub fn tidy(&self) {
        self.pool.evict(self.deadlines.now_ms());
        self.shared.evict();
    }

    /// Clients are to go elsewhere with their next request.
    pub fn leave(&self) {
        self.leaving.set(true);
    }

    pub fn leaves(&self) -> bool {
        self.leaving.get()
    }

    /// No further requests are wanted: connections end after the one under way.
    pub fn drain(&self) {
        self.leaving.set(true);
        self.draining.set(true);
        self.deadlines.hurry(LAST_BEGINNING_MS);
    }

    pub fn drains(&self) -> bool {
        self.draining.get()
    }

    /// The record of an exchange. The oldest that was given out is used again when nobody has it any more: its memory
    /// would else be freed on another thread than it comes from.
    fn record(&self, exchange: &mut Exchange) -> Arc<Record> {
        let mut records = self.records.borrow_mut();
        if let Some(mut oldest) = records.pop_front() {
            if exchange.trace.is_none()
                && let Some(record) = Arc::get_mut(&mut oldest)
            {
                record.take(exchange);
                records.push_back(Arc::clone(&oldest));
                return oldest;
            }
            records.push_front(oldest);
        }
        let record = Arc::new(Record::of(exchange));
        // A trace holds on to where it is sent.
        if records.len() < RECORDS && record.trace.is_none() {
            records.push_back(Arc::clone(&record));
        }
        record
    }

    /// The end of an exchange: everything that is kept of it. `ended_us` is when its last byte was written.
    pub fn finish(
        &self,
        ended_us: u64,
        (request_bytes, response_bytes): (u64, u64),
        mut exchange: Box<Exchange>,
        snapshot: &Snapshot,
        chosen: &Chosen,
    ) {
        let times = &mut exchange.times;
        times.request_bytes = request_bytes;
        times.response_bytes = response_bytes;
        times.total_us = ended_us.saturating_sub(times.started_us);
        let chain = snapshot.chain(&exchange);
        let (passed, ended) = chain.outcome(chosen, exchange.outcome.ended_by);
        self.counters.count(&exchange, snapshot.stats(&exchange), passed, ended);
        if chain.phases().contains(Phases::COUNT) {
            chain.count(&exchange, chosen);
        }
        if let Some(log) = &self.access_log {
            log.note(self.counters.index, &exchange);
        }
        let sampled = exchange.trace.as_ref().is_some_and(|trace| trace.is_sampled());
        if sampled || chain.phases().contains(Phases::LOG) {
            let record = self.record(&mut exchange);
            Trace::finish(&record);
            chain.log(&record, chosen);
        }
        let mut spares = self.spares.borrow_mut();
        if spares.len() < SPARES {
            exchange.clear();
            spares.push(exchange);
        }
    }
}
