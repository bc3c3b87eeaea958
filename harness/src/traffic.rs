//! Generates load to a plan and says what happened. Open loop: every request has a time at which it is due,
//! however long earlier ones take, and its latency counts from there. So a gateway that stalls is charged with
//! every request that had to wait, not only with those under way (no coordinated omission).

pub mod latency;
pub mod plan;
pub mod summary;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::plan::Plan;
use self::summary::Summary;

/// Failures that are kept with their time and cause; the rest is counted.
const KEPT_FAILURES: usize = 100;

/// Load that is being generated.
pub struct Running {
    stop: CancellationToken,
    workers: JoinSet<worker::Tally>,
    started: Instant,
    plan: Arc<Plan>,
}

/// Starts to send. Dropping the result ends it at once.
pub fn start(plan: Plan) -> Running {
    let plan = Arc::new(plan);
    let (stop, started) = (CancellationToken::new(), Instant::now());
    let mut workers = JoinSet::new();
    for number in 0..plan.clients {
        workers.spawn(worker::run(Arc::clone(&plan), number, started, stop.clone()));
    }
    Running { stop, workers, started, plan }
}

impl Running {
    /// When it began; failures are dated from there.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Sends no more and waits for what is under way.
    pub async fn finish(self) -> Summary {
        self.stop.cancel();
        self.collect().await
    }

    /// Waits until the plan's duration is over, or `stop` says so.
    pub async fn until(self, stop: impl Future<Output = ()>) -> Summary {
        tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(self.plan.duration.unwrap_or(Duration::MAX)) => {}
        }
        self.finish().await
    }

    async fn collect(mut self) -> Summary {
        let sending = self.started.elapsed();
        let mut summary = Summary::new(&self.plan, sending);
        while let Some(tally) = self.workers.join_next().await {
            // A worker that panicked has said so; its part is missing and the count shows it.
            if let Ok(tally) = tally {
                summary.add(tally.rows, tally.failures);
            }
        }
        summary.failures.sort_by_key(|a| a.at);
        summary.failures.truncate(KEPT_FAILURES);
        summary
    }
}
