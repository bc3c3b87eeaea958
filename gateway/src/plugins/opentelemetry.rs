//! Kong's `opentelemetry`: passes traces on, and sends spans of sampled requests to a collector, such as Jaeger's.
//!
//! Here are the settings and the moments at which it decides. What is recorded is `exchange::trace`'s matter, how spans
//! look that of `telemetry::spans`, and how they get to the collector that of the outbox. Where no such plugin runs,
//! [`process`] traces, if the process was told to.
//!
//! Deliberately absent is the export of the gateway's own log lines: a `logs_endpoint` is accepted, checked, and told to
//! have no effect.

pub mod process;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use traces::{Format, otlp};
use uuid::Uuid;

use super::environment::{Environment, Node};
use super::outbox::{self, Clerk, Packing, Paper, QueueSettings, Sender, Settings, Target, differs, seconds};
use super::registry::Build;
use super::{Flow, Phases, Plugin};
use crate::exchange::trace::{Collect, Inject, Parent, Propagation, Sampler, Share, Tracing};
use crate::exchange::{Exchange, Record as Finished};
use crate::schema::Literal::{self, Int, Text};
use crate::schema::{
    Check, Field, Legacy, PluginSchema, Record, Type, array, field, integer, map, number, record, string,
    typedefs,
};
use crate::telemetry::spans::Vocabulary;

/// What spans say the service is called, unless told otherwise.
pub const SERVICE_NAME: &str = "kong";
/// Kong's order of looking, before one could choose.
const USUAL_ORDER: [Format; 8] = [
    Format::B3,
    Format::W3c,
    Format::Jaeger,
    Format::Ot,
    Format::Datadog,
    Format::Aws,
    Format::Gcp,
    Format::Instana,
];
const READABLE: &[Literal] = &[
    Text("aws"),
    Text("b3"),
    Text("datadog"),
    Text("gcp"),
    Text("instana"),
    Text("jaeger"),
    Text("ot"),
    Text("w3c"),
];
const INJECTABLE: &[Literal] = &[
    Text("preserve"),
    Text("aws"),
    Text("b3"),
    Text("b3-single"),
    Text("datadog"),
    Text("gcp"),
    Text("instana"),
    Text("jaeger"),
    Text("ot"),
    Text("w3c"),
];
const WRITABLE: &[Literal] = &[
    Text("aws"),
    Text("b3"),
    Text("b3-single"),
    Text("datadog"),
    Text("gcp"),
    Text("instana"),
    Text("jaeger"),
    Text("ot"),
    Text("w3c"),
];

static CONFIG: Record = Record::new(&[
    field(
        "traces_endpoint",
        typedefs::url().referenceable().about("where spans are sent, such as http://jaeger:4318/v1/traces"),
    ),
    field("logs_endpoint", typedefs::url().referenceable().about("has no effect")),
    field("headers", map(&HEADER_NAME, &HEADER_VALUE).about("headers to add to the request")),
    field(
        "resource_attributes",
        map(&ATTRIBUTE, &ATTRIBUTE).about(
            "what spans say of the gateway, over service.name, service.instance.id and service.version",
        ),
    ),
    field("queue", record(&QUEUE)),
    field(
        "batch_span_count",
        integer().deprecated("`queue.max_batch_size`").about("`queue.max_batch_size`, unless it is 200"),
    ),
    field(
        "batch_flush_delay",
        integer()
            .deprecated("`queue.max_coalescing_delay`")
            .about("`queue.max_coalescing_delay`, unless it is 3"),
    ),
    field("connect_timeout", typedefs::timeout().default(Int(1_000)).about("milliseconds to connect")),
    field("send_timeout", typedefs::timeout().default(Int(5_000)).about("milliseconds to send a batch")),
    field("read_timeout", typedefs::timeout().default(Int(5_000)).about("milliseconds to the answer")),
    field("http_response_header_for_traceid", string().about("answers carry the trace id in this header")),
    field(
        "header_type",
        string()
            .default(Text("preserve"))
            .one_of(&[
                Text("preserve"),
                Text("ignore"),
                Text("b3"),
                Text("b3-single"),
                Text("w3c"),
                Text("jaeger"),
                Text("ot"),
                Text("aws"),
                Text("datadog"),
                Text("gcp"),
                Text("instana"),
            ])
            .deprecated("`propagation`")
            .about("the format to go on in, while `propagation` names none"),
    ),
    field(
        "sampling_rate",
        number().between(0.0, 1.0).about("the share of traces that is sampled; else the process decides"),
    ),
    field(
        "sampling_strategy",
        string()
            .default(Text("parent_drop_probability_fallback"))
            .one_of(&[Text("parent_drop_probability_fallback"), Text("parent_probability_fallback")])
            .about("whether a caller can only prevent sampling, or decides both ways"),
    ),
    field("propagation", record(&PROPAGATION)),
])
.legacy(&[Legacy::alias("endpoint", typedefs::url().referenceable(), "traces_endpoint")])
.checks(&[Check::AtLeastOneOf(&["traces_endpoint", "logs_endpoint"])])
.check(|config| match config.get("traces_endpoint").and_then(Value::as_str) {
    Some(url) => endpoint(url).map(|_| ()),
    None => Ok(()),
});
static READ: Type = string().one_of(READABLE);
static NAME: Type = typedefs::header_name();
static WRITE: Type = string().one_of(INJECTABLE);
static HEADER_NAME: Type = typedefs::header_name();
static HEADER_VALUE: Type = string().referenceable();
static ATTRIBUTE: Type = string().required();
static QUEUE: Record = Record::new(&QUEUE_FIELDS);
static QUEUE_FIELDS: [Field; 8] = outbox::queue_fields(200);
static PROPAGATION: Record = Record::new(&[
    field("extract", array(&READ).about("formats in which requests are understood; the first found counts")),
    field("clear", array(&NAME).about("headers that end here")),
    field("inject", array(&WRITE).about("formats in which requests go on")),
    field(
        "default_format",
        string()
            .required()
            .default(Text("w3c"))
            .one_of(WRITABLE)
            .about("what `preserve` means for a request that came without a trace"),
    ),
]);

