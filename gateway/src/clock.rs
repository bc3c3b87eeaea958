//! What time it is and how to wait: the only place that reads a clock.
//!
//! A test holds a clock: it stands still until it is advanced, and whoever sleeps on it wakes in the order of
//! the deadlines. Wall-clock time may step; moments never do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The system's clock, or one that a test holds. Clones show the same time.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Held>>);

/// A point on a line that only goes forward, for durations and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

/// A clock that stands still, and who waits for it.
struct Held(Mutex<Hands>);

struct Hands {
    unix: Duration,
    moment: Moment,
    sleepers: Vec<(u64, Moment, Waker)>,
    next_sleeper: u64,
}

impl Clock {
    /// The system's.
    pub const fn system() -> Clock {
        Clock(None)
    }

    /// One that shows this Unix time until it is told otherwise.
    pub fn held(unix: Duration) -> Clock {
        let hands = Hands { unix, moment: Moment(Duration::ZERO), sleepers: Vec::new(), next_sleeper: 0 };
        Clock(Some(Arc::new(Held(Mutex::new(hands)))))
    }

    /// Time since 1970 in UTC. Zero should the system believe in an earlier year.
    #[inline]
    pub fn unix(&self) -> Duration {
        match &self.0 {
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Some(held) => held.0.lock().unix,
        }
    }

    /// The same in microseconds.
    #[inline]
    pub fn unix_micros(&self) -> u64 {
        let unix = self.unix();
        unix.as_secs() * 1_000_000 + u64::from(unix.subsec_micros())
    }

    #[inline]
    pub fn now(&self) -> Moment {
        match &self.0 {
            None => Moment(since_start()),
            Some(held) => held.0.lock().moment,
        }
    }

    /// Waits for a while.
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            None => tokio::time::sleep(time).await,
            Some(held) => {
                let deadline = self.now() + time;
                HeldSleep { held: held.clone(), deadline, place: None }.await;
            }
        }
    }

    /// Moves a held clock forward, wall time too, and wakes who has slept long enough.
    ///
    /// Nothing happens to the system's clock.
    pub fn advance(&self, time: Duration) {
        let Some(held) = &self.0 else { return };
        let mut hands = held.0.lock();
        hands.unix += time;
        hands.moment = hands.moment + time;
        let now = hands.moment;
        let mut due: Vec<_> = hands.sleepers.extract_if(.., |(_, deadline, _)| *deadline <= now).collect();
        drop(hands);
        due.sort_by_key(|(_, deadline, _)| *deadline);
        for (_, _, waker) in due {
            waker.wake();
        }
    }

    /// Steps the wall time of a held clock, as an operator or NTP does, without anybody having waited.
    pub fn step_to(&self, unix: Duration) {
        if let Some(held) = &self.0 {
            held.0.lock().unix = unix;
        }
    }

    /// How long until the next sleeper of a held clock wakes: what a test waits for before it advances.
    pub fn next_wake(&self) -> Option<Duration> {
        let hands = self.0.as_ref()?.0.lock();
        hands.sleepers.iter().map(|(_, deadline, _)| deadline.since(hands.moment)).min()
    }
}

impl Moment {
    /// The time from an earlier moment to this one; zero if it is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(time))
    }
}

fn since_start() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

struct HeldSleep {
    held: Arc<Held>,
    deadline: Moment,
    place: Option<u64>,
}

impl Future for HeldSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let held = self.held.clone();
        let mut hands = held.0.lock();
        if let Some(place) = self.place.take() {
            hands.sleepers.retain(|(id, ..)| *id != place);
        }
        if hands.moment >= self.deadline {
            return Poll::Ready(());
        }
        let place = hands.next_sleeper;
        hands.next_sleeper += 1;
        hands.sleepers.push((place, self.deadline, context.waker().clone()));
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for HeldSleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.held.0.lock().sleepers.retain(|(id, ..)| *id != place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_of_a_held_clock_wake_when_it_is_advanced_far_enough() {
        let clock = Clock::held(Duration::from_secs(1_000));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(5)).await }
        });
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(4));
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.unix(), Duration::from_secs(1_005));
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test]
    async fn a_sleep_that_is_dropped_leaves_no_trace() {
        let clock = Clock::held(Duration::ZERO);
        tokio::select! {
            biased;
            () = clock.sleep(Duration::from_secs(1)) => unreachable!(),
            () = std::future::ready(()) => {}
        }
        assert_eq!(clock.next_wake(), None);
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_no_deadline() {
        let clock = Clock::held(Duration::from_secs(10));
        let before = clock.now();
        clock.step_to(Duration::from_secs(3));
        assert_eq!((clock.now(), clock.unix()), (before, Duration::from_secs(3)));
    }
}
