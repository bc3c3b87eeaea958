//! Datadog's: `x-datadog-trace-id`, `x-datadog-parent-id` and `x-datadog-sampling-priority`, all in decimal. Of a trace
//! id only 64 bits go on.

use opentelemetry::trace::TraceId;

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, Lines};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let sampled = match lines.get(Header::DatadogPriority) {
        None => None,
        Some("1" | "2") => Some(true),
        Some("0" | "-1") => Some(false),
        Some(_) => return None,
    };
    let Some(id) = lines.get(Header::DatadogTraceId).and_then(ids::decimal) else {
        return sampled.map(|_| Context { sampled, ..Context::default() });
    };
    let size = id.to_be_bytes().len() - (id.leading_zeros() / 8) as usize;
    let span_id = lines.get(Header::DatadogParentId).and_then(ids::decimal_span_id);
    Some(Context::in_trace((TraceId::from(u128::from(id)), size), span_id, sampled))
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    set("x-datadog-trace-id", &ids::low(onward.trace_id).to_string());
    set("x-datadog-parent-id", &ids::number(onward.span_id).to_string());
    set("x-datadog-sampling-priority", onward.sampled_digit());
}
