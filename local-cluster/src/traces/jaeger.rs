//! Traces as Jaeger's own API shows them: `/api/…`, the form that its pages and Kiali read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::query::Query;
use super::search::{Refusal, Search, parse_int};
use super::span::{Attribute, Attributes, Resource, Span, Status};
use super::store::Store;
use super::tree::in_call_order;

/// Whole numbers beyond it are shown as text: readers in JavaScript would round them.
const EXACT: u64 = 1 << 53;

/// Status and body of an answer; `None` for a path that isn't here.
pub(super) fn answer(store: &Store, path: &str, query: &Query) -> Option<(u16, Value)> {
    let parts: Vec<&str> = path.split('/').collect();
    let answered = match parts[..] {
        ["services"] => {
            let services: Vec<&str> = store.services().into_iter().collect();
            Ok(envelope(services.len(), json!(services), Value::Null))
        }
        ["services", service, "operations"] => Ok(names_of_operations(store, service)),
        ["operations"] => operations(store, query),
        ["traces"] => traces(store, query),
        ["traces", id] if !id.is_empty() => one_trace(store, id, query),
        ["dependencies"] => dependencies(store, query),
        _ => return None,
    };
    Some(match answered {
        Ok(body) => (200, body),
        Err((code, message)) => (code, envelope(0, Value::Null, json!([{"code": code, "msg": message}]))),
    })
}

fn envelope(total: usize, data: Value, errors: Value) -> Value {
    json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors})
}

fn names_of_operations(store: &Store, service: &str) -> Value {
    let mut names: Vec<&str> = store.operations(service).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    let data = if names.is_empty() { Value::Null } else { json!(names) };
    envelope(names.len(), data, Value::Null)
}

fn operations(store: &Store, query: &Query) -> Result<Value, Refusal> {
    let service = query.get("service").unwrap_or_default();
    if service.is_empty() {
        return Err((400, "parameter 'service' is required".to_owned()));
    }
    let kind = query.get("spanKind").filter(|kind| !kind.is_empty());
    let all = store.operations(service).into_iter();
    let found = all.filter(|(_, one)| kind.is_none_or(|kind| one.word() == kind));
    let found: Vec<Value> =
        found.map(|(name, kind)| json!({"name": name, "spanKind": kind.word()})).collect();
    Ok(envelope(found.len(), json!(found), Value::Null))
}

fn traces(store: &Store, query: &Query) -> Result<Value, Refusal> {
    let ids: Vec<&str> = query.all("traceID").collect();
    if ids.is_empty() {
        let found = Search::of_jaeger(query)?.run(store);
        return Ok(envelope(0, found.into_iter().map(trace).collect(), Value::Null));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        let id = parse_id(id).map_err(|_| {
            (400, format!("cannot parse traceID param: strconv.ParseUint: parsing {id:?}: invalid syntax"))
        })?;
        match store.trace(id) {
            Some(spans) => found.push(trace(spans)),
            None => missing.push(json!({"msg": "trace not found", "traceID": shown_id(id)})),
        }
    }
    let errors = if missing.is_empty() { Value::Null } else { json!(missing) };
    Ok(envelope(0, json!(found), errors))
}

fn one_trace(store: &Store, id: &str, query: &Query) -> Result<Value, Refusal> {
    let id = parse_id(id)?;
    for name in ["start", "end"] {
        if let Some(text) = query.get(name).filter(|text| !text.is_empty()) {
            parse_int(text).map_err(|why| (400, format!("unable to parse param '{name}': {why}")))?;
        }
    }
    let spans = store.trace(id).ok_or_else(|| (404, "trace not found".to_owned()))?;
    Ok(envelope(0, json!([trace(spans)]), Value::Null))
}

/// An id of up to 32 hexadecimal digits, without leading zeros if one likes.
pub(super) fn parse_id(text: &str) -> Result<u128, Refusal> {
    if text.len() > 32 {
        return Err((400, format!("TraceID cannot be longer than 32 hex characters: {text}")));
    }
    u128::from_str_radix(text, 16).map_err(|_| (400, "invalid length for TraceID".to_owned()))
}

/// Ids of 64 bits have half as many digits.
fn shown_id(id: u128) -> String {
    if id >> 64 == 0 { format!("{id:016x}") } else { format!("{id:032x}") }
}

fn trace(spans: &[Span]) -> Value {
    let mut processes: Vec<&Resource> = Vec::new();
    let shown = in_call_order(spans).into_iter().map(|placed| {
        let resource = &*placed.span.resource;
        let at = processes.iter().position(|known| *known == resource).unwrap_or_else(|| {
            processes.push(resource);
            processes.len() - 1
        });
        span(placed.span, &format!("p{}", at + 1), placed.warnings)
    });
    let shown: Vec<Value> = shown.collect();
    let processes: Map<String, Value> = processes
        .iter()
        .enumerate()
        .map(|(at, resource)| {
            let process = json!({"serviceName": resource.service, "tags": tags(&resource.attributes)});
            (format!("p{}", at + 1), process)
        })
        .collect();
    let id = spans.first().map_or(0, |span| span.trace);
    json!({"traceID": shown_id(id), "spans": shown, "processes": processes, "warnings": null})
}

