//! The numbers themselves: per worker, per route, per plugin, per target. They outlive generations and are
//! summed up by whoever asks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use admin_api::Reason;
use admin_api::feed::{PluginTotals, RouteTotals, Sample, TargetTotals, Totals};
use parking_lot::Mutex;
use uuid::Uuid;

use super::counters::{Durations, Tally};
use super::feed::Reservoir;
use crate::exchange::Exchange;

/// Everything that is counted, for all workers.
pub struct Stats {
    workers: Box<[Arc<WorkerStats>]>,
    routes: Mutex<HashMap<Uuid, Arc<RouteStats>>>,
    /// Requests that no route took.
    unmatched: Arc<RouteStats>,
    targets: Mutex<HashMap<String, Arc<TargetStats>>>,
    watched: Arc<AtomicBool>,
}

/// One worker's own numbers.
pub struct WorkerStats {
    pub index: usize,
    pub connections_accepted: Tally,
    pub connections_open: Tally,
    pub connections_refused: Tally,
    in_flight: Tally,
    bytes_in: Tally,
    bytes_out: Tally,
    latency: Durations,
    gateway_latency: Durations,
    /// By place in the plugin registry.
    plugins: Box<[PluginTally]>,
    watched: Arc<AtomicBool>,
    reservoir: Mutex<Reservoir>,
}

#[derive(Default)]
struct PluginTally {
    passed: Tally,
    ended: Tally,
    failed: Tally,
}

/// One route's numbers, a cell for each worker that has seen it.
pub struct RouteStats {
    cells: Box<[OnceLock<Box<RouteCell>>]>,
}

#[derive(Default)]
struct RouteCell {
    classes: [Tally; 5],
    reasons: [Tally; Reason::ALL.len()],
    latency: Durations,
}

/// One target's numbers, a cell for each worker.
pub struct TargetStats {
    cells: Box<[TargetCell]>,
}

#[derive(Default)]
#[repr(align(128))]
struct TargetCell {
    attempts: Tally,
    failures: Tally,
    in_flight: Tally,
}

/// An exchange under way; counted as such until it is dropped.
pub struct UnderWay<'a>(&'a WorkerStats);

impl Stats {
    pub fn new(workers: usize, plugins: usize) -> Arc<Stats> {
        let watched = Arc::new(AtomicBool::new(false));
        let worker = |index| {
            Arc::new(WorkerStats {
                index,
                connections_accepted: Tally::default(),
                connections_open: Tally::default(),
                connections_refused: Tally::default(),
                in_flight: Tally::default(),
                bytes_in: Tally::default(),
                bytes_out: Tally::default(),
                latency: Durations::default(),
                gateway_latency: Durations::default(),
                plugins: std::iter::repeat_with(PluginTally::default).take(plugins).collect(),
                watched: Arc::clone(&watched),
                reservoir: Mutex::default(),
            })
        };
        Arc::new(Stats {
            workers: (0..workers).map(worker).collect(),
            routes: Mutex::default(),
            unmatched: Arc::new(RouteStats::new(workers)),
            targets: Mutex::default(),
            watched,
        })
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    pub fn worker(&self, index: usize) -> Arc<WorkerStats> {
        Arc::clone(&self.workers[index])
    }

    /// The numbers of a route, which begin with the first generation that has it.
    pub fn route(&self, id: Uuid) -> Arc<RouteStats> {
        let mut routes = self.routes.lock();
        Arc::clone(routes.entry(id).or_insert_with(|| Arc::new(RouteStats::new(self.workers.len()))))
    }

    pub fn unmatched(&self) -> Arc<RouteStats> {
        Arc::clone(&self.unmatched)
    }

    /// The numbers of a target, all services together.
    pub fn target(&self, address: &str) -> Arc<TargetStats> {
        let mut targets = self.targets.lock();
        if let Some(known) = targets.get(address) {
            return Arc::clone(known);
        }
        let cells = std::iter::repeat_with(TargetCell::default).take(self.workers.len()).collect();
        let fresh = Arc::new(TargetStats { cells });
        targets.insert(address.to_owned(), Arc::clone(&fresh));
        fresh
    }

    /// Forgets routes and targets that are no longer configured and that no exchange is using.
    pub fn forget_unused(&self) {
        self.routes.lock().retain(|_, stats| Arc::strong_count(stats) > 1);
        self.targets.lock().retain(|_, stats| Arc::strong_count(stats) > 1);
    }

    /// Whether samples are wanted.
    pub fn watch(&self, wanted: bool) {
        self.watched.store(wanted, Ordering::Relaxed);
    }

    /// What was sampled since the last time.
    pub fn take_sample(&self) -> Sample {
        let mut sample = Sample::default();
        for worker in &self.workers {
            worker.reservoir.lock().drain_into(&mut sample);
        }
        sample
    }

    /// Connections that clients opened.
    pub fn connections_accepted(&self) -> u64 {
        self.workers.iter().map(|worker| worker.connections_accepted.get()).sum()
    }

    /// Connections that were closed at once because there were too many.
    pub fn connections_refused(&self) -> u64 {
        self.workers.iter().map(|worker| worker.connections_refused.get()).sum()
    }

    /// All workers' numbers summed up. `routes` names what is configured: id, name and service of each route
    /// and its plugins; `plugins` the registry's names in its order.
    pub fn totals(&self, now: Duration, routes: &[RouteLabel<'_>], plugins: &[&'static str]) -> Totals {
        let mut totals = Totals { at_ms: now.as_millis() as u64, ..Totals::default() };
        for worker in &self.workers {
            totals.connections_open += worker.connections_open.get();
            totals.exchanges_in_flight += worker.in_flight.get();
            totals.bytes_in += worker.bytes_in.get();
            totals.bytes_out += worker.bytes_out.get();
            worker.latency.merge_into(&mut totals.latency);
            worker.gateway_latency.merge_into(&mut totals.gateway_latency);
            for (name, tally) in plugins.iter().zip(&worker.plugins) {
                let all = [&tally.passed, &tally.ended, &tally.failed].map(Tally::get);
                if all != [0; 3] {
                    let sum: &mut PluginTotals = totals.plugins.entry((*name).to_owned()).or_default();
                    sum.passed += all[0];
                    sum.ended += all[1];
                    sum.failed += all[2];
                }
            }
        }
        let known = self.routes.lock();
        for label in routes {
            let mut route = RouteTotals {
                service: label.service.to_owned(),
                plugins: label.plugins.iter().map(|name| (*name).to_owned()).collect(),
                ..RouteTotals::default()
            };
            if let Some(stats) = known.get(&label.id) {
                stats.merge_into(&mut route);
            }
            totals.routes.insert(label.name.to_owned(), route);
        }
        drop(known);
        let mut unmatched = RouteTotals::default();
        self.unmatched.merge_into(&mut unmatched);
        totals.routes.insert(String::new(), unmatched);
        for (address, stats) in self.targets.lock().iter() {
            totals.targets.insert(address.clone(), stats.totals());
        }
        totals
    }
}

/// How a route is called in the totals.
pub struct RouteLabel<'a> {
    pub id: Uuid,
    pub name: &'a str,
    pub service: &'a str,
    pub plugins: Vec<&'static str>,
}

