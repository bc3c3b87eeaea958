//! What happened to the load, per kind of request and status.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::latency::Latency;
use super::plan::{Plan, Planned};

/// Everything that was sent.
#[derive(Debug, Clone)]
pub struct Summary {
    pub rows: Vec<Row>,
    /// The first failures, in the order in which they were due.
    pub failures: Vec<Failed>,
    pub took: Duration,
    /// Requests per second that were planned.
    pub planned_rate: f64,
}

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Row {
    pub title: String,
    pub statuses: BTreeMap<u16, u64>,
    /// No whole reply.
    pub unanswered: u64,
    /// Not as it should be: unanswered, or a bad status.
    pub failed: u64,
    pub latency: Latency,
}

/// A request that was not answered as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When it was due, from the start.
    pub at: Duration,
    pub took: Duration,
    pub request: String,
    pub cause: String,
}

impl Row {
    pub(super) fn new(planned: &Planned) -> Row {
        Row {
            title: planned.title.clone(),
            statuses: BTreeMap::new(),
            unanswered: 0,
            failed: 0,
            latency: Latency::default(),
        }
    }

    pub(super) fn count(&mut self, status: Option<u16>, latency: Duration) {
        match status {
            Some(status) => *self.statuses.entry(status).or_default() += 1,
            None => self.unanswered += 1,
        }
        self.latency.record(latency);
    }

    pub fn sent(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.unanswered
    }

    fn add(&mut self, other: &Row) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.failed += other.failed;
        self.latency.add(&other.latency);
    }
}

impl Summary {
    pub(super) fn new(plan: &Plan, took: Duration) -> Summary {
        let rows = plan.mix.iter().map(Row::new).collect();
        Summary { rows, failures: Vec::new(), took, planned_rate: plan.rate }
    }

    pub(super) fn add(&mut self, rows: Vec<Row>, failures: Vec<Failed>) {
        for (own, row) in self.rows.iter_mut().zip(&rows) {
            own.add(row);
        }
        self.failures.extend(failures);
    }

    pub fn sent(&self) -> u64 {
        self.rows.iter().map(Row::sent).sum()
    }

    pub fn failed(&self) -> u64 {
        self.rows.iter().map(|row| row.failed).sum()
    }

    /// By status, with `failed` for what had no reply.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for row in &self.rows {
            for (status, count) in &row.statuses {
                *counts.entry(status.to_string()).or_default() += count;
            }
            if row.unanswered > 0 {
                *counts.entry("failed".to_owned()).or_default() += row.unanswered;
            }
        }
        counts
    }

    pub fn latency(&self) -> Latency {
        let mut all = Latency::default();
        self.rows.iter().for_each(|row| all.add(&row.latency));
        all
    }

    /// As a table for a person.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let seconds = self.took.as_secs_f64().max(0.001);
        let mut out = format!(
            "{} requests in {seconds:.1} s: {:.0}/s of {:.0}/s planned, {} failed\n",
            self.sent(),
            self.sent() as f64 / seconds,
            self.planned_rate,
            self.failed()
        );
        let width = self.rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0).max(7);
        let _ = writeln!(
            out,
            "  {:width$}  {:>9} {:>8} {:>9} {:>9} {:>9} {:>9}  statuses",
            "request", "sent", "failed", "p50 ms", "p90 ms", "p99 ms", "max ms"
        );
        for row in &self.rows {
            let ms = |quantile: f64| row.latency.at(quantile).as_secs_f64() * 1_000.0;
            let mut statuses: Vec<String> =
                row.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
            if row.unanswered > 0 {
                statuses.push(format!("{} unanswered", row.unanswered));
            }
            let _ = writeln!(
                out,
                "  {:width$}  {:>9} {:>8} {:>9.2} {:>9.2} {:>9.2} {:>9.2}  {}",
                row.title,
                row.sent(),
                row.failed,
                ms(0.5),
                ms(0.9),
                ms(0.99),
                ms(1.0),
                statuses.join(", ")
            );
        }
        for failure in self.failures.iter().take(5) {
            let at = failure.at.as_secs_f64();
            let _ = writeln!(out, "  failed at {at:.3} s: {}: {}", failure.request, failure.cause);
        }
        out
    }

    /// The same for programs; times in microseconds.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let micros = |quantile: f64| row.latency.at(quantile).as_micros() as u64;
                json!({
                    "request": row.title, "sent": row.sent(), "failed": row.failed,
                    "unanswered": row.unanswered, "statuses": row.statuses,
                    "latency_us": {"p50": micros(0.5), "p90": micros(0.9), "p99": micros(0.99), "max": micros(1.0)},
                })
            })
            .collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|failed| json!({"at_us": failed.at.as_micros() as u64, "request": failed.request, "cause": failed.cause}))
            .collect();
        json!({
            "seconds": self.took.as_secs_f64(), "sent": self.sent(), "failed": self.failed(),
            "planned_rate": self.planned_rate, "requests": rows, "failures": failures,
        })
    }
}
