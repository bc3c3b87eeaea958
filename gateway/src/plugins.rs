//! The plugin contract: when a plugin runs, what it may see and change, and what it may decide.
//!
//! A plugin is built once per generation from settings that passed its schema, and is then shared by all
//! workers: `&self` only. It states the phases it takes part in and is called in no other. Only the access
//! phase may wait. "Answer now" is a value, not an error. What must outlive a generation (counters, queues)
//! lives in [`environment`].

pub mod environment;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::exchange::{Answer, Exchange, Record};

/// The life of one configured plugin. Phases carry Kong's names and run in this order.
pub trait Plugin: Send + Sync {
    /// The phases it takes part in.
    fn phases(&self) -> Phases;

    /// Before the request is forwarded, after routing. Instances are ordered by priority, highest first.
    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let _ = exchange;
        Flow::Next
    }

    /// The answer's head is in `exchange.response` and may be edited. Runs for every answer, also for the
    /// gateway's own.
    fn header_filter(&self, exchange: &mut Exchange) {
        let _ = exchange;
    }

    /// The exchange is over. Must not block: what takes time goes into a queue.
    fn log(&self, record: &Arc<Record>) {
        let _ = record;
    }
}

/// What the access phase decides.
pub enum Flow<'a> {
    /// Go on.
    Next,
    /// This is the answer; the upstream is not asked and later plugins' access phase is skipped.
    Answer(Answer),
    /// The plugin could not do its work: the client gets 500.
    Fail(Cow<'static, str>),
    /// The decision needs something from elsewhere. The inner result must not be `Wait` again.
    Wait(Pin<Box<dyn Future<Output = Flow<'static>> + 'a>>),
}

/// A set of phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases(u8);

impl Phases {
    pub const NONE: Phases = Phases(0);
    pub const ACCESS: Phases = Phases(1);
    pub const HEADER_FILTER: Phases = Phases(2);
    pub const LOG: Phases = Phases(4);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Phases) -> Phases {
        Phases(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Phases) -> bool {
        self.0 & other.0 == other.0
    }
}
