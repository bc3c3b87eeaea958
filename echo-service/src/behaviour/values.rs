//! How the values of fields are written.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::SignedDuration;

use super::Pace;

const LONGEST: Duration = Duration::from_hours(1);
const LARGEST: u64 = 1 << 40;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("byte", 1),
    ("bytes", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// These decide where a message ends and are set by whoever sends it.
const FRAMING: [HeaderName; 3] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER];

/// `250ms`, `1.5s`, `2m`: at most an hour.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let duration = Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// `500`, `10 bytes`, `64KiB`, `1MB`: at most a tebibyte.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[digits..].trim_start();
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let size = text[..digits].parse::<u64>().ok()?.checked_mul(*factor)?;
    (size <= LARGEST).then_some(size)
}

pub(super) fn status(text: &str) -> Option<StatusCode> {
    let status: u16 = text.parse().ok().filter(|status| (200..600).contains(status))?;
    StatusCode::from_u16(status).ok()
}

pub(super) fn pace(text: &str) -> Option<Pace> {
    let (bytes, every) = text.split_once(" every ")?;
    let bytes = usize::try_from(size(bytes.trim())?).ok().filter(|bytes| *bytes > 0)?;
    Some(Pace { bytes, every: duration(every.trim())? })
}

pub(crate) fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    let name = HeaderName::try_from(name.trim()).ok().filter(|name| !FRAMING.contains(name))?;
    Some((name, HeaderValue::try_from(value.trim()).ok()?))
}
