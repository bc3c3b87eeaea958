//! The numbers: each thread counts in a table of its own, under a lock that only whoever reads `/metrics` ever wants
//! too, and not for long.
//!
//! Series are found by the route as an object, which is made anew with every configuration; those of routes that no
//! longer serve are added up by name when somebody reads. The number of series is bounded, and what has no room is
//! counted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::HashMap;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::exchange::{Exchange, Source};
use crate::model::{Consumer, Route, Service};

/// Tables: a thread has one of its own unless there are more threads than these.
const TABLES: usize = 16;
/// Most label sets of one kind that a table keeps for a route.
const MOST: usize = 10_000;

/// Upper ends in milliseconds, as in Kong; of the gateway's own time, and of the other two.
const OWN_BOUNDS: [u64; 17] = [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1_000, 3_000, 6_000];
const BOUNDS: [u64; 13] = [25, 50, 80, 100, 250, 400, 700, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// What an instance wants counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) statuses: bool,
    pub(super) latencies: bool,
    pub(super) bytes: bool,
    pub(super) by_consumer: bool,
}

/// All series of the process.
#[derive(Default)]
pub struct Series {
    tables: [Mutex<HashMap<usize, OfRoute>>; TABLES],
    /// Of routes that serve no more, by service and route.
    retired: Mutex<BTreeMap<(String, String), Numbers>>,
    overflowed: AtomicU64,
}

struct OfRoute {
    /// Held, so that its address stays its own.
    route: Arc<Route>,
    service: Option<Arc<Service>>,
    numbers: Numbers,
}

#[derive(Default, Clone)]
struct Numbers {
    /// By status, whether the upstream answered, and consumer.
    statuses: HashMap<(u16, bool, Option<Uuid>), Labelled>,
    /// By whether they were sent to the client, and consumer.
    bytes: HashMap<(bool, Option<Uuid>), Labelled>,
    own: Histogram<17>,
    upstream: Histogram<13>,
    request: Histogram<13>,
}

#[derive(Clone)]
struct Labelled {
    /// Empty without one.
    consumer: Arc<str>,
    value: u64,
}

#[derive(Clone)]
struct Histogram<const N: usize> {
    /// Up to each bound, and beyond; not cumulative.
    buckets: [u64; N],
    beyond: u64,
    sum: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram { buckets: [0; N], beyond: 0, sum: 0 }
    }
}

impl Series {
    /// Counts a finished exchange. Without a route there is nothing to count it under.
    pub(super) fn count(&self, counted: Counted, exchange: &Exchange) {
        let Some(matched) = &exchange.matched else { return };
        let mut table = self.tables[own_table()].lock();
        let numbers = &mut table
            .entry(Arc::as_ptr(&matched.route) as usize)
            .or_insert_with(|| OfRoute {
                route: Arc::clone(&matched.route),
                service: matched.service.clone(),
                numbers: Numbers::default(),
            })
            .numbers;
        let consumer = exchange.consumer.as_ref().filter(|_| counted.by_consumer);
        let id = consumer.map(|consumer| consumer.id);
        let mut fits = true;
        if counted.statuses {
            let by_service = exchange.outcome.source == Source::Service;
            fits &= add(&mut numbers.statuses, (exchange.response.status, by_service, id), consumer, 1);
        }
        if counted.bytes {
            fits &= add(&mut numbers.bytes, (false, id), consumer, exchange.times.request_bytes);
            fits &= add(&mut numbers.bytes, (true, id), consumer, exchange.times.response_bytes);
        }
        if counted.latencies {
            let times = &exchange.times;
            numbers.own.record(&OWN_BOUNDS, times.forwarded_us.unwrap_or(times.answered_us) / 1_000);
            numbers.request.record(&BOUNDS, times.total_us / 1_000);
            if let Some(upstream_us) = times.upstream_us {
                numbers.upstream.record(&BOUNDS, upstream_us / 1_000);
            }
        }
        if !fits {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts that had no room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Everything about requests in Prometheus' text format: each family's name and its text.
    pub fn families(&self) -> Vec<(&'static str, String)> {
        let all = self.sums();
        vec![
            bandwidth(&all),
            statuses(&all),
            histogram(
                "kong_kong_latency_ms",
                "Latency added by Kong and enabled plugins for each service/route in Kong",
                &all,
                &OWN_BOUNDS,
                |numbers| &numbers.own,
            ),
            histogram(
                "kong_request_latency_ms",
                "Total latency incurred during requests for each service/route in Kong",
                &all,
                &BOUNDS,
                |numbers| &numbers.request,
            ),
            histogram(
                "kong_upstream_latency_ms",
                "Latency added by upstream response for each service/route in Kong",
                &all,
                &BOUNDS,
                |numbers| &numbers.upstream,
            ),
        ]
    }

    /// All tables together, by service and route.
    fn sums(&self) -> BTreeMap<(String, String), Numbers> {
        let mut retired = self.retired.lock();
        let mut live: BTreeMap<(String, String), Numbers> = BTreeMap::new();
        for table in &self.tables {
            let mut table = table.lock();
            let gone = |of: &OfRoute| Arc::strong_count(&of.route) == 1;
            for (_, of) in table.extract_if(|_, of| gone(of)) {
                retired.entry(of.names()).or_default().add(&of.numbers);
            }
            for of in table.values() {
                live.entry(of.names()).or_default().add(&of.numbers);
            }
        }
        for (names, numbers) in &*retired {
            live.entry(names.clone()).or_default().add(numbers);
        }
        live
    }
}

/// The table of the thread that asks.
fn own_table() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % TABLES;
    }
    OWN.with(|own| *own)
}

