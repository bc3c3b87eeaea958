//! Asks Jaeger for a trace, or for the graph of services, and judges what it gives.

use std::time::Duration;

use super::until_met;
use crate::environment::Observer;
use crate::expect::Miss;
use crate::expect::trace::{judge_links, judge_trace};
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{LinkCheck, TraceCheck};
use crate::tools::ToolUrl;
use crate::tools::jaeger::{self, Trace};

const PACE: Duration = Duration::from_millis(200);

pub(super) async fn trace(
    context: &mut Context,
    check: &TraceCheck,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let url = context.tool(Observer::Jaeger).await?;
    until_met("trace", patience, PACE, || async {
        let traces = found(&url, check).await?;
        // Of several the first counts that is as it should be; else the newest is told of.
        let judged: Vec<(&Trace, Vec<Miss>)> =
            traces.iter().map(|trace| (trace, judge_trace(check, trace))).collect();
        let best = judged.iter().find(|(_, misses)| misses.is_empty()).or(judged.first());
        let (trace, misses) = best.ok_or_else(|| nothing(check))?;
        let services: Vec<&str> = trace.services().into_iter().collect();
        let seen = format!("{}: {} spans of {}", trace.id, trace.spans.len(), services.join(", "));
        Ok((misses.clone(), seen))
    })
    .await
    .map_err(|mut failure| {
        failure.hints.push(format!("Jaeger is at {url}"));
        failure
    })
}

async fn found(url: &ToolUrl, check: &TraceCheck) -> Result<Vec<Trace>, String> {
    match (&check.id, &check.service) {
        (Some(id), _) => Ok(jaeger::trace(url, id).await?.into_iter().collect()),
        (None, Some(service)) => jaeger::search(url, service, &check.tags).await,
        (None, None) => Err("a trace needs an id or a service".to_owned()),
    }
}

fn nothing(check: &TraceCheck) -> String {
    match (&check.id, &check.service) {
        (Some(id), _) => format!("Jaeger has no trace {id}"),
        (None, service) => {
            let service = service.as_deref().unwrap_or_default();
            let tags: Vec<String> =
                check.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let with = if tags.is_empty() { String::new() } else { format!(" with {}", tags.join(", ")) };
            format!("Jaeger has no trace with a span of {service}{with}")
        }
    }
}

pub(super) async fn dependencies(
    context: &mut Context,
    wanted: &[LinkCheck],
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let url = context.tool(Observer::Jaeger).await?;
    until_met("dependencies", patience, PACE, || async {
        let links = jaeger::dependencies(&url).await?;
        let seen: Vec<String> = links
            .iter()
            // Calls within a service are nobody's dependency.
            .filter(|link| link.parent != link.child)
            .map(|link| format!("{} → {} ({})", link.parent, link.child, link.calls))
            .collect();
        Ok((judge_links(wanted, &links), seen.join(", ")))
    })
    .await
}
