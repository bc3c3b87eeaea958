//! One writer, many readers: snapshot, problems and object versions under one generation number.
//!
//! Compiling happens here, on the control runtime; the data plane sees a pointer change.

use std::sync::Arc;

use admin_api::ObjectVersion;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Snapshot;
use super::compile::Compiler;
use crate::clock::Clock;
use crate::model::{Model, Problem};

/// A configuration as a source offers it.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    pub model: Model,
    pub problems: Vec<Problem>,
    /// The objects it was made from.
    pub objects: Vec<ObjectVersion>,
}

/// What serves now, for whoever asks or waits.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// 0 before the first configuration.
    pub generation: u64,
    /// Unix time in milliseconds at which the generation began to serve.
    pub since_ms: u64,
    /// The source's, and what compiling found.
    pub problems: Vec<Problem>,
    pub objects: Vec<ObjectVersion>,
}

/// Makes configurations live.
pub struct Publisher {
    live: Arc<ArcSwap<Snapshot>>,
    compiler: Compiler,
    clock: Clock,
    /// Held while compiling, so that offers become live in the order they come.
    writing: Mutex<()>,
    published: watch::Sender<Arc<Published>>,
}

impl Publisher {
    pub fn new(compiler: Compiler, clock: Clock) -> Publisher {
        let live = Arc::new(ArcSwap::from_pointee(compiler.empty()));
        Publisher { live, compiler, clock, writing: Mutex::new(()), published: watch::Sender::default() }
    }

    /// Where the data plane looks.
    pub fn live(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.live)
    }

    /// What serves, and word of every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.published.subscribe()
    }

    /// Whether this is what serves.
    pub fn serves(&self, model: &Model) -> bool {
        let live = self.live.load();
        live.generation > 0 && *live.model == *model
    }

    /// Makes an offer live. A model equal to the one that serves keeps its generation; problems and object
    /// versions are taken over all the same. When this returns, every new request sees the offer. Problems that
    /// only compiling found come back beside what is published.
    pub fn publish(&self, offer: Offer) -> (Arc<Published>, Vec<Problem>) {
        let _writing = self.writing.lock();
        let before = self.live.load_full();
        let last = self.published.borrow().clone();
        let same = self.serves(&offer.model);
        let mut problems = offer.problems;
        let (generation, since_ms, found) = if same {
            (last.generation, last.since_ms, before.problems.clone())
        } else {
            let generation = before.generation + 1;
            let snapshot = self.compiler.compile(Arc::new(offer.model), generation, Some(&before));
            let (routes, found) = (snapshot.routes.len(), snapshot.problems.clone());
            self.live.store(Arc::new(snapshot));
            let count = problems.len() + found.len();
            tracing::info!(generation, routes, problems = count, "a new configuration serves");
            (generation, self.clock.unix().as_millis() as u64, found)
        };
        problems.extend(found.iter().cloned());
        problems.sort();
        problems.dedup();
        let published = Arc::new(Published { generation, since_ms, problems, objects: offer.objects });
        self.published.send_replace(Arc::clone(&published));
        (published, found)
    }
}
