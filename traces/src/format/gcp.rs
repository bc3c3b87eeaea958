//! Google Cloud's: `X-Cloud-Trace-Context: <32 digits>/<span in decimal>[;o=<0|1>]`.

use super::{Context, Onward};
use crate::ids;
use crate::lines::{Header, Lines};

pub(super) fn read(lines: &Lines<'_>) -> Option<Context> {
    let (trace, rest) = lines.get(Header::Gcp)?.split_once('/')?;
    let (span, options) =
        rest.split_once(";o=").map_or((rest, None), |(span, options)| (span, Some(options)));
    let sampled = match options {
        None => None,
        Some(digit) if digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit() => Some(digit == "1"),
        Some(_) => return None,
    };
    let trace_id = ids::trace_id(trace).filter(|_| trace.len() == 32)?;
    Some(Context::in_trace(trace_id, Some(ids::decimal_span_id(span)?), sampled))
}

pub(super) fn write(onward: &Onward<'_>, set: &mut dyn FnMut(&str, &str)) {
    let (trace, span, sampled) = (onward.trace_id, ids::number(onward.span_id), onward.sampled_digit());
    set("X-Cloud-Trace-Context", &format!("{trace:032x}/{span};o={sampled}"));
}
