//! Runs steps one after another, those inside of others too, and tells of each.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::context::Context;
use super::event::{Failure, What};
use crate::expect::eventually;
use crate::scenario::Step;
use crate::step::perform;

/// After so long a step tells what it waits for, again and again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs all steps; the first that fails is the last. `prefix` stands before their numbers.
pub fn run<'a>(
    context: &'a mut Context,
    steps: &'a [Step],
    prefix: &'a str,
) -> BoxFuture<'a, Result<(), Failure>> {
    run_from(context, steps, prefix, 0)
}

/// The same for steps that are not the first of their list; `before` is how many come before.
pub fn run_from<'a>(
    context: &'a mut Context,
    steps: &'a [Step],
    prefix: &'a str,
    before: usize,
) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        for (index, step) in steps.iter().enumerate() {
            let number = format!("{prefix}{}", before + index + 1);
            one(context, step, &number).await?;
        }
        Ok(())
    }
    .boxed()
}

async fn one(context: &mut Context, step: &Step, number: &str) -> Result<(), Failure> {
    let (scenario, events) = (context.scenario.clone(), context.events.clone());
    let number = number.to_owned();
    let title = step.title(&context.variables);
    events.tell(What::StepStarted {
        scenario: scenario.clone(),
        step: number.clone(),
        title: title.clone(),
        say: step.say.clone(),
        place: step.place,
    });
    let started = Instant::now();
    let (seen, work) = eventually::watched(perform(context, step, &number));
    let mut work = Box::pin(work);
    let mut ticks = tokio::time::interval(PATIENCE);
    ticks.tick().await;
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = ticks.tick() => {
                let seconds = started.elapsed().as_secs();
                let last = seen.lock().clone();
                let last = if last.is_empty() { title.clone() } else { last };
                let text = format!("still waiting after {seconds} s: {last}");
                events.tell(What::StepWaits { scenario: scenario.clone(), step: number.clone(), text });
            }
        }
    };
    drop(work);
    let took_ms = started.elapsed().as_millis() as u64;
    match result {
        Ok(asserted) => {
            events.tell(What::StepPassed { scenario, step: number, took_ms, asserted });
            Ok(())
        }
        Err(failure) => {
            events.tell(What::StepFailed { scenario, step: number, took_ms, failure: failure.clone() });
            Err(failure)
        }
    }
}
