//! Jaeger's own: `uber-trace-id: <trace>:<span>:<parent or 0>:<flags>`, with baggage in `uberctx-*`.

use std::fmt::Write;

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, JAEGER_BAGGAGE, Lines};

const SAMPLED: u8 = 1;

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let text = lines.get(Header::Jaeger)?;
    // Some clients escape the colons.
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let mut parts = text.split(':');
    let [trace, span, _parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    if parts.next().is_some() {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context =
        Context::in_trace(ids::trace_id(trace)?, Some(ids::span_id(span)?), Some(flags & SAMPLED != 0));
    Some(Context { baggage: lines.baggage(JAEGER_BAGGAGE), ..context })
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    let mut text = format!("{}:{:016x}:", onward.sized_id(16), onward.span_id);
    // Writing to a string can't fail.
    let _ = match onward.parent_id {
        Some(parent) => write!(text, "{parent:016x}"),
        None => write!(text, "0"),
    };
    text.push_str(if onward.sampled { ":01" } else { ":00" });
    set("uber-trace-id", &text);
    for (key, value) in &onward.received.baggage {
        set(&format!("{JAEGER_BAGGAGE}{key}"), value);
    }
}
