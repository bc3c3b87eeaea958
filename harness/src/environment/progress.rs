//! Waits that say every few seconds what they wait for, and why it isn't there yet.

use std::future::Future;
use std::time::{Duration, Instant};

use super::Run;
use crate::expect::eventually::{eventually, watched};

/// After so long a wait tells what it has seen last, again and again.
const PATIENCE: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(500);

/// Tries until a fact is there; an attempt fails with what is there instead.
///
/// # Errors
/// What was seen last, and for how long.
pub async fn wait_for<T, F>(
    run: &Run,
    what: &str,
    patience: Duration,
    attempt: impl FnMut() -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    let (seen, work) = watched(eventually(patience, PACE, attempt));
    let mut work = Box::pin(work);
    let mut ticks = tokio::time::interval(PATIENCE);
    ticks.tick().await;
    loop {
        tokio::select! {
            result = &mut work => {
                return result.map_err(|missed| {
                    format!("{what} is not there after {} s: {}", missed.waited.as_secs(), missed.last)
                });
            }
            _ = ticks.tick() => {
                let last = seen.lock().clone();
                let last = if last.is_empty() { "no answer yet".to_owned() } else { last };
                run.tell(format!("waiting for {what}, {} s: {last}", started.elapsed().as_secs()));
            }
        }
    }
}
