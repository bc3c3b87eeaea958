//! Durations and times as Go writes and reads them: clients of Jaeger's API write them so.

use jiff::Timestamp;

/// `52ms`, `-1ms`, `1h2m3.5s`.
pub(super) fn duration(nanoseconds: i128) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let fraction = |unit: u128, word: &str| {
        let (whole, rest) = (all / unit, all % unit);
        let digits = unit.ilog10() as usize;
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { format!("{sign}{whole}{word}") } else { format!("{sign}{whole}.{rest}{word}") }
    };
    match all {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{all}ns"),
        1_000..1_000_000 => fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
            let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// Nanoseconds of `1.5ms`, `1h30m`, `500µs`.
///
/// # Errors
/// In Go's words.
pub(super) fn parse_duration(text: &str) -> Result<i128, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        rest = &rest[end..];
        let end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unknown => return Err(format!("time: unknown unit {unknown:?} in duration {text:?}")),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    let total = total.round() as i128;
    Ok(if negative { -total } else { total })
}

/// `2026-11-24 02:22:17.1 +0000 UTC`.
pub(super) fn time(nanoseconds: u64) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    let fraction = format!(".{:09}", nanoseconds % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{}{fraction} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_there_and_back() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (500, "500ns"),
            (1_500, "1.5µs"),
            (52_000_000, "52ms"),
            (-1_000_000, "-1ms"),
            (1_000_000_000, "1s"),
            (90_500_000_000, "1m30.5s"),
            (1_795_486_937_100_000_000, "498746h22m17.1s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
            assert_eq!(parse_duration(text).map(|back| back / 1000), Ok(nanoseconds / 1000), "{text}");
        }
        assert_eq!(parse_duration("4").unwrap_err(), "time: missing unit in duration \"4\"");
        assert_eq!(parse_duration("x").unwrap_err(), "time: invalid duration \"x\"");
    }

    #[test]
    fn times() {
        assert_eq!(time(1_795_486_937_100_000_001), "2026-11-24 02:22:17.100000001 +0000 UTC");
        assert_eq!(time(1_795_486_937_100_000_000), "2026-11-24 02:22:17.1 +0000 UTC");
        assert_eq!(time(0), "1970-01-01 00:00:00 +0000 UTC");
    }
}