/// Adds to a series, if there is room for it. What was never above zero is no series, as in Kong.
fn add<K: std::hash::Hash + Eq>(
    series: &mut HashMap<K, Labelled>,
    key: K,
    consumer: Option<&Arc<Consumer>>,
    value: u64,
) -> bool {
    if value == 0 {
        return true;
    }
    if let Some(known) = series.get_mut(&key) {
        known.value += value;
        return true;
    }
    if series.len() >= MOST {
        return false;
    }
    let name = consumer.and_then(|consumer| consumer.username.as_deref()).unwrap_or_default();
    series.insert(key, Labelled { consumer: name.into(), value });
    true
}

impl OfRoute {
    /// As labels: a service's name, else its host; a route's name, else its id.
    fn names(&self) -> (String, String) {
        let service = self.service.as_ref();
        let service = service.map(|service| service.name.clone().unwrap_or_else(|| service.host.clone()));
        let route = self.route.name.clone().unwrap_or_else(|| self.route.id.to_string());
        (service.unwrap_or_default(), route)
    }
}

impl Numbers {
    fn add(&mut self, other: &Numbers) {
        fn merge<K: std::hash::Hash + Eq + Copy>(
            into: &mut HashMap<K, Labelled>,
            from: &HashMap<K, Labelled>,
        ) {
            for (key, other) in from {
                let sum = into.entry(*key).or_insert_with(|| Labelled { value: 0, ..other.clone() });
                sum.value += other.value;
            }
        }
        merge(&mut self.statuses, &other.statuses);
        merge(&mut self.bytes, &other.bytes);
        self.own.add(&other.own);
        self.upstream.add(&other.upstream);
        self.request.add(&other.request);
    }
}

impl<const N: usize> Histogram<N> {
    fn record(&mut self, bounds: &[u64; N], value: u64) {
        match bounds.iter().position(|bound| value <= *bound) {
            Some(at) => self.buckets[at] += 1,
            None => self.beyond += 1,
        }
        self.sum += value;
    }

    fn add(&mut self, other: &Histogram<N>) {
        for (sum, part) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += part;
        }
        self.beyond += other.beyond;
        self.sum += other.sum;
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum::<u64>() + self.beyond
    }
}

type Sums = BTreeMap<(String, String), Numbers>;

fn bandwidth(all: &Sums) -> (&'static str, String) {
    let lines = all.iter().flat_map(|((service, route), numbers)| {
        numbers.bytes.iter().map(move |((sent, _), of)| {
            let direction = if *sent { "egress" } else { "ingress" };
            let labels = [
                ("service", &**service),
                ("route", route),
                ("direction", direction),
                ("workspace", "default"),
                ("consumer", &of.consumer),
            ];
            (label_set(&labels), of.value)
        })
    });
    counter("kong_bandwidth_bytes", "Total bandwidth (ingress/egress) throughput in bytes", lines)
}

fn statuses(all: &Sums) -> (&'static str, String) {
    let lines = all.iter().flat_map(|((service, route), numbers)| {
        numbers.statuses.iter().map(move |((status, by_service, _), of)| {
            let labels = [
                ("service", &**service),
                ("route", route),
                ("code", &status.to_string()),
                ("source", if *by_service { "service" } else { "kong" }),
                ("workspace", "default"),
                ("consumer", &of.consumer),
            ];
            (label_set(&labels), of.value)
        })
    });
    let help = "HTTP status codes per consumer/service/route in Kong";
    counter("kong_http_requests_total", help, lines)
}

fn counter(
    name: &'static str,
    help: &str,
    lines: impl Iterator<Item = (String, u64)>,
) -> (&'static str, String) {
    // Consumers of one name, and routes of one, are one series.
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (labels, value) in lines {
        *sums.entry(labels).or_default() += value;
    }
    let mut text = String::new();
    if !sums.is_empty() {
        header(&mut text, name, help, "counter");
    }
    for (labels, value) in sums {
        line(&mut text, name, &labels, value);
    }
    (name, text)
}

fn histogram<const N: usize>(
    name: &'static str,
    help: &str,
    all: &Sums,
    bounds: &[u64; N],
    of: impl Fn(&Numbers) -> &Histogram<N>,
) -> (&'static str, String) {
    let (mut buckets, mut counts, mut sums) = (String::new(), String::new(), String::new());
    for ((service, route), numbers) in all {
        let histogram = of(numbers);
        let count = histogram.count();
        if count == 0 {
            continue;
        }
        let labels = [("service", &**service), ("route", route), ("workspace", "default")];
        let mut below = 0;
        for (bound, bucket) in bounds.iter().zip(&histogram.buckets) {
            below += bucket;
            let bound = bound.to_string();
            let with_bound = [&labels[..], &[("le", &*bound)]].concat();
            line(&mut buckets, &format!("{name}_bucket"), &label_set(&with_bound), below);
        }
        let all = [&labels[..], &[("le", "+Inf")]].concat();
        line(&mut buckets, &format!("{name}_bucket"), &label_set(&all), count);
        line(&mut counts, &format!("{name}_count"), &label_set(&labels), count);
        line(&mut sums, &format!("{name}_sum"), &label_set(&labels), histogram.sum);
    }
    let mut text = String::new();
    if !buckets.is_empty() {
        header(&mut text, name, help, "histogram");
        text.extend([buckets, counts, sums]);
    }
    (name, text)
}

/// The two lines before a family.
pub fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string can't fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

pub fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(out, "{name}{labels} {value}");
}

/// Labels in braces, or nothing.
pub fn label_set(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        let _ = write!(text, "{}{name}=\"{value}\"", if text.is_empty() { '{' } else { ',' });
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}
