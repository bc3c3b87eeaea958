//! Instana's: `X-INSTANA-T` (trace), `X-INSTANA-S` (span), `X-INSTANA-L` (level: 0 is "don't sample").

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, Lines};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    // What follows a comma is about browsers.
    let level = lines.get(Header::InstanaLevel).and_then(|level| level.split(',').next());
    let sampled = match level.map(str::trim) {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    let span_id = lines.get(Header::InstanaSpan).and_then(ids::whole_span_id);
    match lines.get(Header::InstanaTrace).and_then(ids::whole_trace_id) {
        Some(trace_id) => Some(Context::in_trace(trace_id, span_id, sampled)),
        None => sampled.map(|_| Context { sampled, ..Context::default() }),
    }
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    set("X-INSTANA-T", &onward.sized_id(16));
    set("X-INSTANA-S", &format!("{:016x}", onward.span_id));
    set("X-INSTANA-L", onward.sampled_digit());
}
