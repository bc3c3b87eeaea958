//! The graph of a mesh: whether the edges that should be there are, and how they do.

use serde_json::Value;

use super::check::{Miss, judge, judge_text};
use crate::scenario::document::EdgeCheck;
use crate::tools::kiali::{Edge, Graph};

/// Edges that are shown of a larger graph.
const SHOWN: usize = 12;

/// Judges the edges that are wanted.
pub fn judge_graph(wanted: &[EdgeCheck], graph: &Graph) -> Vec<Miss> {
    wanted.iter().flat_map(|wanted| judge_edge(wanted, graph)).collect()
}

fn judge_edge(wanted: &EdgeCheck, graph: &Graph) -> Vec<Miss> {
    let name = format!("{} → {}", wanted.from, wanted.to);
    let edge = graph.edges.iter().find(|edge| edge.from == wanted.from && edge.to == wanted.to);
    let Some(edge) = edge else {
        return judge_absent(wanted, &name, graph);
    };
    let numbers = [
        ("requests per second", &wanted.rate, edge.rate),
        ("percent of failures", &wanted.errors, edge.errors),
        ("percent by mutual TLS", &wanted.mtls, edge.mtls),
    ];
    let mut misses: Vec<Miss> = numbers
        .into_iter()
        .filter_map(|(what, check, number)| Some((what, check.as_ref()?, number)))
        .flat_map(|(what, check, number)| {
            judge(&format!("{name}: {what}"), check, Some(&Value::from(number)))
        })
        .collect();
    if wanted.rate.is_none() && edge.rate <= 0.0 {
        misses.push(Miss { expected: format!("{name}: requests"), got: "none in this window".to_owned() });
    }
    if let Some(check) = &wanted.health {
        misses.extend(judge_text(&format!("{name}: health"), check, edge.health.as_deref()));
    }
    misses
}

/// An edge that isn't there is wrong, unless just that is wanted of its rate.
fn judge_absent(wanted: &EdgeCheck, name: &str, graph: &Graph) -> Vec<Miss> {
    if wanted.rate.as_ref().is_some_and(|rate| judge("", rate, None).is_empty()) {
        return Vec::new();
    }
    vec![Miss { expected: format!("an edge {name}"), got: shown(graph) }]
}

fn shown(graph: &Graph) -> String {
    let told = |edge: &Edge| format!("{} → {} ({}/s)", edge.from, edge.to, edge.rate);
    let edges: Vec<String> = graph.edges.iter().take(SHOWN).map(told).collect();
    let more = graph.edges.len().saturating_sub(SHOWN);
    match (edges.len(), more) {
        (0, _) => "a graph without edges".to_owned(),
        (_, 0) => edges.join(", "),
        _ => format!("{}, and {more} more", edges.join(", ")),
    }
}
