//! Kiali's own API: the graph of workloads, and one workload's health. Both are asked for so that Kiali computes
//! them anew: its caches are shared by everybody who looks, and may be minutes old.

use std::time::Duration;

use serde_json::Value;

use super::ToolUrl;
use super::ask::{ask, escaped};

/// What was seen in a window of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    pub edges: Vec<Edge>,
}

/// HTTP from one node of the graph to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edge {
    /// `NAMESPACE/WORKLOAD`; of what is no workload `NAMESPACE/SERVICE`.
    pub from: String,
    pub to: String,
    /// Requests per second.
    pub rate: f64,
    /// Percent of them that failed; 4xx are failures too.
    pub errors: f64,
    /// Percent of them that came by mutual TLS.
    pub mtls: f64,
    /// `Healthy`, `Degraded`, `Failure`, …, if Kiali says so.
    pub health: Option<String>,
}

/// How well a workload does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `Healthy`, `Degraded`, `Failure`, `NotReady`, `NA`.
    pub status: String,
    /// Whether requests were counted. Without a sidecar none are, and a workload that runs is healthy.
    pub counted: bool,
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.counted {
            ""
        } else {
            ", which only says that it runs: none of its requests were counted"
        };
        write!(f, "{}{how}", self.status)
    }
}

/// The graph of all workloads in these namespaces, over the time before now.
///
/// # Errors
/// Kiali can't be asked, or refuses.
pub async fn graph(url: &ToolUrl, namespaces: &[&str], window: Duration) -> Result<Graph, String> {
    let namespaces: Vec<String> = namespaces.iter().map(|namespace| escaped(namespace)).collect();
    let path = format!(
        "/api/namespaces/graph?namespaces={}&graphType=workload&duration={}s&appenders=securityPolicy,health\
         &rateGrpc=none&rateTcp=none&refreshInterval=0",
        namespaces.join(","),
        window.as_secs().max(1)
    );
    let (status, answer) = ask("Kiali", url, &path).await?;
    let elements = &good(status, &answer)?["elements"];
    let list = |name: &str| elements[name].as_array().map(Vec::as_slice);
    let Some(nodes) = list("nodes") else {
        return Err("what answered is not Kiali: its JSON has no graph".to_owned());
    };
    let name_of = |id: &Value| {
        let node = nodes.iter().map(|node| &node["data"]).find(|node| node["id"] == *id);
        node.map(name).unwrap_or_default()
    };
    let edges = list("edges").unwrap_or_default().iter().map(|edge| &edge["data"]);
    let http = edges.filter(|edge| edge["traffic"]["protocol"] == "http");
    let edges = http.map(|edge| Edge {
        from: name_of(&edge["source"]),
        to: name_of(&edge["target"]),
        rate: number(&edge["traffic"]["rates"]["http"]),
        errors: number(&edge["traffic"]["rates"]["httpPercentErr"]),
        mtls: number(&edge["isMTLS"]),
        health: edge["healthStatus"].as_str().map(str::to_owned),
    });
    Ok(Graph { edges: edges.collect() })
}

/// The health of one workload over the time before now.
///
/// # Errors
/// Kiali can't be asked, or refuses: there is no such workload.
pub async fn workload(
    url: &ToolUrl,
    namespace: &str,
    name: &str,
    window: Duration,
) -> Result<Health, String> {
    let path = format!(
        "/api/namespaces/{}/workloads/{}?health=true&rateInterval={}s",
        escaped(namespace),
        escaped(name),
        window.as_secs().max(1)
    );
    let (status, answer) = ask("Kiali", url, &path).await?;
    let health = &good(status, &answer)?["health"];
    let status = health.pointer("/status/status").and_then(Value::as_str);
    let status = status.ok_or_else(|| format!("Kiali says nothing of the health of {namespace}/{name}"))?;
    let requests = |way: &str| health["requests"][way].as_object().is_some_and(|all| !all.is_empty());
    Ok(Health { status: status.to_owned(), counted: requests("inbound") || requests("outbound") })
}

fn good(status: u16, answer: &Value) -> Result<&Value, String> {
    if status == 200 {
        return Ok(answer);
    }
    let message = answer["error"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
    Err(format!("Kiali answered {status}: {message}"))
}

fn name(node: &Value) -> String {
    let text = |name: &str| node[name].as_str().filter(|text| !text.is_empty());
    let name = text("workload").or_else(|| text("service")).or_else(|| text("app"));
    format!("{}/{}", text("namespace").unwrap_or("unknown"), name.unwrap_or("unknown"))
}

/// Numbers come as texts, and not at all when they are zero.
fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_f64()).unwrap_or_default()
}