pub static SCHEMA: PluginSchema = PluginSchema::new("opentelemetry", &CONFIG)
    .about("passes traces on and sends spans to a collector, such as Jaeger");

/// The phases of Kong's, and the decision about the trace.
pub const PHASES: Phases = Phases::ACCESS.and(Phases::HEADER_FILTER).and(Phases::TRACE);

struct OpenTelemetry {
    tracing: Arc<Tracing>,
}

/// Sends spans of records.
struct SpanCollector(Arc<Sender>);

/// Writes spans.
struct SpanClerk(Vocabulary);

#[derive(Deserialize)]
struct Config {
    traces_endpoint: Option<String>,
    logs_endpoint: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    resource_attributes: Option<IndexMap<String, String>>,
    queue: QueueSettings,
    batch_span_count: Option<f64>,
    batch_flush_delay: Option<f64>,
    connect_timeout: f64,
    send_timeout: f64,
    read_timeout: f64,
    http_response_header_for_traceid: Option<String>,
    header_type: Option<String>,
    sampling_rate: Option<f64>,
    sampling_strategy: String,
    propagation: PropagationConfig,
}

#[derive(Deserialize)]
struct PropagationConfig {
    extract: Option<Vec<String>>,
    clear: Option<Vec<String>>,
    inject: Option<Vec<String>>,
    default_format: String,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let config: Config = build.settings()?;
    let environment = build.environment;
    if config.logs_endpoint.is_some() {
        tracing::warn!(plugin = %build.id, "logs_endpoint has no effect: the gateway's log goes to its standard error");
    }
    if environment.instruments.is_empty() && config.traces_endpoint.is_some() {
        tracing::warn!(
            plugin = %build.id,
            "no spans are sent: start the gateway with --tracing-instrumentations all, or \
             KONG_TRACING_INSTRUMENTATIONS=all"
        );
    }
    let collector = config.traces_endpoint.as_deref().map(|url| -> Result<Arc<dyn Collect>, String> {
        let speaker = config.speaker(environment);
        let target = config.target(url, &speaker)?;
        let batch = config.batch_span_count.filter(|count| differs(*count, 200.0));
        let delay = config.batch_flush_delay.filter(|time| differs(*time, 3.0));
        let settings = Settings { target, limits: config.queue.limits(batch, delay) };
        collector(environment, build.id, settings, Vocabulary::Kong)
    });
    let parent = match &*config.sampling_strategy {
        "parent_probability_fallback" => Parent::Followed,
        _ => Parent::Veto,
    };
    let rate = config.sampling_rate.unwrap_or(environment.sampling_rate);
    let tracing = Tracing {
        propagation: config.propagation(),
        sampler: Sampler { parent, rate, share: Share::Kong },
        instruments: environment.instruments,
        response_header: config.http_response_header_for_traceid,
        collector: collector.transpose()?,
    };
    Ok(Arc::new(OpenTelemetry { tracing: Arc::new(tracing) }))
}

