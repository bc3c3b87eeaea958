//! The plugin contract: when a plugin runs, what it may see and change, and what it may decide.
//!
//! A plugin is built once per generation from settings that passed its schema, and is then shared by all
//! workers: `&self` only. It states the phases it takes part in and is called in no other. Only the access
//! phase may wait. "Answer now" is a value, not an error. What must outlive a generation (counters, queues)
//! lives in [`environment`].

pub mod acl;
pub mod basic_auth;
pub mod chain;
pub mod correlation_id;
pub mod credentials;
pub mod environment;
pub mod function;
pub mod http_log;
mod identity;
pub mod ip_restriction;
pub mod json;
pub mod jwt;
pub mod key_auth;
pub mod log_entry;
pub mod lua;
pub mod opentelemetry;
pub mod outbox;
pub mod prometheus;
pub mod rate_limiting;
pub mod registry;
pub mod request_size_limiting;
pub mod request_termination;
#[cfg(test)]
pub(crate) mod testing;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use admin_api::Reason;
use bytes::Bytes;
use serde_json::Value;

pub use self::chain::{Chain, ChainEnd, Chosen, Failure, Plugins};
pub use self::environment::Environment;
use crate::exchange::{Answer, Exchange, Record};

/// The longest request body that plugins get to see.
pub const BODY_SIGHT: usize = 1024 * 1024;

/// The life of one configured plugin. Phases carry Kong's names and run in this order.
pub trait Plugin: Send + Sync {
    /// The phases it takes part in.
    fn phases(&self) -> Phases;

    /// Whether it wants the request's body in `exchange.body` before its access phase. A body longer than
    /// [`BODY_SIGHT`] is not shown to anybody.
    fn wants_body(&self) -> bool {
        false
    }

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

    /// The exchange is over and all numbers about it are known. Costs less than a record: nothing is kept of it.
    fn count(&self, exchange: &Exchange) {
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
    pub const ALL: Phases = Phases(7);
    /// Not one of Kong's: the plugin counts the exchange, before it becomes a record.
    pub const COUNT: Phases = Phases(16);
    /// Not one of Kong's: the plugin decides about the exchange's trace, in its access phase, or where that is
    /// skipped in its header filter.
    pub const TRACE: Phases = Phases(8);

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

/// Kong's *error* answer. Kong can't make one with a status outside 400 to 599, and fails; so does this.
fn refuse<'a>(status: f64, message: impl Into<Cow<'static, str>>, reason: Reason) -> Flow<'a> {
    let whole = status as u16;
    if (400..=599).contains(&whole) && status.fract() == 0.0 {
        return Flow::Answer(Answer::Error { status: whole, message: message.into(), reason });
    }
    Flow::Fail(
        format!("a refusal has to have a status from 400 to 599, not {status}: change the setting").into(),
    )
}

/// Kong's *exit* with a JSON body.
fn exit_json<'a>(status: u16, body: &Value, reason: Reason) -> Flow<'a> {
    Flow::Answer(Answer::Exit {
        status,
        content_type: Some("application/json; charset=utf-8".into()),
        body: Bytes::from(json::text(body)),
        reason,
    })
}
