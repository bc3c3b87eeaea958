//! The dialects in which a request says which trace it belongs to, and what they have in common.
//!
//! Reading is tolerant and silent: what can't be read says nothing, and another dialect or a new trace takes its
//! place. Sizes of ids are kept where a dialect allows several.

mod aws;
mod b3;
mod datadog;
mod gcp;
mod instana;
mod jaeger;
mod ot;
mod w3c;

use opentelemetry::trace::{SpanId, TraceId};

use crate::ids;
use crate::lines::Lines;

/// A dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `traceparent` (W3C Trace Context).
    W3c,
    /// `X-B3-*`; reading, also `b3`.
    B3,
    /// `b3`.
    B3Single,
    /// `uber-trace-id`.
    Jaeger,
    /// `ot-tracer-*` (`OpenTracing`).
    Ot,
    /// `x-datadog-*`.
    Datadog,
    /// `X-Amzn-Trace-Id` (X-Ray).
    Aws,
    /// `X-Cloud-Trace-Context`.
    Gcp,
    /// `X-INSTANA-*`.
    Instana,
}

/// What a request says about its trace. All of it may be missing: B3 can say no more than "don't sample".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    pub trace_id: Option<TraceId>,
    /// In how many bytes the trace id was written.
    pub size: usize,
    /// The caller's span; there is none without a trace.
    pub span_id: Option<SpanId>,
    /// What the caller decided, if it did.
    pub sampled: Option<bool>,
    /// B3's debug flag.
    pub debug: bool,
    /// W3C's flag for trace ids made of random bits.
    pub random: bool,
    /// B3 came in one header.
    pub single: bool,
    /// Keys and values as they were written.
    pub baggage: Vec<(String, String)>,
}

/// What the next hop is told.
#[derive(Debug, Clone, Copy)]
pub struct Onward<'a> {
    pub trace_id: TraceId,
    /// The span that the next hop's hang under.
    pub span_id: SpanId,
    /// That span's own parent, for dialects that tell.
    pub parent_id: Option<SpanId>,
    pub sampled: bool,
    /// What the request came with.
    pub received: &'a Context,
}

impl Format {
    pub const ALL: [Format; 9] = [
        Format::W3c,
        Format::B3,
        Format::B3Single,
        Format::Jaeger,
        Format::Ot,
        Format::Datadog,
        Format::Aws,
        Format::Gcp,
        Format::Instana,
    ];

    /// Kong's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Format::W3c => "w3c",
            Format::B3 => "b3",
            Format::B3Single => "b3-single",
            Format::Jaeger => "jaeger",
            Format::Ot => "ot",
            Format::Datadog => "datadog",
            Format::Aws => "aws",
            Format::Gcp => "gcp",
            Format::Instana => "instana",
        }
    }

    /// The format of Kong's word.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a request says in this dialect; `None` if it doesn't speak it, or not well.
    pub fn read(self, lines: &Lines<'_>) -> Option<Context> {
        match self {
            Format::W3c => w3c::read(lines),
            Format::B3 | Format::B3Single => b3::read(lines),
            Format::Jaeger => jaeger::read(lines),
            Format::Ot => ot::read(lines),
            Format::Datadog => datadog::read(lines),
            Format::Aws => aws::read(lines),
            Format::Gcp => gcp::read(lines),
            Format::Instana => instana::read(lines),
        }
    }

    /// Hands the header lines for the next hop to `set`, which replaces lines of the same name.
    pub fn write(self, onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
        match self {
            Format::W3c => w3c::write(onward, set),
            Format::B3 => b3::write(onward, set),
            Format::B3Single => b3::write_single(onward, set),
            Format::Jaeger => jaeger::write(onward, set),
            Format::Ot => ot::write(onward, set),
            Format::Datadog => datadog::write(onward, set),
            Format::Aws => aws::write(onward, set),
            Format::Gcp => gcp::write(onward, set),
            Format::Instana => instana::write(onward, set),
        }
    }

    /// The trace id as logs show it beside [`name`](Self::log_name).
    pub fn shown(self, onward: &Onward<'_>) -> String {
        match self {
            Format::W3c | Format::Gcp => ids::sized(onward.trace_id, 16),
            Format::B3 | Format::B3Single | Format::Jaeger | Format::Instana => onward.sized_id(16),
            Format::Ot => onward.sized_id(8),
            Format::Datadog => ids::low(onward.trace_id).to_string(),
            Format::Aws => aws::root(onward.trace_id),
        }
    }

    /// What logs call it: both forms of B3 are one.
    pub fn log_name(self) -> &'static str {
        if self == Format::B3Single { Format::B3.name() } else { self.name() }
    }
}

impl Context {
    /// A trace and the caller's span in it.
    fn in_trace(
        (trace_id, size): (TraceId, usize),
        span_id: Option<SpanId>,
        sampled: Option<bool>,
    ) -> Context {
        Context { trace_id: Some(trace_id), size, span_id, sampled, ..Context::default() }
    }
}

impl Onward<'_> {
    /// The trace id in the size it came in, if that is one that the dialect knows; else in `usual` bytes.
    fn sized_id(&self, usual: usize) -> String {
        let size = self.received.size;
        ids::sized(self.trace_id, if matches!(size, 8 | 16) { size } else { usual })
    }

    fn sampled_digit(&self) -> &'static str {
        if self.sampled { "1" } else { "0" }
    }
}

/// `1` or `true`, `0` or `false`.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
