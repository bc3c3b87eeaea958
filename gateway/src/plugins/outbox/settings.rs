//! Kong's `config.queue`, which all plugins that send have alike.

use std::time::Duration;

use serde::Deserialize;

use super::queue::Limits;
use crate::schema::Literal::{Float, Int};
use crate::schema::{Field, field, integer, number};

/// The settings as their schema leaves them. Times are seconds.
#[derive(Debug, Deserialize)]
pub struct QueueSettings {
    max_batch_size: f64,
    max_coalescing_delay: f64,
    max_entries: f64,
    max_bytes: Option<f64>,
    max_retry_time: f64,
    initial_retry_delay: f64,
    max_retry_delay: f64,
    concurrency_limit: f64,
}

/// Their schema, for a plugin that sends so many entries at once.
pub const fn queue_fields(batch: i64) -> [Field; 8] {
    [
        field(
            "max_batch_size",
            integer().default(Int(batch)).between(1.0, 1_000_000.0).about("entries sent in one request"),
        ),
        field(
            "max_coalescing_delay",
            number().default(Int(1)).between(0.0, 3_600.0).about("seconds that a batch waits to be full"),
        ),
        field(
            "max_entries",
            integer()
                .default(Int(10_000))
                .between(1.0, 1_000_000.0)
                .about("entries that may wait; the oldest give way"),
        ),
        field("max_bytes", integer().about("bytes that may wait; the oldest entries give way")),
        field(
            "max_retry_time",
            number().default(Int(60)).about("seconds after which a batch is given up; -1: after one attempt"),
        ),
        field(
            "initial_retry_delay",
            number()
                .default(Float(0.01))
                .between(0.001, 1_000_000.0)
                .about("seconds before the first retry, doubled for each further one"),
        ),
        field(
            "max_retry_delay",
            number()
                .default(Int(60))
                .between(0.001, 1_000_000.0)
                .about("longest wait between retries, in seconds"),
        ),
        field(
            "concurrency_limit",
            integer()
                .default(Int(1))
                .one_of(&[Int(-1), Int(1)])
                .about("1: one request after another; -1: one at once for every entry"),
        ),
    ]
}

impl QueueSettings {
    /// What they mean, where settings of old don't say otherwise.
    pub fn limits(&self, old_batch: Option<f64>, old_delay: Option<f64>) -> Limits {
        Limits {
            max_batch_size: (old_batch.unwrap_or(self.max_batch_size) as usize).max(1),
            max_coalescing_delay: seconds(old_delay.unwrap_or(self.max_coalescing_delay)),
            max_entries: self.max_entries as usize,
            max_bytes: self.max_bytes.map(|bytes| bytes as usize),
            max_retry_time: (self.max_retry_time >= 0.0).then(|| seconds(self.max_retry_time)),
            initial_retry_delay: seconds(self.initial_retry_delay),
            max_retry_delay: seconds(self.max_retry_delay),
            unlimited: self.concurrency_limit < 0.0,
        }
    }
}

/// Whether a setting of old says something: its default doesn't.
pub fn differs(setting: f64, default: f64) -> bool {
    (setting - default).abs() > f64::EPSILON
}

/// Settings are checked to be sensible, but not to be short.
pub fn seconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time.max(0.0)).unwrap_or(Duration::MAX)
}
