//! `OpenTracing`'s: `ot-tracer-traceid`, `ot-tracer-spanid`, `ot-tracer-sampled`, with baggage in `ot-baggage-*`.

use super::{Context, Onward, switch};
use crate::ids;
use crate::lines::{Header, Lines, OT_BAGGAGE};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let sampled = lines.get(Header::OtSampled).and_then(switch);
    let span_id = lines.get(Header::OtSpanId).map(ids::whole_span_id);
    let trace_id = lines.get(Header::OtTraceId).and_then(ids::whole_trace_id);
    let baggage = lines.baggage(OT_BAGGAGE);
    match trace_id.filter(|_| span_id != Some(None)) {
        Some(trace_id) => {
            Some(Context { baggage, ..Context::in_trace(trace_id, span_id.flatten(), sampled) })
        }
        None => sampled.map(|_| Context { sampled, baggage, ..Context::default() }),
    }
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    set("ot-tracer-traceid", &onward.sized_id(8));
    set("ot-tracer-spanid", &format!("{:016x}", onward.span_id));
    set("ot-tracer-sampled", onward.sampled_digit());
    for (key, value) in &onward.received.baggage {
        set(&format!("{OT_BAGGAGE}{key}"), value);
    }
}
