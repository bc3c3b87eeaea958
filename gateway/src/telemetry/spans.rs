//! A finished exchange as spans, in one of two vocabularies: Kong's, for dashboards that know it, and OpenTelemetry's
//! conventions for HTTP.

mod kong;
mod semantic;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use traces::SpanId;

use crate::exchange::trace::{Attempt, Trace};
use crate::exchange::{Record, Source};
use crate::model::RoutePath;

/// What spans and their attributes are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    Kong,
    OpenTelemetry,
}

impl Vocabulary {
    /// Who is said to have made the spans.
    pub fn scope(self) -> InstrumentationScope {
        match self {
            Vocabulary::Kong => InstrumentationScope::builder("kong-internal").with_version("0.1.0").build(),
            Vocabulary::OpenTelemetry => {
                InstrumentationScope::builder("limen").with_version(env!("CARGO_PKG_VERSION")).build()
            }
        }
    }

    /// The spans of an exchange with a sampled trace, the request's own first.
    pub fn spans(self, record: &Record) -> Vec<SpanData> {
        let Some(trace) = record.trace.as_deref() else { return Vec::new() };
        match self {
            Vocabulary::Kong => kong::spans(record, trace),
            Vocabulary::OpenTelemetry => semantic::spans(record, trace),
        }
    }
}

/// What all spans of an exchange have in common.
struct Spans<'a> {
    record: &'a Record,
    trace: &'a Trace,
    all: Vec<SpanData>,
}

impl<'a> Spans<'a> {
    fn of(record: &'a Record, trace: &'a Trace) -> Spans<'a> {
        Spans { record, trace, all: Vec::with_capacity(1 + trace.steps().len() + trace.attempts().len()) }
    }

    /// The request's own span.
    fn request(&mut self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>, status: Status) {
        let start_ns = self.record.times.started_us * 1_000;
        let times = (start_ns, start_ns + self.record.times.total_us * 1_000);
        self.add(self.trace.span_id(), name, SpanKind::Server, times, attributes, status);
        if let Some(span) = self.all.last_mut() {
            span.parent_span_id = self.trace.parent_id().unwrap_or(SpanId::INVALID);
            span.parent_span_is_remote = self.trace.parent_id().is_some();
        }
    }

    /// A span under it.
    fn add(
        &mut self,
        span_id: SpanId,
        name: impl Into<Cow<'static, str>>,
        span_kind: SpanKind,
        (start_ns, end_ns): (u64, u64),
        attributes: Vec<KeyValue>,
        status: Status,
    ) {
        let trace_id = self.trace.trace_id().unwrap_or(traces::TraceId::INVALID);
        self.all.push(SpanData {
            span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.trace.span_id(),
            parent_span_is_remote: false,
            span_kind,
            name: name.into(),
            start_time: moment(start_ns),
            end_time: moment(end_ns.max(start_ns)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            // The envelope says it.
            instrumentation_scope: InstrumentationScope::default(),
        });
    }

    /// When an attempt was over: with its answer's last byte, if that went to the client.
    fn end_of(&self, at: usize, attempt: &Attempt) -> u64 {
        let record = self.record;
        let relayed = at + 1 == self.trace.attempts().len() && record.outcome.source == Source::Service;
        attempt.end_ns + if relayed { record.times.receive_us * 1_000 } else { 0 }
    }
}

fn moment(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

fn text(key: &'static str, value: impl Into<Cow<'static, str>>) -> KeyValue {
    KeyValue::new(key, value.into())
}

fn number(key: &'static str, value: impl Into<i64>) -> KeyValue {
    KeyValue::new(key, Value::I64(value.into()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first path of the route that took the request.
fn route_path(record: &Record) -> Option<String> {
    let paths = record.matched.as_ref()?.route.paths.as_ref()?;
    paths.first().map(RoutePath::to_string)
}

/// A value of Host without its port.
fn host_name(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    port.map_or(host, |(host, _)| host).trim_start_matches('[').trim_end_matches(']')
}

fn address(address: SocketAddr) -> String {
    address.ip().to_canonical().to_string()
}
