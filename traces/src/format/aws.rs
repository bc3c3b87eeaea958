//! AWS X-Ray's: `X-Amzn-Trace-Id: Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=<0|1>`.

use opentelemetry::trace::TraceId;

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, Lines};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let (mut trace_id, mut span_id, mut sampled) = (None, None, None);
    for pair in lines.get(Header::Aws)?.split(';') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let value = value.trim();
        match key.trim() {
            "Root" => {
                let mut parts = value.split('-');
                let (Some("1"), Some(time), Some(unique), None) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return None;
                };
                let lengths_are_right = (time.len(), unique.len()) == (8, 24);
                trace_id = Some(ids::trace_id(&[time, unique].concat()).filter(|_| lengths_are_right)?);
            }
            "Parent" => span_id = Some(ids::whole_span_id(value)?),
            "Sampled" => {
                sampled = match value {
                    "0" => Some(false),
                    "1" => Some(true),
                    // "Decide yourself."
                    "?" => None,
                    _ => return None,
                }
            }
            _ => {}
        }
    }
    match trace_id {
        Some(trace_id) => Some(Context::in_trace(trace_id, span_id, sampled)),
        None => sampled.map(|_| Context { sampled, ..Context::default() }),
    }
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    let (root, span) = (root(onward.trace_id), onward.span_id);
    set("X-Amzn-Trace-Id", &format!("Root={root};Parent={span:016x};Sampled={}", onward.sampled_digit()));
}

/// A trace id in X-Ray's own form.
pub(super) fn root(id: TraceId) -> String {
    let digits = format!("{id:032x}");
    format!("1-{}-{}", &digits[..8], &digits[8..])
}
