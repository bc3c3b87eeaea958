//! The trace an exchange belongs to: read from the request, decided about once, told to every target, and filled with
//! what took time.
//!
//! There is one only where somebody traces. Times are taken from the beginning, since who traces with which settings
//! may turn out late, when a plugin knows the consumer; as soon as a request is known not to be sampled, nothing more
//! is recorded. What spans are called is not known here.

mod propagation;
mod sampling;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use admin_api::Reason;
use smallvec::SmallVec;
use traces::{Context, Format, Onward, SpanId, TraceId};

pub use self::propagation::{Inject, Propagation};
pub use self::sampling::{Parent, Sampler, Share};
use super::Record;
use crate::clock::Clock;
use crate::http::fields::Fields;

/// How requests are traced.
pub struct Tracing {
    pub propagation: Propagation,
    pub sampler: Sampler,
    /// What is recorded. Nothing: the trace is passed on, and no request sampled.
    pub instruments: Instruments,
    /// Answers carry the trace id in this header.
    pub response_header: Option<String>,
    /// Takes records of sampled exchanges, spans inside.
    pub collector: Option<Arc<dyn Collect>>,
}

/// Where spans go.
pub trait Collect: Send + Sync {
    /// Takes a finished exchange with a sampled trace. Must not block.
    fn take(&self, record: &Arc<Record>, spans: u64);
}

/// Kinds of spans, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instruments(u8);

/// One exchange's part of a trace.
pub struct Trace {
    tracing: Option<Arc<Tracing>>,
    clock: Clock,
    received: Context,
    received_as: Option<Format>,
    id: TraceId,
    span_id: SpanId,
    sampled: bool,
    /// Headers of the request that is sent on tell of it.
    told: bool,
    steps: SmallVec<[Step; 8]>,
    attempts: SmallVec<[Attempt; 1]>,
}

/// Something other than an attempt that took time. Times are nanoseconds of Unix time.
#[derive(Debug, Clone)]
pub struct Step {
    pub what: Work,
    pub span_id: SpanId,
    pub start_ns: u64,
    pub end_ns: u64,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Looked for a route.
    Routing { found: bool },
    /// Ran a plugin's access phase.
    Access(&'static str),
    /// Ran its header filter.
    HeaderFilter(&'static str),
    /// Looked up a host (a value of Host) for a target.
    Lookup(Arc<str>, SocketAddr),
}

/// One attempt to reach a target; in the same place in `tries`.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub span_id: SpanId,
    /// What the target is called: a value of Host.
    pub host: Arc<str>,
    pub start_ns: u64,
    /// When its answer's head was there, or it had failed.
    pub end_ns: u64,
    pub failed: Option<Reason>,
}

impl Instruments {
    pub const NONE: Instruments = Instruments(0);
    /// The request as a whole; part of every set but the empty one.
    pub const REQUEST: Instruments = Instruments(1);
    pub const ROUTER: Instruments = Instruments(2);
    pub const ACCESS: Instruments = Instruments(4);
    pub const HEADER_FILTER: Instruments = Instruments(8);
    pub const BALANCER: Instruments = Instruments(16);
    pub const DNS: Instruments = Instruments(32);
    pub const ALL: Instruments = Instruments(63);

    #[must_use]
    pub const fn and(self, other: Instruments) -> Instruments {
        Instruments(self.0 | other.0)
    }

    pub const fn contains(self, other: Instruments) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn is_empty(self) -> bool {
        self == Instruments::NONE
    }
}

impl Work {
    fn instrument(&self) -> Instruments {
        match self {
            Work::Routing { .. } => Instruments::ROUTER,
            Work::Access(_) => Instruments::ACCESS,
            Work::HeaderFilter(_) => Instruments::HEADER_FILTER,
            Work::Lookup(..) => Instruments::DNS,
        }
    }
}

impl Trace {
    /// The beginning: nothing is known of the trace yet.
    pub fn begin(clock: Clock) -> Trace {
        Trace {
            tracing: None,
            clock,
            received: Context::default(),
            received_as: None,
            id: TraceId::INVALID,
            span_id: SpanId::INVALID,
            // Until it is decided otherwise.
            sampled: true,
            told: false,
            steps: SmallVec::new(),
            attempts: SmallVec::new(),
        }
    }

    /// Unix time in nanoseconds; of no use, and free, where nothing is recorded.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        if self.sampled { nanos(&self.clock) } else { 0 }
    }

