//! Numbers as people read them: a rate, a duration, a share, a size, an age.
//!
//! Rounding never tells a lie that matters: a share is 0 or 100 only when it is exactly that.

/// A rate or a count in at most six characters: `0`, `0.25`, `3.2`, `847`, `12,480`, `124k`, `1.2M`.
pub fn rate(value: f64) -> String {
    match value {
        v if !v.is_finite() || v <= 0.0 => "0".to_owned(),
        v if v < 0.01 => "<0.01".to_owned(),
        v if v < 0.995 => format!("{v:.2}"),
        v if v < 9.95 => format!("{v:.1}"),
        v if v < 99_999.5 => thousands(v.round() as u64),
        v if v < 999_500.0 => format!("{:.0}k", v / 1e3),
        v if v < 99_950_000.0 => format!("{:.1}M", v / 1e6),
        v if v < 999_500_000.0 => format!("{:.0}M", v / 1e6),
        v => format!("{:.1}G", v / 1e9),
    }
}

/// A count in at most six characters.
pub fn count(value: u64) -> String {
    if value < 100_000 { thousands(value) } else { rate(value as f64) }
}

/// A whole number with separators.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as milliseconds, without the unit: `0.02`, `0.21`, `3.1`, `21`, `1,204`.
pub fn millis(micros: u64) -> String {
    let ms = micros as f64 / 1_000.0;
    match ms {
        0.0 => "0".to_owned(),
        v if v < 0.01 => "<0.01".to_owned(),
        v if v < 0.995 => format!("{v:.2}"),
        v if v < 9.95 => format!("{v:.1}"),
        v => thousands(v.round() as u64),
    }
}

/// Like [`millis`], and `-` for nothing.
pub fn millis_or_dash(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), millis)
}

/// A part of a whole in per cent, without the sign: `0`, `<0.1`, `2.7`, `99.9`, `100`; `-` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    match part as f64 * 100.0 / whole as f64 {
        _ if part == 0 => "0".to_owned(),
        _ if part == whole => "100".to_owned(),
        v if v < 0.1 => "<0.1".to_owned(),
        v => format!("{:.1}", v.min(99.9)),
    }
}

/// Bytes with a unit: `0 B`, `812 B`, `1.2 KB`, `18 MB`.
pub fn bytes(value: f64) -> String {
    let (mut value, mut unit) = (value.max(0.0), 0);
    let units = ["B", "KB", "MB", "GB", "TB"];
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1_000.0;
        unit += 1;
    }
    if unit > 0 && value < 9.95 {
        format!("{value:.1} {}", units[unit])
    } else {
        format!("{value:.0} {}", units[unit])
    }
}

/// A length of time in its largest unit: `0 s`, `12 s`, `4 min`, `3 h`, `5 d`.
pub fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time of day with the given number of digits after the second.
pub fn clock(unix_ms: u64, zone: &jiff::tz::TimeZone, milliseconds: bool) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).unwrap_or(i64::MAX)) else {
        return "--:--:--".to_owned();
    };
    let time = time.to_zoned(zone.clone());
    let text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if milliseconds { format!("{text}.{:03}", time.millisecond()) } else { text }
}

/// `1 route`, `2 routes`.
pub fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fit_into_six_characters() {
        for (value, text) in [
            (0.0, "0"),
            (f64::NAN, "0"),
            (0.004, "<0.01"),
            (0.25, "0.25"),
            (0.996, "1.0"),
            (3.21, "3.2"),
            (9.96, "10"),
            (847.4, "847"),
            (12_480.0, "12,480"),
            (99_999.4, "99,999"),
            (124_000.0, "124k"),
            (1_240_000.0, "1.2M"),
        ] {
            assert_eq!(rate(value), text);
        }
        let mut value = 0.001;
        while value < 1e11 {
            assert!(rate(value).len() <= 6, "{value} is {}", rate(value));
            value *= 1.07;
        }
    }

    #[test]
    fn shares_do_not_round_failures_away() {
        assert_eq!(percent(0, 0), "-");
        assert_eq!(percent(0, 7), "0");
        assert_eq!(percent(1, 1_000_000), "<0.1");
        assert_eq!(percent(999_999, 1_000_000), "99.9");
        assert_eq!(percent(5, 5), "100");
        assert_eq!(percent(27, 1_000), "2.7");
    }

    #[test]
    fn durations_sizes_and_ages() {
        assert_eq!(
            [0, 7, 210, 3_100, 9_960, 21_400, 1_204_000].map(millis),
            ["0", "<0.01", "0.21", "3.1", "10", "21", "1,204"]
        );
        assert_eq!([0.0, 812.0, 1_234.0, 18_200_000.0].map(bytes), ["0 B", "812 B", "1.2 KB", "18 MB"]);
        assert_eq!([900, 119_999, 120_000, 7_200_000].map(age), ["0 s", "119 s", "2 min", "2 h"]);
    }

    #[test]
    fn a_time_of_day_in_a_zone() {
        assert_eq!(clock(1_700_000_000_123, &jiff::tz::TimeZone::UTC, true), "22:13:20.123");
        assert_eq!(clock(u64::MAX, &jiff::tz::TimeZone::UTC, false), "--:--:--");
    }
}
