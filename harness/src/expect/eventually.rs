//! The only place that polls: patience, pace, and what was seen last.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

tokio::task_local! {
    /// What the attempt before saw, for whoever tells of progress.
    static SEEN: Arc<Mutex<String>>;
}

/// The work, and a place where what it waits for can be read meanwhile.
pub fn watched<F: Future>(work: F) -> (Arc<Mutex<String>>, impl Future<Output = F::Output>) {
    let seen = Arc::new(Mutex::new(String::new()));
    (Arc::clone(&seen), SEEN.scope(seen, work))
}

/// A fact that did not come about in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// What was seen at the last attempt.
    pub last: String,
    pub tries: u32,
    pub waited: Duration,
}

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (after {} tries in {:.1} s)", self.last, self.tries, self.waited.as_secs_f64())
    }
}

/// Tries again and again until an attempt succeeds or patience ends; an attempt fails with what it saw. An attempt
/// that is under way when patience ends is cut off. No patience at all means one attempt, which takes its time.
pub async fn eventually<T, F>(
    patience: Duration,
    pace: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Missed>
where
    F: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    let mut last = "no attempt has ended".to_owned();
    let mut tries = 0;
    if patience.is_zero() {
        let tried = attempt().await;
        return tried.map_err(|last| Missed { last, tries: 1, waited: started.elapsed() });
    }
    loop {
        let left = patience.saturating_sub(started.elapsed());
        let tried = tokio::time::timeout(left.max(pace), attempt()).await;
        tries += 1;
        match tried {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => {
                let _ = SEEN.try_with(|told| told.lock().clone_from(&seen));
                last = seen;
            }
            Err(_) => {}
        }
        if started.elapsed() >= patience {
            return Err(Missed { last, tries, waited: started.elapsed() });
        }
        tokio::time::sleep(pace.min(patience.saturating_sub(started.elapsed()))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ends_with_the_first_success() {
        let mut count = 0;
        let result = eventually(Duration::from_mins(1), Duration::from_millis(1), || {
            count += 1;
            let count = count;
            async move { if count == 3 { Ok(count) } else { Err(format!("saw {count}")) } }
        });
        assert_eq!(result.await, Ok(3));
    }

    #[tokio::test]
    async fn tells_what_it_saw_last() {
        let result = eventually(Duration::from_millis(5), Duration::from_millis(1), || async {
            Err::<(), _>("nothing".to_owned())
        });
        let missed = result.await.unwrap_err();
        assert_eq!(missed.last, "nothing");
        assert!(missed.tries >= 1);
    }

    #[tokio::test]
    async fn without_patience_the_one_attempt_takes_its_time() {
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok::<_, String>(7)
        };
        assert_eq!(eventually(Duration::ZERO, Duration::from_millis(1), slow).await, Ok(7));
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_is_cut_off() {
        let result = eventually(
            Duration::from_millis(5),
            Duration::from_millis(1),
            std::future::pending::<Result<(), String>>,
        );
        assert_eq!(result.await.unwrap_err().last, "no attempt has ended");
    }
}
