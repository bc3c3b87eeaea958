//! When to draw: not before something changed, soon after a key, and otherwise not more often than the refresh allows,
//! however many events come in between.

use std::time::Duration;

use tokio::time::Instant;

/// A key's frame comes no sooner than this after the last one.
const KEY: Duration = Duration::from_millis(16);

/// The time of the last frame and of the next.
#[derive(Debug)]
pub struct Pace {
    refresh: Duration,
    last: Instant,
    due: Option<Instant>,
}

impl Pace {
    /// The first frame is due now.
    pub fn new(refresh: Duration, now: Instant) -> Pace {
        Pace { refresh, last: now, due: Some(now) }
    }

    /// There are new numbers to show.
    pub fn numbers(&mut self) {
        self.request(self.last + self.refresh);
    }

    /// A person waits for the answer to a key.
    pub fn key(&mut self) {
        self.request(self.last + KEY);
    }

    /// The terminal has to be drawn whole, at once.
    pub fn now(&mut self, now: Instant) {
        self.request(now);
    }

    fn request(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When the next frame is due; `None` while nothing has changed.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to draw now; if so, that is what happens.
    pub fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.last = now;
            self.due = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(refresh_ms: u64, happens: impl Fn(&mut Pace, u64)) -> usize {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(refresh_ms), start);
        (0..1_000)
            .filter(|ms| {
                happens(&mut pace, *ms);
                pace.take(start + Duration::from_millis(*ms))
            })
            .count()
    }

    #[test]
    fn a_thousand_events_in_a_second_are_ten_frames() {
        assert_eq!(frames(100, |pace, _| pace.numbers()), 10);
        assert_eq!(frames(250, |pace, _| pace.numbers()), 4);
    }

    #[test]
    fn nothing_new_is_no_frame() {
        assert_eq!(frames(100, |_, _| {}), 1, "only the first one");
    }

    #[test]
    fn a_key_does_not_wait_for_the_refresh() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(10), start);
        assert!(pace.take(start));
        pace.numbers();
        pace.key();
        assert!(!pace.take(start + Duration::from_millis(15)));
        assert!(pace.take(start + Duration::from_millis(16)));
        assert_eq!(frames(10_000, |pace, _| pace.key()), 63, "and many keys are one frame in 16 ms");
    }
}
