//! Time as Go's `time.Now().String()` prints it, monotonic reading included:
//! `2026-11-24 07:00:00.123456789 +0000 UTC m=+0.000012345`.

use std::time::{Duration, Instant};

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Wall clock, local zone and the moment the monotonic reading counts from.
#[derive(Clone, Debug)]
pub(crate) struct GoClock {
    zone: TimeZone,
    started: Instant,
}

impl GoClock {
    /// Counts from now. Without a zone on this machine it is UTC, as in Go.
    pub(crate) fn start() -> Self {
        Self { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> String {
        print(&Timestamp::now().to_zoned(self.zone.clone()), self.started.elapsed())
    }
}

fn print(wall: &Zoned, monotonic: Duration) -> String {
    let (seconds, nanos) = (monotonic.as_secs(), monotonic.subsec_nanos());
    format!("{} m=+{seconds}.{nanos:09}", wall.strftime("%Y-%m-%d %H:%M:%S%.f %z %Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(wall: &str, zone: &str, monotonic: Duration) -> String {
        let zone = TimeZone::get(zone).unwrap();
        print(&wall.parse::<Timestamp>().unwrap().to_zoned(zone), monotonic)
    }

    #[test]
    fn prints_what_go_prints() {
        assert_eq!(
            printed("2026-11-24T07:00:00.123456789Z", "UTC", Duration::from_nanos(12_345)),
            "2026-11-24 07:00:00.123456789 +0000 UTC m=+0.000012345"
        );
        assert_eq!(
            printed("2026-11-24T07:00:00.1386Z", "America/New_York", Duration::new(90_061, 7)),
            "2026-11-24 02:00:00.1386 -0500 EST m=+90061.000000007"
        );
        assert_eq!(
            printed("2026-11-24T07:00:00Z", "Europe/Istanbul", Duration::ZERO),
            "2026-11-24 10:00:00 +0300 +03 m=+0.000000000"
        );
    }
}
