//! Jaeger's own API, version 2's and late version 1's: traces and the graph of services.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ToolUrl;
use super::ask::{ask, escaped};

/// How far back links between services are asked for, in milliseconds. Only traces wholly within count.
const LOOK_BACK: u64 = 3_600_000;
/// Traces that a search gives at most, the newest first.
const TRACES: u64 = 20;

/// All spans of one trace that have arrived so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// Hexadecimal, as Jaeger shows it.
    pub id: String,
    pub spans: Vec<Span>,
}

/// What one service did for a while.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    pub id: String,
    /// The span it is a child of, which need not have arrived.
    pub parent: Option<String>,
    pub service: String,
    pub name: String,
    /// `server`, `client`, …; empty for spans that are internal to their service.
    pub kind: String,
    /// The span's own, and those of its process where it has none of that name.
    pub tags: Map<String, Value>,
}

/// One service calls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub parent: String,
    pub child: String,
    pub calls: u64,
}

impl Trace {
    /// Names of services, each once, sorted.
    pub fn services(&self) -> BTreeSet<&str> {
        self.spans.iter().map(|span| span.service.as_str()).collect()
    }

    /// The span's parent, its parent's, and so on as far as they have arrived.
    pub fn ancestors<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Span> {
        // Nothing keeps spans from being each other's parents.
        std::iter::successors(self.parent(span), |span| self.parent(span)).take(self.spans.len())
    }

    /// The span's parent, if it has one and that has arrived.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        let parent = span.parent.as_deref()?;
        self.spans.iter().find(|other| other.id == parent)
    }
}

/// A trace by its id; `None` while nothing of it has arrived.
///
/// # Errors
/// Jaeger can't be asked, or refuses.
pub async fn trace(url: &ToolUrl, id: &str) -> Result<Option<Trace>, String> {
    let (status, answer) = ask("Jaeger", url, &format!("/api/traces/{}", escaped(id))).await?;
    if status == 404 {
        return Ok(None);
    }
    Ok(traces(&data(status, &answer)?).into_iter().next())
}

/// The newest traces in which one span of the service has all the tags.
///
/// # Errors
/// Jaeger can't be asked, or refuses.
pub async fn search(
    url: &ToolUrl,
    service: &str,
    tags: impl IntoIterator<Item = (&String, &String)>,
) -> Result<Vec<Trace>, String> {
    let tags: Map<String, Value> =
        tags.into_iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut path = format!("/api/traces?service={}&limit={TRACES}", escaped(service));
    if !tags.is_empty() {
        path = format!("{path}&tags={}", escaped(&Value::Object(tags).to_string()));
    }
    let (status, answer) = ask("Jaeger", url, &path).await?;
    Ok(traces(&data(status, &answer)?))
}

/// Which services call which, from the traces of the last hour.
///
/// # Errors
/// Jaeger can't be asked, or refuses.
pub async fn dependencies(url: &ToolUrl) -> Result<Vec<Link>, String> {
    let (status, answer) = ask("Jaeger", url, &format!("/api/dependencies?lookback={LOOK_BACK}")).await?;
    let text = |link: &Value, name: &str| link[name].as_str().unwrap_or_default().to_owned();
    let link = |link: &Value| Link {
        parent: text(link, "parent"),
        child: text(link, "child"),
        calls: link["callCount"].as_u64().unwrap_or_default(),
    };
    Ok(data(status, &answer)?.iter().map(link).collect())
}

/// What stands in the envelope; nothing found is `null` or an empty list.
fn data(status: u16, answer: &Value) -> Result<Vec<Value>, String> {
    if status != 200 {
        let message = answer.pointer("/errors/0/msg").and_then(Value::as_str);
        let message = message.map_or_else(|| answer.to_string(), str::to_owned);
        return Err(format!("Jaeger answered {status}: {message}"));
    }
    match &answer["data"] {
        Value::Null if answer.get("data").is_some() => Ok(Vec::new()),
        Value::Array(items) => Ok(items.clone()),
        _ => Err("what answered is not Jaeger: its JSON has no `data`".to_owned()),
    }
}

fn traces(data: &[Value]) -> Vec<Trace> {
    data.iter().map(trace_of).collect()
}

fn trace_of(trace: &Value) -> Trace {
    let spans = trace["spans"].as_array().map_or(&[][..], Vec::as_slice);
    Trace {
        id: trace["traceID"].as_str().unwrap_or_default().to_owned(),
        spans: spans.iter().map(|span| span_of(span, &trace["processes"])).collect(),
    }
}

fn span_of(span: &Value, processes: &Value) -> Span {
    let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let process = &processes[span["processID"].as_str().unwrap_or_default()];
    let parent = span["references"].as_array().into_iter().flatten().find(|reference| {
        // Links to other traces, or to spans that this one only follows from, are no parents.
        reference["refType"] == "CHILD_OF" && reference["traceID"] == span["traceID"]
    });
    let mut tags = Map::new();
    for tag in [process, span].iter().filter_map(|of| of["tags"].as_array()).flatten() {
        if let Some(key) = tag["key"].as_str() {
            tags.insert(key.to_owned(), tag["value"].clone());
        }
    }
    Span {
        id: text("spanID"),
        parent: parent.and_then(|parent| parent["spanID"].as_str()).map(str::to_owned),
        service: process["serviceName"].as_str().unwrap_or_default().to_owned(),
        name: text("operationName"),
        kind: tags.get("span.kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
        tags,
    }
}