fn span(span: &Span, process: &str, warnings: Vec<String>) -> Value {
    let mut references = Vec::new();
    let mut refer = |kind: &str, trace: u128, id: u64| {
        references.push(json!({"refType": kind, "traceID": shown_id(trace), "spanID": format!("{id:016x}")}));
    };
    if span.parent != 0 {
        refer("CHILD_OF", span.trace, span.parent);
    }
    for link in &span.links {
        refer("FOLLOWS_FROM", link.trace, link.span);
    }
    let logs = span.events.iter().map(|event| {
        let mut fields = Vec::new();
        if !event.name.is_empty() {
            fields.push(text_tag("event", &event.name));
        }
        fields.extend(tags(&event.attributes));
        json!({"timestamp": event.time / 1_000, "fields": fields})
    });
    json!({
        "traceID": shown_id(span.trace),
        "spanID": format!("{:016x}", span.id),
        "operationName": span.operation(),
        "references": references,
        "startTime": span.start / 1_000,
        "duration": span.duration() / 1_000,
        "tags": span_tags(span),
        "logs": logs.collect::<Vec<_>>(),
        "processID": process,
        "warnings": if warnings.is_empty() { Value::Null } else { json!(warnings) },
    })
}

fn span_tags(span: &Span) -> Vec<Value> {
    let mut all = Vec::new();
    for (key, text) in [("otel.scope.name", &span.scope.name), ("otel.scope.version", &span.scope.version)] {
        if !text.is_empty() {
            all.push(text_tag(key, text));
        }
    }
    all.extend(tags(&span.attributes));
    if !span.kind.word().is_empty() {
        all.push(text_tag("span.kind", span.kind.word()));
    }
    if span.status != Status::Unset {
        all.push(text_tag("otel.status_code", span.status.word()));
    }
    if span.status == Status::Error {
        all.push(json!({"key": "error", "type": "bool", "value": true}));
    }
    if !span.status_message.is_empty() {
        all.push(text_tag("otel.status_description", &span.status_message));
    }
    if !span.trace_state.is_empty() {
        all.push(text_tag("w3c.tracestate", &span.trace_state));
    }
    all
}

fn text_tag(key: &str, text: &str) -> Value {
    json!({"key": key, "type": "string", "value": text})
}

fn tags(attributes: &Attributes) -> Vec<Value> {
    attributes.iter().map(|(key, value)| tag(key, value)).collect()
}

fn tag(key: &str, value: &Attribute) -> Value {
    let (kind, shown) = match value {
        Attribute::Text(_) => ("string", value.to_json()),
        Attribute::Bool(_) => ("bool", value.to_json()),
        Attribute::Int(number) if number.unsigned_abs() > EXACT => ("int64", json!(number.to_string())),
        Attribute::Int(_) => ("int64", value.to_json()),
        Attribute::Double(_) => ("float64", value.to_json()),
        Attribute::Bytes(_) => ("binary", value.to_json()),
        Attribute::List(_) | Attribute::Map(_) => ("string", json!(value.to_text())),
    };
    json!({"key": key, "type": kind, "value": shown})
}

/// Who calls whom, in the traces that lie wholly within the window: by default the last day.
fn dependencies(store: &Store, query: &Query) -> Result<Value, Refusal> {
    let milliseconds = |name: &str, default: i64| match query.get(name) {
        None | Some("") => Ok(default),
        Some(text) => parse_int(text).map_err(|why| (400, format!("unable to parse param '{name}': {why}"))),
    };
    let now = Timestamp::now().as_millisecond();
    let end = milliseconds("endTs", now)?;
    let begin = end.saturating_sub(milliseconds("lookback", 24 * 60 * 60 * 1_000)?);
    let within = |nanoseconds: u64| {
        let time = i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX);
        (begin..=end).contains(&time)
    };
    let wanted = query.get("service").filter(|service| !service.is_empty());
    let mut calls: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for spans in
        store.traces().filter(|spans| spans.iter().all(|span| within(span.start) && within(span.end)))
    {
        let services: BTreeMap<u64, &str> =
            spans.iter().map(|span| (span.id, span.resource.service.as_str())).collect();
        for span in spans.iter().filter(|span| span.parent != 0) {
            if let Some(caller) = services.get(&span.parent) {
                *calls.entry((caller, &span.resource.service)).or_default() += 1;
            }
        }
    }
    let shown = calls
        .into_iter()
        .filter(|((parent, child), _)| wanted.is_none_or(|wanted| *parent == wanted || *child == wanted));
    let shown: Vec<Value> = shown
        .map(|((parent, child), count)| json!({"parent": parent, "child": child, "callCount": count}))
        .collect();
    Ok(envelope(0, json!(shown), Value::Null))
}