impl Plugin for OpenTelemetry {
    fn phases(&self) -> Phases {
        PHASES
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        if let Some(trace) = &mut exchange.trace {
            trace.decide(&self.tracing, &exchange.request.fields, true);
        }
        Flow::Next
    }

    fn header_filter(&self, exchange: &mut Exchange) {
        let Some(trace) = &mut exchange.trace else { return };
        // Requests that another plugin refused belong to their caller's trace too.
        trace.decide(&self.tracing, &exchange.request.fields, false);
        if let (Some(header), Some(id)) = (trace.response_header(), trace.trace_id()) {
            exchange.response.fields.set(header, format!("{id:032x}"));
        }
    }
}

impl Collect for SpanCollector {
    fn take(&self, record: &Arc<Finished>, spans: u64) {
        self.0.submit(record, spans);
    }
}

impl Clerk for SpanClerk {
    fn write(&self, record: &Finished, paper: &mut Paper) {
        paper.entries.extend(self.0.spans(record).into_iter().map(|span| Bytes::from(otlp::span(span))));
    }
}

impl Config {
    /// Attributes of the gateway, the configured ones over the usual ones.
    fn speaker(&self, environment: &Environment) -> Vec<(String, String)> {
        speaker(&environment.node, self.resource_attributes.iter().flatten())
    }

    fn target(&self, url: &str, speaker: &[(String, String)]) -> Result<Target, String> {
        let milliseconds = |time: f64| seconds(time / 1_000.0);
        Ok(Target {
            connect_timeout: milliseconds(self.connect_timeout),
            timeout: milliseconds(self.send_timeout + self.read_timeout),
            headers: self
                .headers
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            ..target(endpoint(url)?, speaker, Vocabulary::Kong)
        })
    }

    /// Kong's reading of old and new settings: as soon as one of the new lists is there the old format says nothing.
    fn propagation(&self) -> Propagation {
        let config = &self.propagation;
        let default_format = Format::named(&config.default_format).unwrap_or(Format::W3c);
        let formats = |names: &Option<Vec<String>>| -> Vec<Format> {
            names.iter().flatten().filter_map(|name| Format::named(name)).collect()
        };
        let is_new = config.extract.is_some() || config.clear.is_some() || config.inject.is_some();
        let (extract, inject) = match self.header_type.as_deref().filter(|_| !is_new) {
            None => {
                let inject = |name: &String| match Format::named(name) {
                    Some(format) => Inject::Format(format),
                    None => Inject::Preserve,
                };
                (formats(&config.extract), config.inject.iter().flatten().map(inject).collect())
            }
            Some("ignore") => (Vec::new(), vec![Inject::Format(default_format)]),
            Some(named) => {
                let named = Format::named(named).map(Inject::Format);
                (USUAL_ORDER.to_vec(), [Inject::Preserve].into_iter().chain(named).collect())
            }
        };
        Propagation { extract, clear: config.clear.clone().unwrap_or_default(), inject, default_format }
    }
}

/// What spans say of the gateway.
fn speaker<'a>(
    node: &Node,
    attributes: impl Iterator<Item = (&'a String, &'a String)>,
) -> Vec<(String, String)> {
    let mut speaker = IndexMap::from([
        ("service.name".to_owned(), node.service_name.clone()),
        ("service.instance.id".to_owned(), node.id.to_string()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    speaker.extend(attributes.map(|(key, value)| (key.clone(), value.clone())));
    speaker.into_iter().collect()
}

/// A collector that is spoken to as collectors usually are.
fn target(endpoint: Url, speaker: &[(String, String)], vocabulary: Vocabulary) -> Target {
    Target {
        endpoint,
        method: "POST".to_owned(),
        content_type: otlp::CONTENT_TYPE.to_owned(),
        headers: Vec::new(),
        connect_timeout: seconds(1.0),
        timeout: seconds(10.0),
        keepalive: seconds(60.0),
        verify: true,
        packing: Packing::Otlp(otlp::Envelope::new(speaker, &vocabulary.scope())),
    }
}

fn collector(
    environment: &Environment,
    owner: Uuid,
    settings: Settings,
    vocabulary: Vocabulary,
) -> Result<Arc<dyn Collect>, String> {
    let sender = environment.spans.sender(owner, settings, Box::new(SpanClerk(vocabulary)))?;
    Ok(Arc::new(SpanCollector(sender)))
}

fn endpoint(text: &str) -> Result<Url, String> {
    outbox::endpoint("traces_endpoint", text)
}

#[cfg(test)]
mod tests;
