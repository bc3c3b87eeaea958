//! The kinds of steps: what each does, and what it gives back: what was asserted and held, or why it failed.

mod admin;
mod apply;
mod bin;
mod change;
mod feed;
mod kiali;
mod kill;
mod metric;
mod request;
mod trace;
mod traffic;
mod wait;
pub mod within;

pub(crate) use self::apply::told as problem_text;
use std::future::Future;
use std::time::Duration;

use crate::expect::Miss;
use crate::expect::eventually::{Missed, eventually};
use crate::runner::context::Context;
use crate::runner::event::{Failure, Tries};
use crate::scenario::{Action, Step};

/// Does what a step says. `number` is the step's.
pub async fn perform(context: &mut Context, step: &Step, number: &str) -> Result<String, Failure> {
    let action = step.action(&context.variables).map_err(|fault| Failure {
        hints: fault.help.into_iter().collect(),
        ..Failure::new(fault.message)
    })?;
    match &action {
        Action::Say(_) => Ok(String::new()),
        Action::Apply(apply) => apply::apply(context, apply).await,
        Action::Delete(delete) => apply::delete(context, delete).await,
        Action::Annotate(annotate) => change::annotate(context, annotate).await,
        Action::Patch(patch) => change::patch(context, patch).await,
        Action::Scale(scale) => change::scale(context, scale).await,
        Action::Restart(object) => change::restart(context, object).await,
        Action::Request { request, reply } => request::request(context, request, reply).await,
        Action::Traffic { traffic, name, steps } => {
            traffic::traffic(context, traffic, name.as_deref(), steps, number).await
        }
        Action::Within { within, steps } => within::within(context, within, steps, number).await,
        Action::Wait(wait) => wait::wait(context, wait).await,
        Action::Kill(kill) => kill::kill(context, kill).await,
        Action::Bin { bin, eventually } => bin::bin(context, bin, *eventually).await,
        Action::Admin { path, reply } => admin::admin(context, path, reply).await,
        Action::Metric { metric, eventually } => metric::metric(context, metric, *eventually).await,
        Action::Trace { trace, eventually } => trace::trace(context, trace, *eventually).await,
        Action::Dependencies { links, eventually } => trace::dependencies(context, links, *eventually).await,
        Action::Kiali { kiali, eventually } => kiali::kiali(context, kiali, *eventually).await,
    }
}

/// Looks until nothing is missed any more or patience ends, and gives what was seen. A look gives what is missed and
/// what it saw, or why it saw nothing.
async fn until_met<F>(
    what: &str,
    patience: Option<Duration>,
    pace: Duration,
    look: impl Fn() -> F,
) -> Result<String, Failure>
where
    F: Future<Output = Result<(Vec<Miss>, String), String>>,
{
    let last = parking_lot::Mutex::new(Vec::new());
    let waited = eventually(patience.unwrap_or_default(), pace, || async {
        last.lock().clear();
        let (misses, seen) = look().await?;
        let Some(miss) = misses.first() else { return Ok(seen) };
        let told = format!("{} was expected, got {}", miss.expected, miss.got);
        *last.lock() = misses;
        Err(told)
    })
    .await;
    waited.map_err(|late| {
        let mut failure = missed(what, last.into_inner());
        if failure.misses.is_empty() {
            failure.message = format!("{what}: {}", late.last);
        }
        failure.tries = patience.map(|_| tries(&late));
        failure
    })
}

/// Expectations that were not met, as a failure.
fn missed(what: &str, misses: Vec<Miss>) -> Failure {
    let message = match misses.first() {
        Some(miss) => format!("{what}: {} was expected", miss.expected),
        None => what.to_owned(),
    };
    Failure { message, misses, ..Failure::default() }
}

/// A fact that did not come about in time.
fn too_late(what: &str, missed: &Missed) -> Failure {
    Failure { message: format!("{what}: {}", missed.last), tries: Some(tries(missed)), ..Failure::default() }
}

fn tries(missed: &Missed) -> Tries {
    Tries { count: missed.tries, waited_ms: missed.waited.as_millis() as u64 }
}
