//! The six kinds of window: where each begins on the UTC calendar and how long it counts as being.

use crate::http::name::Unnumbered;

const DAY: u32 = 86_400;

/// A kind of window. Windows are fixed, not sliding, and aligned to the UTC calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

impl Period {
    /// Shortest first: `ALL[period as usize] == period`.
    pub const ALL: [Period; 6] =
        [Period::Second, Period::Minute, Period::Hour, Period::Day, Period::Month, Period::Year];

    /// The name of the setting.
    pub fn as_str(self) -> &'static str {
        ["second", "minute", "hour", "day", "month", "year"][self as usize]
    }

    /// Seconds. Kong takes a month for 30 days and a year for 365, and tells clients so.
    pub fn length(self) -> u32 {
        [1, 60, 3_600, DAY, 30 * DAY, 365 * DAY][self as usize]
    }

    /// Seconds after the start at which no window of this kind goes on.
    pub fn longest(self) -> u32 {
        match self {
            Period::Month => 31 * DAY,
            Period::Year => 366 * DAY,
            other => other.length(),
        }
    }

    /// The start of the window that a Unix time is in. Both in seconds; good until 2106.
    pub fn start(self, unix: u32) -> u32 {
        match self {
            Period::Second | Period::Minute | Period::Hour | Period::Day => unix - unix % self.length(),
            Period::Month => day_of_month_start(unix / DAY) * DAY,
            Period::Year => day_of_year_start(unix / DAY) * DAY,
        }
    }

    /// `X-RateLimit-Limit-<Period>`.
    pub fn limit_header(self) -> Unnumbered {
        [
            Unnumbered("X-RateLimit-Limit-Second"),
            Unnumbered("X-RateLimit-Limit-Minute"),
            Unnumbered("X-RateLimit-Limit-Hour"),
            Unnumbered("X-RateLimit-Limit-Day"),
            Unnumbered("X-RateLimit-Limit-Month"),
            Unnumbered("X-RateLimit-Limit-Year"),
        ][self as usize]
    }

    /// `X-RateLimit-Remaining-<Period>`.
    pub fn remaining_header(self) -> Unnumbered {
        [
            Unnumbered("X-RateLimit-Remaining-Second"),
            Unnumbered("X-RateLimit-Remaining-Minute"),
            Unnumbered("X-RateLimit-Remaining-Hour"),
            Unnumbered("X-RateLimit-Remaining-Day"),
            Unnumbered("X-RateLimit-Remaining-Month"),
            Unnumbered("X-RateLimit-Remaining-Year"),
        ][self as usize]
    }
}

/// Days from 1970-01-01 to the first of the month that a day is in.
///
/// Years are counted from March, so that the leap day comes last; `12_688`th of March years start 1970-03-01
/// minus 59 days. After Howard Hinnant's `civil_from_days`.
fn day_of_month_start(day: u32) -> u32 {
    let (_, day_of_year, month) = civil(day);
    let first_of_month = (153 * month + 2) / 5;
    day - (day_of_year - first_of_month)
}

/// Days from 1970-01-01 to the first of January of the year that a day is in.
fn day_of_year_start(day: u32) -> u32 {
    let (leap_before_march, day_of_year, month) = civil(day);
    if month >= 10 {
        // January and February are months 10 and 11 of the March year; the 306th day is the first of January.
        day - (day_of_year - 306)
    } else {
        day - day_of_year - 59 - u32::from(leap_before_march)
    }
}

/// Whether the March year begins in a leap year, the day in it from 0, and the month from 0 for March.
fn civil(day: u32) -> (bool, u32, u32) {
    let shifted = day + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let leap = year_of_era.is_multiple_of(4) && (!year_of_era.is_multiple_of(100) || year_of_era == 0);
    (leap, day_of_year, month)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use jiff::{Timestamp, Unit};
    use proptest::prelude::*;

    use super::*;

    fn by_calendar(period: Period, unix: u32) -> u32 {
        let zoned = Timestamp::from_second(i64::from(unix)).unwrap().to_zoned(TimeZone::UTC);
        let start = match period {
            Period::Second => zoned.clone(),
            Period::Minute => zoned
                .round(jiff::ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc))
                .unwrap(),
            Period::Hour => zoned
                .round(jiff::ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Trunc))
                .unwrap(),
            Period::Day => zoned.start_of_day().unwrap(),
            Period::Month => zoned.first_of_month().unwrap().start_of_day().unwrap(),
            Period::Year => zoned.first_of_year().unwrap().start_of_day().unwrap(),
        };
        start.timestamp().as_second() as u32
    }

    proptest! {
        #[test]
        fn windows_start_where_the_calendar_says(unix in 0u32..) {
            for period in Period::ALL {
                prop_assert_eq!(period.start(unix), by_calendar(period, unix), "{:?}", period);
                prop_assert!(unix - period.start(unix) < period.longest());
            }
        }
    }

    #[test]
    fn the_edges_of_months_and_leap_years() {
        let unix = |y, m, d| date(y, m, d).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second() as u32;
        for (year, month, day) in [
            (2024, 2, 29),
            (2024, 3, 1),
            (2100, 2, 28),
            (2100, 3, 1),
            (2023, 12, 31),
            (1970, 1, 1),
            (2000, 1, 31),
        ] {
            let now = unix(year, month, day) + 86_399;
            assert_eq!(Period::Month.start(now), unix(year, month, 1));
            assert_eq!(Period::Year.start(now), unix(year, 1, 1));
        }
    }
}