impl WorkerStats {
    /// An exchange begins.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.add(1);
        UnderWay(self)
    }

    /// An exchange is over. `passed` are the places of the plugins that let it go on, `ended` of the one that
    /// didn't.
    pub fn count(
        &self,
        exchange: &Exchange,
        route: &RouteStats,
        passed: impl Iterator<Item = usize>,
        ended: Option<usize>,
    ) {
        let times = &exchange.times;
        self.bytes_in.add(times.request_bytes);
        self.bytes_out.add(times.response_bytes);
        self.latency.record(times.total_us);
        let upstream_us = times.upstream_us.unwrap_or(0) + times.earlier_attempts_us + times.receive_us;
        self.gateway_latency.record(times.total_us.saturating_sub(upstream_us));
        route.count(self.index, exchange);
        for place in passed {
            self.plugins[place].passed.add(1);
        }
        if let Some(place) = ended {
            let failed = matches!(exchange.outcome.reason, Reason::PluginFailed | Reason::Misconfigured);
            let tally = &self.plugins[place];
            if failed { &tally.failed } else { &tally.ended }.add(1);
        }
        if self.watched.load(Ordering::Relaxed) {
            self.reservoir.lock().offer(exchange);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.subtract(1);
    }
}

impl RouteStats {
    fn new(workers: usize) -> RouteStats {
        RouteStats { cells: std::iter::repeat_with(OnceLock::new).take(workers).collect() }
    }

    fn count(&self, worker: usize, exchange: &Exchange) {
        let cell = self.cells[worker].get_or_init(Box::default);
        let class = usize::from(exchange.response.status / 100);
        if (1..=5).contains(&class) {
            cell.classes[class - 1].add(1);
        }
        cell.reasons[exchange.outcome.reason as usize].add(1);
        cell.latency.record(exchange.times.total_us);
    }

    fn merge_into(&self, totals: &mut RouteTotals) {
        for cell in self.cells.iter().filter_map(OnceLock::get) {
            for (sum, tally) in totals.classes.iter_mut().zip(&cell.classes) {
                *sum += tally.get();
            }
            for (reason, tally) in Reason::ALL.iter().zip(&cell.reasons) {
                let count = tally.get();
                if count > 0 {
                    *totals.reasons.entry(*reason).or_default() += count;
                }
            }
            cell.latency.merge_into(&mut totals.latency);
        }
    }
}

impl TargetStats {
    /// An attempt begins.
    pub fn begin(&self, worker: usize) {
        let cell = &self.cells[worker];
        cell.attempts.add(1);
        cell.in_flight.add(1);
    }

    /// An attempt is over.
    pub fn end(&self, worker: usize, failed: bool) {
        let cell = &self.cells[worker];
        cell.in_flight.subtract(1);
        if failed {
            cell.failures.add(1);
        }
    }

    fn totals(&self) -> TargetTotals {
        let sum = |part: fn(&TargetCell) -> &Tally| self.cells.iter().map(|cell| part(cell).get()).sum();
        TargetTotals {
            attempts: sum(|cell| &cell.attempts),
            failures: sum(|cell| &cell.failures),
            in_flight: sum(|cell| &cell.in_flight),
            health: String::new(),
        }
    }
}

/// Unix time of a duration since 1970, for people.
pub fn http_date(unix: Duration) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + unix)
}
