//! W3C Trace Context: `traceparent: 00-<trace>-<span>-<flags>`. `tracestate` belongs to others and passes as it is.
//!
//! Later versions are read as far as version 00 goes, as the recommendation asks (§2.2.1 of level 2).

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, Lines};

const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let text = lines.get(Header::TraceParent)?;
    let mut parts = text.split('-');
    let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let lower = |part: &str, length| {
        part.len() == length && part.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    let well_formed = lower(version, 2) && lower(trace, 32) && lower(span, 16) && lower(flags, 2);
    if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context =
        Context::in_trace(ids::trace_id(trace)?, Some(ids::span_id(span)?), Some(flags & SAMPLED != 0));
    Some(Context { random: flags & RANDOM != 0, ..context })
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    let same_trace = onward.received.trace_id == Some(onward.trace_id);
    let random = if onward.received.random && same_trace { RANDOM } else { 0 };
    let flags = u8::from(onward.sampled) | random;
    set("traceparent", &format!("00-{:032x}-{:016x}-{flags:02x}", onward.trace_id, onward.span_id));
}
