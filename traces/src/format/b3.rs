//! Zipkin's B3: several headers (`X-B3-TraceId`, …), or one: `b3: <trace>-<span>[-<0|1|d>[-<parent>]]`, which may be
//! no more than the decision. The one may also travel as the member `b3` of `tracestate`.

use std::fmt::Write;

use super::{Context, Onward, switch};
use crate::ids;
use crate::lines::{Header, Lines};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let single = single_header(lines).and_then(read_single);
    let several = read_several(lines);
    match (single, several) {
        (Some(single), Some(several)) => {
            let ids = if single.trace_id.is_some() { &single } else { &several };
            Some(Context {
                trace_id: ids.trace_id,
                size: ids.size,
                span_id: ids.span_id,
                sampled: single.sampled.or(several.sampled),
                debug: single.debug || several.debug,
                single: true,
                ..Context::default()
            })
        }
        (single, several) => single.or(several),
    }
}

fn single_header<'a>(lines: &Lines<'a>) -> Option<&'a str> {
    let member = |state: &'a str| state.split(',').find_map(|member| member.trim().strip_prefix("b3="));
    lines.get(Header::B3).or_else(|| lines.get(Header::TraceState).and_then(member))
}

fn read_single(text: &str) -> Option<Context> {
    let decision = |text: &str| match text {
        "" => Some((None, false)),
        "0" => Some((Some(false), false)),
        "1" => Some((Some(true), false)),
        "d" => Some((Some(true), true)),
        _ => None,
    };
    let mut parts = text.split('-');
    let (first, Some(span)) = (parts.next()?, parts.next()) else {
        let (sampled, debug) = decision(text)?;
        sampled?;
        return Some(Context { sampled, debug, single: true, ..Context::default() });
    };
    let (sampled, debug) = decision(parts.next().unwrap_or_default())?;
    let parent = parts.next();
    if parts.next().is_some() || parent.is_some_and(|parent| ids::whole_span_id(parent).is_none()) {
        return None;
    }
    let context = Context::in_trace(ids::whole_trace_id(first)?, Some(ids::whole_span_id(span)?), sampled);
    Some(Context { debug, single: true, ..context })
}

fn read_several(lines: &Lines<'_>) -> Option<Context> {
    let debug = lines.get(Header::B3Flags) == Some("1");
    let sampled = if debug { Some(true) } else { lines.get(Header::B3Sampled).and_then(switch) };
    let parent = lines.get(Header::B3ParentSpanId);
    let trace_id = lines.get(Header::B3TraceId).and_then(ids::whole_trace_id);
    let span_id = lines.get(Header::B3SpanId).map(ids::whole_span_id);
    let broken = span_id == Some(None) || parent.is_some_and(|parent| ids::whole_span_id(parent).is_none());
    match trace_id.filter(|_| !broken) {
        Some(trace_id) => Some(Context { debug, ..Context::in_trace(trace_id, span_id.flatten(), sampled) }),
        None => sampled.map(|_| Context { sampled, debug, ..Context::default() }),
    }
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    set("x-b3-traceid", &onward.sized_id(16));
    set("x-b3-spanid", &format!("{:016x}", onward.span_id));
    if let Some(parent) = onward.parent_id {
        set("x-b3-parentspanid", &format!("{parent:016x}"));
    }
    // The debug flag implies the decision, which is then not sent.
    if onward.received.debug {
        set("x-b3-flags", "1");
    } else {
        set("x-b3-sampled", onward.sampled_digit());
    }
}

pub(super) fn write_single(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    let decision = if onward.received.debug { "d" } else { onward.sampled_digit() };
    let mut text = format!("{}-{:016x}-{decision}", onward.sized_id(16), onward.span_id);
    if let Some(parent) = onward.parent_id {
        // Writing to a string can't fail.
        let _ = write!(text, "-{parent:016x}");
    }
    set("b3", &text);
}
