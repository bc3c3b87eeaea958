//! Runs steps within one window of a rate limit: they start when enough of it is left, and are repeated in a
//! fresh window if it ended under them all the same and they failed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::runner::steps;
use crate::scenario::Step;
use crate::scenario::document::{WindowName, Within};

/// How often steps whose window ended under them are repeated.
const REPEATS: u32 = 2;

pub(super) async fn within(
    context: &mut Context,
    within: &Within,
    inner: &[Step],
    number: &str,
) -> Result<String, Failure> {
    let window = length(within.window);
    let leaving = within.leaving.map_or_else(|| usual_rest(window), |span| span.0).min(window);
    let prefix = format!("{number}.");
    let mut repeats = 0;
    loop {
        let wait = until_enough(since_epoch(), window, leaving);
        // A pause with a purpose: counters of the next window begin at nothing.
        tokio::time::sleep(wait).await;
        let began = since_epoch();
        let result = steps::run(context, inner, &prefix).await;
        let crossed = index(began, window) != index(since_epoch(), window);
        match result {
            Ok(()) => return Ok(format!("waited {:.1} s for the window", wait.as_secs_f64())),
            Err(_) if crossed && repeats < REPEATS => repeats += 1,
            Err(failure) if crossed => {
                let mut failure = inside(failure);
                failure.hints.push(format!(
                    "the window ended under these steps {} times; give them more of it with `leaving`",
                    REPEATS + 1
                ));
                return Err(failure);
            }
            Err(failure) => return Err(inside(failure)),
        }
    }
}

/// What was expected and what came stands at the step inside.
fn inside(failure: Failure) -> Failure {
    Failure { misses: Vec::new(), tries: None, hints: Vec::new(), ..failure }
}

/// How long a window is.
pub fn length(window: WindowName) -> Duration {
    Duration::from_secs(match window {
        WindowName::Second => 1,
        WindowName::Minute => 60,
        WindowName::Hour => 3_600,
        WindowName::Day => 86_400,
    })
}

/// What is left for steps when nothing was said.
fn usual_rest(window: Duration) -> Duration {
    (window / 4).min(Duration::from_secs(10))
}

/// How long to wait until at least `leaving` of a window is left; windows begin at multiples of their length
/// since 1970, as Kong's do.
pub fn until_enough(now: Duration, window: Duration, leaving: Duration) -> Duration {
    let into = Duration::from_nanos((now.as_nanos() % window.as_nanos()) as u64);
    let left = window.saturating_sub(into);
    if left >= leaving { Duration::ZERO } else { left }
}

fn index(at: Duration, window: Duration) -> u128 {
    at.as_nanos() / window.as_nanos()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn steps_start_with_enough_left_and_wait_no_longer_than_needed(
            now in 0_u64..10_000_000_000_000,
            window in 1_u64..100_000,
            share in 0.0_f64..=1.0,
        ) {
            let (now, window) = (Duration::from_millis(now), Duration::from_millis(window));
            let leaving = window.mul_f64(share).min(window);
            let wait = until_enough(now, window, leaving);
            let into = Duration::from_nanos(((now + wait).as_nanos() % window.as_nanos()) as u64);
            prop_assert!(window.saturating_sub(into) >= leaving);
            prop_assert!(wait < leaving.max(Duration::from_nanos(1)));
            // Either at once, or exactly at the beginning of the next.
            prop_assert!(wait.is_zero() || into.is_zero());
        }
    }
}
