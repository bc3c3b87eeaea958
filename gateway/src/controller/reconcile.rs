//! Gathers changes, translates, offers, and hands on what became of it.
//!
//! The first change after a quiet time goes through within milliseconds; a burst becomes one configuration; a
//! stream without an end is cut into slices, so that nothing is starved. No more than half of the time is spent
//! translating, however large the cluster is.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::barrier::Barrier;
use super::{ControllerSettings, Offer, Publish, Published, kube_events, status};
use crate::model::Problem;
use crate::source::{Change, Feed};
use crate::store::Store;
use crate::translate::{Checks, Remembered, Translation, translate};

/// Changes that follow each other this closely belong together.
const QUIET: Duration = Duration::from_millis(2);
/// But none waits longer than this for others.
const LONGEST: Duration = Duration::from_millis(20);

/// Where plans for the scribes go; each replaces the one before.
pub(super) struct Plans {
    pub(super) status: watch::Sender<status::Plan>,
    pub(super) events: watch::Sender<kube_events::Plan>,
}

/// The control loop.
pub(super) struct Loop {
    work: Work,
    /// A rest after work, as long as the work was.
    not_before: Instant,
}

/// What a round of work needs; moved to a thread of its own for its time.
struct Work {
    settings: ControllerSettings,
    checks: Checks,
    publish: Arc<dyn Publish>,
    plans: Plans,
    store: Store,
    remembered: Remembered,
    generation: u64,
    shown: BTreeSet<Problem>,
}

impl Loop {
    pub(super) fn new(
        settings: ControllerSettings,
        checks: Checks,
        publish: Arc<dyn Publish>,
        plans: Plans,
    ) -> Loop {
        let work = Work {
            settings,
            checks,
            publish,
            plans,
            store: Store::default(),
            remembered: Remembered::default(),
            generation: 0,
            shown: BTreeSet::new(),
        };
        Loop { work, not_before: Instant::now() }
    }

    pub(super) async fn run(mut self, mut feed: Feed, stop: CancellationToken) {
        let mut barrier = Barrier::new(&feed);
        self.work.publish.pending(&barrier.pending());
        let mut passed = false;
        loop {
            let first = tokio::select! {
                change = feed.changes.recv() => change,
                () = stop.cancelled() => return,
            };
            let Some(first) = first else { return };
            let mut news = self.take(first, &mut barrier);
            news |= self.gather(&mut feed, &mut barrier).await;
            if !news {
                continue;
            }
            if !barrier.is_passed() {
                self.work.publish.pending(&barrier.pending());
                continue;
            }
            let started = Instant::now();
            let problems = barrier.problems().collect();
            let mut work = self.work;
            // Off the runtime: a large cluster takes a while, and timers must not.
            let done = tokio::task::spawn_blocking(move || {
                let offered = work.guarded_round(problems);
                (work, offered)
            });
            let Ok((work, offered)) = done.await else { return };
            self.work = work;
            self.not_before = Instant::now() + started.elapsed();
            if offered && !passed {
                passed = true;
                self.work.publish.pending(&[]);
            }
        }
    }

    /// Takes in what else is there, until nothing comes for a moment.
    async fn gather(&mut self, feed: &mut Feed, barrier: &mut Barrier) -> bool {
        let last = self.not_before.max(Instant::now() + LONGEST);
        let mut news = false;
        loop {
            let quiet = self.not_before.max(Instant::now() + QUIET).min(last);
            match timeout_at(quiet, feed.changes.recv()).await {
                Ok(Some(change)) => news |= self.take(change, barrier),
                Ok(None) | Err(_) => return news,
            }
            if Instant::now() >= last {
                return news;
            }
        }
    }

    fn take(&mut self, change: Change, barrier: &mut Barrier) -> bool {
        let noted = barrier.note(&change);
        self.work.store.apply(change) || noted
    }
}

impl Work {
    /// A fault of ours must not take the gateway down: what serves goes on serving.
    fn guarded_round(&mut self, problems: Vec<Problem>) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| self.round(problems))).is_ok();
        if !done {
            error!("making a configuration failed; the last one still serves; please report this");
        }
        done
    }

    /// Everything there is, once.
    fn round(&mut self, mut problems: Vec<Problem>) {
        let started = Instant::now();
        let mut translation =
            translate(&self.store, &self.remembered, &self.settings.translate, &self.checks);
        problems.append(&mut translation.problems);
        problems.extend(status::problems(&self.store, &self.settings));
        problems.sort();
        problems.dedup();
        let offer = Offer {
            model: std::mem::take(&mut translation.model),
            problems: problems.clone(),
            objects: self.store.versions(),
        };
        let published = self.publish.publish(offer);
        self.log_news(problems.iter().chain(&published.problems).cloned().collect());
        if published.generation != self.generation {
            debug!(generation = published.generation, took = ?started.elapsed(), "configuration serves");
        }
        self.plan(&translation, &problems, &published);
        self.generation = published.generation;
        self.remembered = translation.remembered;
    }

    fn plan(&self, translation: &Translation, problems: &[Problem], published: &Published) {
        let plan = status::Plan::new(&self.store, translation, published, &self.settings);
        self.plans.status.send_replace(plan);
        let plan = kube_events::Plan::new(&self.store, problems, published);
        self.plans.events.send_replace(plan);
    }

    /// Every problem is logged once while it lasts.
    fn log_news(&mut self, problems: BTreeSet<Problem>) {
        for problem in problems.difference(&self.shown) {
            let Problem { origin, field, message, effect, .. } = problem;
            warn!(object = %origin, field, effect, "{message}");
        }
        for problem in self.shown.difference(&problems) {
            info!(object = %problem.origin, field = problem.field, "no longer: {}", problem.message);
        }
        self.shown = problems;
    }
}
