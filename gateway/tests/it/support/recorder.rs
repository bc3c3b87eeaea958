//! A data plane that writes down what it is offered.

use std::sync::{Arc, Mutex};

use gateway::controller::{Offer, Publish, Published};
use gateway::model::Problem;
use tokio::sync::watch;

/// Cloned handles share what is written down.
#[derive(Clone)]
pub(crate) struct Recorder {
    seen: Arc<watch::Sender<Seen>>,
    /// What compiling the next offers will find wrong.
    faults: Arc<Mutex<Vec<Problem>>>,
}

/// Everything so far.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) offers: Vec<Offer>,
    pub(crate) pending: Vec<Vec<String>>,
    generation: u64,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder { seen: Arc::new(watch::channel(Seen::default()).0), faults: Arc::default() }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub(crate) fn fail_compiling(&self, problems: Vec<Problem>) {
        *self.faults.lock().unwrap() = problems;
    }

    /// Waits until what is written down is as asked for.
    pub(crate) async fn until(&self, what: &str, is_so: impl FnMut(&Seen) -> bool) -> Seen {
        self.wait(what, is_so, Seen::clone).await
    }

    /// Waits for an offer.
    pub(crate) async fn until_offer(&self, what: &str, mut is_so: impl FnMut(&Offer) -> bool) -> Offer {
        let last = |seen: &Seen| seen.offers.last().cloned().unwrap();
        self.wait(what, |seen| seen.offers.last().is_some_and(&mut is_so), last).await
    }

    async fn wait<T>(
        &self,
        what: &str,
        is_so: impl FnMut(&Seen) -> bool,
        take: impl FnOnce(&Seen) -> T,
    ) -> T {
        let mut seen = self.seen.subscribe();
        let found = tokio::time::timeout(super::DEADLINE, seen.wait_for(is_so)).await;
        let Ok(Ok(seen)) = found else {
            let last = self.seen();
            let offer = last.offers.last().map(|offer| (&offer.problems, &offer.objects));
            panic!("no {what}; pending {:?}, last offer {offer:?}", last.pending.last())
        };
        take(&seen)
    }
}

impl Publish for Recorder {
    fn publish(&self, offer: Offer) -> Published {
        let mut generation = 0;
        self.seen.send_modify(|seen| {
            if seen.offers.last().is_none_or(|last| last.model != offer.model) {
                seen.generation += 1;
            }
            generation = seen.generation;
            seen.offers.push(offer);
        });
        Published { generation, problems: self.faults.lock().unwrap().clone() }
    }

    fn pending(&self, reasons: &[String]) {
        self.seen.send_modify(|seen| seen.pending.push(reasons.to_vec()));
    }
}
