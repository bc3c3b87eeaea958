//! The kinds of steps: what each does, and what it gives back: what was asserted and held, or why it failed.

mod admin;
mod apply;
mod bin;
mod change;
mod feed;
mod kill;
mod metric;
mod request;
mod traffic;
mod wait;
pub mod within;

pub(crate) use self::apply::told as problem_text;
use crate::expect::Miss;
use crate::expect::eventually::Missed;
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
    }
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