    /// Reads the request's context and decides. What was decided before stays. `onward`: the request may go on to a
    /// target, which is told then.
    pub fn decide(&mut self, tracing: &Arc<Tracing>, request: &Fields, onward: bool) {
        if self.tracing.is_some() {
            return;
        }
        if let Some((format, context)) = tracing.propagation.read(request) {
            (self.received_as, self.received) = (Some(format), context);
        }
        self.id = self.received.trace_id.unwrap_or_else(|| TraceId::from(fastrand::u128(1..)));
        self.span_id = new_span_id();
        self.sampled = !tracing.instruments.is_empty() && tracing.sampler.samples(self.id, &self.received);
        self.told = onward;
        if self.sampled {
            self.steps.retain(|step| tracing.instruments.contains(step.what.instrument()));
        } else {
            self.steps = SmallVec::new();
        }
        self.tracing = Some(Arc::clone(tracing));
    }

    /// Something has been done since a moment.
    #[inline]
    pub fn step(&mut self, what: Work, start_ns: u64) {
        if self.sampled {
            let end_ns = self.now_ns();
            self.record(what, start_ns, end_ns);
        }
    }

    /// Something was done between two moments.
    pub fn record(&mut self, what: Work, start_ns: u64, end_ns: u64) {
        let wanted =
            self.tracing.as_ref().is_none_or(|tracing| tracing.instruments.contains(what.instrument()));
        if self.sampled && wanted {
            self.steps.push(Step { what, span_id: new_span_id(), start_ns, end_ns });
        }
    }

    /// A target is about to be tried: the request's header lines tell it of the trace.
    pub fn begin_attempt(&mut self, host: &Arc<str>, start_ns: u64, request: &mut Fields) {
        let Some(tracing) = &self.tracing else { return };
        let attempts = tracing.instruments.contains(Instruments::BALANCER);
        let span_id = if attempts { new_span_id() } else { self.span_id };
        // Targets hang under their attempt, and it under the request; where attempts have no spans of their own they
        // hang under the request, and where nothing is recorded the request stands for nobody but its caller.
        let parent_id = if attempts { Some(self.span_id) } else { self.received.span_id };
        let onward =
            Onward { trace_id: self.id, span_id, parent_id, sampled: self.sampled, received: &self.received };
        tracing.propagation.write(self.received_as, &onward, request);
        if self.sampled && attempts {
            let host = Arc::clone(host);
            self.attempts.push(Attempt { span_id, host, start_ns, end_ns: start_ns, failed: None });
        }
    }

    /// The target has answered, or failed.
    pub fn end_attempt(&mut self, failed: Option<Reason>) {
        let now = self.now_ns();
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.end_ns = now.max(attempt.start_ns);
            attempt.failed = failed;
        }
    }

    /// `None` before it is decided.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.tracing.as_ref().map(|_| self.id)
    }

    /// Whether spans are to be sent.
    pub fn is_sampled(&self) -> bool {
        self.sampled && self.tracing.is_some()
    }

    /// Answers carry the trace id in this header.
    pub fn response_header(&self) -> Option<&str> {
        self.tracing.as_ref()?.response_header.as_deref()
    }

    /// The request's own span.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The caller's span.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.received.span_id
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The trace id in each format that targets are told in, for logs: the format's name, the id in its form. Nothing
    /// for a request that was not to go on.
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let Some(tracing) = self.tracing.as_ref().filter(|_| self.told) else { return Vec::new() };
        let onward = Onward {
            trace_id: self.id,
            span_id: self.span_id,
            parent_id: None,
            sampled: self.sampled,
            received: &self.received,
        };
        let formats = tracing.propagation.formats(self.received_as, &self.received);
        formats.iter().map(|format| (format.log_name(), format.shown(&onward))).collect()
    }

    /// Hands a finished exchange to whoever collects its spans.
    pub fn finish(record: &Arc<Record>) {
        if let Some(trace) = record.trace.as_deref().filter(|trace| trace.is_sampled())
            && let Some(collector) = trace.tracing.as_ref().and_then(|tracing| tracing.collector.as_ref())
        {
            collector.take(record, 1 + (trace.steps.len() + trace.attempts.len()) as u64);
        }
    }
}

/// Unix time in nanoseconds.
pub fn nanos(clock: &Clock) -> u64 {
    clock.unix().as_nanos() as u64
}

/// The trace id a request carries, whoever traces.
pub fn carried(request: &Fields) -> Option<TraceId> {
    propagation::read(&propagation::EVERY_FORMAT, request).and_then(|(_, context)| context.trace_id)
}

fn new_span_id() -> SpanId {
    SpanId::from(fastrand::u64(1..))
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trace {} ({} steps, {} attempts)", self.id, self.steps.len(), self.attempts.len())
    }
}
