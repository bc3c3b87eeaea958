use std::cell::RefCell;

use super::*;

fn pace(delay: u64, period: u64, successes: u32, failures: u32) -> Pace {
    let seconds = Duration::from_secs;
    Pace { delay: seconds(delay), period: seconds(period), limit: seconds(1), successes, failures }
}

/// What a series of looks comes to when the looks at these seconds succeed.
struct Series {
    looks: Looks,
    began: Instant,
    counted: RefCell<u32>,
}

impl Series {
    fn new(pace: Pace) -> Series {
        Series { looks: Looks::new(pace), began: Instant::now(), counted: RefCell::new(0) }
    }

    /// The next verdict, and the second at which it is reached.
    async fn next(&mut self, well: impl Fn(f64) -> bool) -> (bool, f64) {
        let began = self.began;
        let look =
            || async { if well(began.elapsed().as_secs_f64()) { Ok(()) } else { Err("unwell".to_owned()) } };
        let verdict = self.looks.verdict(look, |_| *self.counted.borrow_mut() += 1).await;
        (verdict == Verdict::Well, (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0)
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_kept() {
    let mut series = Series::new(pace(5, 10, 1, 3));
    assert_eq!(series.next(|_| true).await, (true, 5.0));
}

#[tokio::test(start_paused = true)]
async fn what_gets_well_between_two_looks_is_seen_soon() {
    let mut series = Series::new(pace(0, 10, 1, 3));
    assert_eq!(series.next(|second| second >= 0.25).await, (true, 0.3));
    assert_eq!(*series.counted.borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_count_once_a_period() {
    let mut series = Series::new(pace(0, 10, 1, 3));
    assert_eq!(series.next(|_| false).await, (false, 20.0));
    assert_eq!(*series.counted.borrow(), 3);
}

#[tokio::test(start_paused = true)]
async fn once_well_it_takes_all_failures_to_be_unwell_and_all_successes_to_be_well_again() {
    let mut series = Series::new(pace(0, 2, 2, 2));
    assert!(series.next(|_| true).await.0);
    let (well, at) = series.next(|second| second < 3.0).await;
    assert!(!well);
    assert!((6.0..=6.2).contains(&at), "{at}");
    let (well, _) = series.next(|second| second > 9.0).await;
    assert!(well);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_too_long_has_failed() {
    let mut looks = Looks::new(pace(0, 2, 1, 1));
    let verdict = looks.verdict(std::future::pending::<Result<(), String>>, |_| {}).await;
    assert_eq!(verdict, Verdict::Unwell("no answer within 1s".to_owned()));
}
