//! Kong's `http-log`: an entry for every request, posted to an HTTP collector.
//!
//! What an entry looks like is `log_entry`'s matter, how it gets to the collector that of the outbox. Here are
//! the settings, and the one call that a worker makes.

mod custom_fields;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use parking_lot::Mutex;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use self::custom_fields::CustomFields;
use super::log_entry::{self, Entities};
use super::lua;
use super::outbox::{self, Clerk, Limits, Packing, Paper, Settings, Target};
use super::registry::Build;
use super::{Phases, Plugin};
use crate::exchange::Record as Exchange;
use crate::schema::Literal::{Bool, Float, Int, Text};
use crate::schema::{
    self, Pattern, PluginSchema, Record, Type, boolean, field, integer, map, number, record, string, typedefs,
};

static CONFIG: Record = Record::new(&[
    field(
        "http_endpoint",
        typedefs::url()
            .required()
            .referenceable()
            .about("where entries are sent; with credentials for basic authentication, if need be"),
    ),
    field(
        "method",
        string()
            .default(Text("POST"))
            .one_of(&[Text("POST"), Text("PUT"), Text("PATCH")])
            .about("the request's method"),
    ),
    field(
        "content_type",
        string()
            .default(Text("application/json"))
            .one_of(&[Text("application/json"), Text("application/json; charset=utf-8")])
            .about("the request's Content-Type"),
    ),
    field(
        "timeout",
        number().default(Int(10_000)).about("milliseconds to connect, and until the collector answers"),
    ),
    field("keepalive", number().default(Int(60_000)).about("milliseconds that an idle connection is kept")),
    field(
        "ssl_verify",
        boolean()
            .required()
            .default(Bool(false))
            .about("whether the collector's certificate has to be valid"),
    ),
    field("retry_count", integer().deprecated("`queue.max_retry_time`").about("has no effect")),
    field(
        "queue_size",
        integer().deprecated("`queue.max_batch_size`").about("`queue.max_batch_size`, unless it is 1"),
    ),
    field(
        "flush_timeout",
        number()
            .deprecated("`queue.max_coalescing_delay`")
            .about("`queue.max_coalescing_delay`, unless it is 2"),
    ),
    field("headers", map(&HEADER_NAME, &HEADER_VALUE).about("headers to add to the request")),
    field("queue", record(&QUEUE)),
    field(
        "custom_fields_by_lua",
        map(&FIELD_NAME, &CHUNK)
            .about("Lua code by field; what it returns is put there, nil removes the field"),
    ),
])
.check(|config| {
    let url = config.get("http_endpoint").and_then(Value::as_str).unwrap_or_default();
    let headers = config.get("headers").and_then(Value::as_object);
    let authorization = |headers: &serde_json::Map<String, Value>| {
        headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
    };
    if headers.is_some_and(authorization) && schema::Url::parse(url).userinfo.is_some() {
        return Err(
            "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"
                .to_owned(),
        );
    }
    endpoint(url).map(|_| ())
});
static HEADER_NAME: Type = typedefs::header_name().forbids(&[
    Pattern { test: |name| name.eq_ignore_ascii_case("host"), error: "cannot contain 'Host' header" },
    Pattern {
        test: |name| name.eq_ignore_ascii_case("content-length"),
        error: "cannot contain 'Content-Length' header",
    },
    Pattern {
        test: |name| name.eq_ignore_ascii_case("content-type"),
        error: "cannot contain 'Content-Type' header",
    },
]);
static HEADER_VALUE: Type = string().referenceable();
static FIELD_NAME: Type = string();
static CHUNK: Type = string().check(lua::check_syntax);
static QUEUE: Record = Record::new(&[
    field(
        "max_batch_size",
        integer()
            .default(Int(1))
            .between(1.0, 1_000_000.0)
            .about("entries sent in one request; from 2 on requests hold a list"),
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
]);
pub static SCHEMA: PluginSchema =
    PluginSchema::new("http-log", &CONFIG).about("sends an entry about every request to an HTTP collector");

struct HttpLog {
    sender: Arc<outbox::Sender>,
}

/// Writes log entries.
struct EntryClerk {
    plugin: Uuid,
    entities: Arc<Mutex<Entities>>,
    fields: Option<CustomFields>,
}

#[derive(Deserialize)]
struct Config {
    http_endpoint: String,
    method: String,
    content_type: String,
    timeout: f64,
    keepalive: f64,
    #[serde(default)]
    ssl_verify: bool,
    queue_size: Option<f64>,
    flush_timeout: Option<f64>,
    headers: Option<BTreeMap<String, String>>,
    queue: Queue,
    custom_fields_by_lua: Option<IndexMap<String, String>>,
}

#[derive(Deserialize)]
struct Queue {
    max_batch_size: f64,
    max_coalescing_delay: f64,
    max_entries: f64,
    max_bytes: Option<f64>,
    max_retry_time: f64,
    initial_retry_delay: f64,
    max_retry_delay: f64,
    concurrency_limit: f64,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let config: Config = build.settings()?;
    let settings = config.settings()?;
    let fields = config.custom_fields_by_lua.filter(|fields| !fields.is_empty());
    let fields = fields.map(|fields| CustomFields::new(&fields)).transpose()?;
    let entities = Arc::clone(&build.environment.log_entities);
    let clerk = EntryClerk { plugin: build.id, entities, fields };
    Ok(Arc::new(HttpLog { sender: build.environment.logs.sender(build.id, settings, Box::new(clerk))? }))
}

impl Plugin for HttpLog {
    fn phases(&self) -> Phases {
        Phases::LOG
    }

    fn log(&self, record: &Arc<Exchange>) {
        self.sender.submit(record, 1);
    }
}

impl Clerk for EntryClerk {
    fn write(&self, record: &Exchange, paper: &mut Paper) {
        let mut entry = Vec::with_capacity(2048);
        log_entry::write(&mut entry, record, &mut self.entities.lock());
        if let Some(fields) = &self.fields {
            let (changed, failures) = fields.apply(record, entry);
            entry = changed;
            paper.faults += failures.len() as u64;
            for (field, error) in failures {
                tracing::warn!(plugin = %self.plugin, field, "custom field failed, the entry goes without it: {error}");
            }
        }
        paper.entries.push(Bytes::from(entry));
    }
}

impl Config {
    /// With names of old applied: a value equal to its old default says nothing.
    fn settings(&self) -> Result<Settings, String> {
        let queue = &self.queue;
        let batch = self.queue_size.filter(|size| differs(*size, 1.0)).unwrap_or(queue.max_batch_size);
        let delay =
            self.flush_timeout.filter(|time| differs(*time, 2.0)).unwrap_or(queue.max_coalescing_delay);
        let limits = Limits {
            max_batch_size: (batch as usize).max(1),
            max_coalescing_delay: seconds(delay),
            max_entries: queue.max_entries as usize,
            max_bytes: queue.max_bytes.map(|bytes| bytes as usize),
            max_retry_time: (queue.max_retry_time >= 0.0).then(|| seconds(queue.max_retry_time)),
            initial_retry_delay: seconds(queue.initial_retry_delay),
            max_retry_delay: seconds(queue.max_retry_delay),
            unlimited: queue.concurrency_limit < 0.0,
        };
        let target = Target {
            endpoint: endpoint(&self.http_endpoint)?,
            method: self.method.clone(),
            content_type: self.content_type.clone(),
            headers: self.headers.clone().unwrap_or_default().into_iter().collect(),
            connect_timeout: seconds(self.timeout / 1_000.0),
            timeout: seconds(self.timeout / 1_000.0),
            keepalive: seconds(self.keepalive / 1_000.0),
            verify: self.ssl_verify,
            packing: if limits.max_batch_size > 1 { Packing::List } else { Packing::Single },
        };
        Ok(Settings { target, limits })
    }
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("http_endpoint is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("http_endpoint has the scheme {scheme}: use http or https")),
    }
}

fn differs(setting: f64, default: f64) -> bool {
    (setting - default).abs() > f64::EPSILON
}

/// Settings are checked to be sensible, but not to be short.
fn seconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
