//! Asks Kiali for the graph of the mesh and the health of workloads, and judges what it gives.

use std::collections::BTreeSet;
use std::time::Duration;

use super::until_met;
use crate::environment::Observer;
use crate::expect::Miss;
use crate::expect::check::judge_text;
use crate::expect::graph::judge_graph;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::KialiCheck;
use crate::tools::{kiali, prometheus};

/// Each look costs Kiali some dozen questions to Prometheus.
const PACE: Duration = Duration::from_secs(2);
/// What Kiali calls the namespace of everything outside of the mesh.
const OUTSIDE: &str = "unknown";

pub(super) async fn kiali(
    context: &mut Context,
    check: &KialiCheck,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let url = context.tool(Observer::Kiali).await?;
    let met = until_met("kiali", patience, PACE, || async {
        let (mut misses, mut seen) = (Vec::new(), Vec::new());
        let namespaces = namespaces(check);
        if !namespaces.is_empty() {
            let graph = kiali::graph(&url, &namespaces, check.window.0).await?;
            misses.extend(judge_graph(&check.edges.0, &graph));
            let told = |edge: &kiali::Edge| format!("{} → {}: {}/s", edge.from, edge.to, edge.rate);
            seen.extend(graph.edges.iter().map(told));
        }
        for (name, wanted) in &check.health {
            let (namespace, workload) = split(name);
            let health = kiali::workload(&url, namespace, workload, check.window.0).await?;
            let missed = judge_text(&format!("the health of {name}"), wanted, Some(&health.status));
            misses.extend(missed.into_iter().map(|miss| Miss { got: health.to_string(), ..miss }));
            seen.push(format!("{name} is {health}"));
        }
        Ok((misses, seen.join(", ")))
    })
    .await;
    match met {
        Err(mut failure) => {
            failure.hints.push(format!("Kiali is at {url}"));
            if let Ok(url) = context.tool(Observer::Prometheus).await {
                failure.hints.push(prometheus::counted(&url).await.unwrap_or_else(|error| error));
            }
            Err(failure)
        }
        Ok(seen) => Ok(seen),
    }
}

/// Those that edges begin and end in.
fn namespaces(check: &KialiCheck) -> Vec<&str> {
    let ends = check.edges.0.iter().flat_map(|edge| [&edge.from, &edge.to]);
    let names: BTreeSet<&str> =
        ends.map(|end| split(end).0).filter(|namespace| *namespace != OUTSIDE).collect();
    names.into_iter().collect()
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
}
