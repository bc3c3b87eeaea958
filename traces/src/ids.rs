//! Ids as digits. An id is an unsigned number, zero is none; what is shorter than its type has zeros in front.

use opentelemetry::trace::{SpanId, TraceId};

/// A trace id from 1 to 32 hexadecimal digits, with the number of bytes it was written in.
pub(crate) fn trace_id(digits: &str) -> Option<(TraceId, usize)> {
    let id = hex(digits, 32)?;
    Some((TraceId::from(id), digits.len().div_ceil(2))).filter(|_| id != 0)
}

/// A trace id from 16 or 32 digits.
pub(crate) fn whole_trace_id(digits: &str) -> Option<(TraceId, usize)> {
    trace_id(digits).filter(|_| matches!(digits.len(), 16 | 32))
}

/// A span id from 1 to 16 hexadecimal digits.
pub(crate) fn span_id(digits: &str) -> Option<SpanId> {
    hex(digits, 16).filter(|id| *id != 0).map(|id| SpanId::from(id as u64))
}

/// A span id from 16 digits.
pub(crate) fn whole_span_id(digits: &str) -> Option<SpanId> {
    span_id(digits).filter(|_| digits.len() == 16)
}

/// A span id in decimal.
pub(crate) fn decimal_span_id(digits: &str) -> Option<SpanId> {
    decimal(digits).map(SpanId::from)
}

/// A number above zero.
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|id| plain && *id != 0)
}

fn hex(digits: &str, most: usize) -> Option<u128> {
    let plain = (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|_| plain)
}

/// A trace id in 8 or 16 bytes.
pub(crate) fn sized(id: TraceId, bytes: usize) -> String {
    if bytes == 8 { format!("{:016x}", low(id)) } else { format!("{id:032x}") }
}

/// The 64 bits that formats with short ids keep.
pub(crate) fn low(id: TraceId) -> u64 {
    u128::from_be_bytes(id.to_bytes()) as u64
}

pub(crate) fn number(id: SpanId) -> u64 {
    u64::from_be_bytes(id.to_bytes())
}
