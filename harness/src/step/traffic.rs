//! Runs load beside other steps and holds it to its contract. A failed request is told with the step that ran
//! when it was due.

use serde_json::Value;

use super::request::planned;
use crate::expect::Miss;
use crate::expect::check::judge;
use crate::expect::response::told;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::runner::steps;
use crate::scenario::Step;
use crate::scenario::document::{Contract, Traffic};
use crate::traffic;
use crate::traffic::latency::quantile;
use crate::traffic::plan::{Plan, Planned};
use crate::traffic::summary::Summary;

/// Failed requests that are told one by one.
const TOLD: usize = 5;

pub(super) async fn traffic(
    context: &mut Context,
    traffic: &Traffic,
    name: Option<&str>,
    inner: &[Step],
    number: &str,
) -> Result<String, Failure> {
    let gateway = context.environment.gateway();
    let mut mix = Vec::new();
    for request in &traffic.requests.0 {
        let (target, outgoing) = planned(&request.0, gateway, false)?;
        let title = format!("{} {}", request.0.method, request.0.path);
        mix.push(Planned { title, target, outgoing, timeout: request.0.timeout.0 });
    }
    let running = traffic::start(Plan {
        rate: traffic.rate,
        clients: traffic.clients,
        mix,
        duration: None,
        good: traffic.contract.statuses.as_ref().map(|statuses| statuses.0.clone()),
    });
    let started = running.started();
    let mut spans = Vec::new();
    let mut result = Ok(());
    for (index, step) in inner.iter().enumerate() {
        let began = started.elapsed();
        let prefix = format!("{number}.");
        result = steps::run_from(context, std::slice::from_ref(step), &prefix, index).await;
        spans.push((
            began,
            started.elapsed(),
            format!("step {number}.{} ({})", index + 1, step.title(&context.variables)),
        ));
        if result.is_err() {
            break;
        }
    }
    let summary = running.finish().await;
    let misses = judge_contract(&traffic.contract, &summary);
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let what = format!("{name}{} requests: {}", summary.sent(), told(&summary.counts()));
    if let Err(mut failure) = result {
        failure.misses.clear();
        failure.hints.push(format!("the traffic meanwhile: {what}, {} failed", summary.failed()));
        return Err(failure);
    }
    if misses.is_empty() {
        let p99 = summary.latency().at(0.99);
        return Ok(format!("{what}; {} failed; p99 {:.1} ms", summary.failed(), p99.as_secs_f64() * 1_000.0));
    }
    let hints = summary.failures.iter().take(TOLD).map(|failed| {
        let during = spans.iter().find(|(from, to, _)| (*from..*to).contains(&failed.at));
        let during = during.map_or("after the steps", |(_, _, step)| step.as_str());
        let at = failed.at.as_secs_f64();
        format!("at {at:.3} s, during {during}: {}: {}", failed.request, failed.cause)
    });
    let hints = hints.collect();
    let message = format!("the traffic broke its contract; {what}");
    Err(Failure { message, misses, hints, ..Failure::default() })
}

fn judge_contract(contract: &Contract, summary: &Summary) -> Vec<Miss> {
    let mut misses = Vec::new();
    if summary.failed() > contract.failures {
        let allowed = match contract.failures {
            0 => "no failed request".to_owned(),
            some => format!("at most {some} failed requests"),
        };
        misses.push(Miss { expected: allowed, got: format!("{} of {}", summary.failed(), summary.sent()) });
    }
    if summary.sent() < contract.at_least.max(1) {
        misses.push(Miss {
            expected: format!("at least {} requests", contract.at_least.max(1)),
            got: summary.sent().to_string(),
        });
    }
    let counts = summary.counts();
    for (key, check) in &contract.counts {
        let count = counts.get(key).copied().unwrap_or(0);
        misses.extend(judge(&format!("the number of {key}"), check, Some(&Value::from(count))));
    }
    for (name, most) in &contract.latency {
        let got = summary.latency().at(quantile(name).unwrap_or(1.0));
        if got > most.0 {
            misses.push(Miss { expected: format!("{name} within {:?}", most.0), got: format!("{got:?}") });
        }
    }
    misses
}
