//! What the gateway and the echo service share about traces: how a request says which trace it belongs to, and
//! how spans are written for a collector.
//!
//! [`Lines`] finds what a request says, [`Format`] understands and writes it in nine dialects, [`otlp`] puts finished
//! spans into OpenTelemetry's wire form, [`environment`] reads the settings that all OpenTelemetry programs share.
//! Deliberately absent: sending, sampling, and what a span is called; those differ between the two.

pub mod environment;
mod format;
mod ids;
mod lines;
pub mod otlp;

pub use format::{Context, Format, Onward};
pub use lines::Lines;
pub use opentelemetry::trace::{SpanId, TraceId};
