//! Kong's `http-log`: an entry for every request, posted to an HTTP collector.
//!
//! What an entry looks like is `log_entry`'s matter, how it gets to the collector that of the outbox. Here are
//! the settings, and the one call that a worker makes.

mod custom_fields;

use std::collections::BTreeMap;
use std::sync::Arc;

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
use super::outbox::{self, Clerk, Packing, Paper, QueueSettings, Settings, Target, differs, seconds};
use super::registry::Build;
use super::{Phases, Plugin};
use crate::exchange::Record as Exchange;
use crate::schema::Literal::{Bool, Int, Text};
use crate::schema::{
    self, Field, Pattern, PluginSchema, Record, Type, boolean, field, integer, map, number, record, string,
    typedefs,
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
static QUEUE: Record = Record::new(&QUEUE_FIELDS);
static QUEUE_FIELDS: [Field; 8] = outbox::queue_fields(1);
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
    queue: QueueSettings,
    custom_fields_by_lua: Option<IndexMap<String, String>>,
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
        let draft = &mut paper.draft;
        draft.clear();
        log_entry::write(draft, record, &mut self.entities.lock());
        if let Some(fields) = &self.fields {
            let (changed, failures) = fields.apply(record, std::mem::take(draft));
            *draft = changed;
            paper.faults += failures.len() as u64;
            for (field, error) in failures {
                tracing::warn!(plugin = %self.plugin, field, "custom field failed, the entry goes without it: {error}");
            }
        }
        paper.entries.push(Bytes::copy_from_slice(draft));
    }
}

impl Config {
    /// With names of old applied: a value equal to its old default says nothing.
    fn settings(&self) -> Result<Settings, String> {
        let batch = self.queue_size.filter(|size| differs(*size, 1.0));
        let delay = self.flush_timeout.filter(|time| differs(*time, 2.0));
        let limits = self.queue.limits(batch, delay);
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
    outbox::endpoint("http_endpoint", text)
}

#[cfg(test)]
mod tests;
