//! Traces as `/api/v3/…` shows them: OTLP's own JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::go_text::parse_duration;
use super::jaeger::parse_id;
use super::query::Query;
use super::search::{Refusal, Search, checked_limit};
use super::span::{Attribute, Attributes, Span, Status, sorted};
use super::store::Store;
use super::tree::in_call_order;

/// Traces that a search gives when it doesn't say how many.
const USUAL: i64 = 20;

/// Status and body of an answer; `None` for a path that isn't here.
pub(super) fn answer(store: &Store, path: &str, query: &Query) -> Option<(u16, Value)> {
    let parts: Vec<&str> = path.split('/').collect();
    let answered = match parts[..] {
        ["services"] => Ok(json!({"services": store.services()})),
        ["operations"] => Ok(operations(store, query)),
        ["traces"] => search(query).and_then(|search| shown(&search.run(store))),
        ["traces", id] if !id.is_empty() => one_trace(store, id),
        _ => return None,
    };
    Some(match answered {
        Ok(body) => (200, body),
        Err((code, message)) => (code, json!({"error": {"httpCode": code, "message": message}})),
    })
}

fn operations(store: &Store, query: &Query) -> Value {
    let kind = query.get("span_kind").or_else(|| query.get("spanKind")).unwrap_or_default();
    let all = store.operations(query.get("service").unwrap_or_default()).into_iter();
    let found = all.filter(|(_, one)| kind.is_empty() || one.word() == kind);
    json!({"operations": found.map(|(name, kind)| json!({"name": name, "spanKind": kind.word()})).collect::<Vec<_>>()})
}

fn one_trace(store: &Store, id: &str) -> Result<Value, Refusal> {
    let id = parse_id(id).map_err(|(code, why)| (code, format!("malformed parameter trace_id: {why}")))?;
    shown(&store.trace(id).into_iter().collect::<Vec<_>>())
}

/// From parameters that begin with `query.`, in snake case or camel case.
fn search(query: &Query) -> Result<Search, Refusal> {
    let get = |snake: &str| {
        let mut upper = false;
        let camel: String = snake
            .chars()
            .filter_map(|letter| {
                let shown = if upper { letter.to_ascii_uppercase() } else { letter };
                upper = letter == '_';
                (!upper).then_some(shown)
            })
            .collect();
        let found = query.get(&format!("query.{snake}")).or_else(|| query.get(&format!("query.{camel}")));
        found.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let malformed =
        |name: &str, why: &dyn std::fmt::Display| (400, format!("malformed parameter query.{name}: {why}"));
    let time = |name: &str| {
        let text = get(name)
            .ok_or_else(|| (400, "query.startTimeMin and query.startTimeMax are required".to_owned()))?;
        let time: Timestamp = text.parse().map_err(|error| malformed(name, &error))?;
        Ok::<_, Refusal>(u64::try_from(time.as_nanosecond()).unwrap_or(0))
    };
    let duration = |name: &str| match get(name) {
        None => Ok(None),
        Some(text) => {
            let length = parse_duration(&text).map_err(|why| malformed(name, &why))?;
            Ok::<_, Refusal>(Some(u64::try_from(length).unwrap_or(0)))
        }
    };
    let (from, to) = (Some(time("start_time_min")?), Some(time("start_time_max")?));
    let limit = match get("num_traces").or_else(|| get("search_depth")) {
        None => USUAL,
        Some(text) => text.parse().map_err(|_| {
            malformed("num_traces", &format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
        })?,
    };
    let tags: BTreeMap<String, String> = match get("attributes") {
        None => BTreeMap::default(),
        Some(text) => serde_json::from_str(&text).map_err(|error| malformed("attributes", &error))?,
    };
    Ok(Search {
        service: get("service_name").unwrap_or_default(),
        operation: get("operation_name"),
        tags: tags.into_iter().collect(),
        from,
        to,
        shortest: duration("duration_min")?,
        longest: duration("duration_max")?,
        limit: checked_limit(limit)?,
    })
}

/// Spans of one resource and one scope stand together.
fn shown(traces: &[&[Span]]) -> Result<Value, Refusal> {
    if traces.is_empty() {
        return Err((404, "No traces found".to_owned()));
    }
    let mut resources: Vec<Value> = Vec::new();
    for spans in traces {
        let mut last: Option<&Span> = None;
        for placed in in_call_order(spans) {
            let span = placed.span;
            let same_resource = last.is_some_and(|last| last.resource == span.resource);
            if !same_resource {
                let named = (("service.name").to_owned(), Attribute::Text(span.resource.service.clone()));
                let attributes: Attributes =
                    std::iter::once(named).chain(span.resource.attributes.iter().cloned()).collect();
                let attributes = sorted(attributes);
                resources
                    .push(json!({"resource": {"attributes": key_values(&attributes)}, "scopeSpans": []}));
            }
            let same_scope = same_resource
                && last.is_some_and(|last| Arc::ptr_eq(&last.scope, &span.scope) || last.scope == span.scope);
            last = Some(span);
            let Some(scopes) = resources.last_mut().and_then(|one| one["scopeSpans"].as_array_mut()) else {
                continue;
            };
            if !same_scope {
                let mut scope = Map::new();
                for (key, text) in [("name", &span.scope.name), ("version", &span.scope.version)] {
                    if !text.is_empty() {
                        scope.insert(key.to_owned(), json!(text));
                    }
                }
                scopes.push(json!({"scope": scope, "spans": []}));
            }
            if let Some(spans) = scopes.last_mut().and_then(|scope| scope["spans"].as_array_mut()) {
                spans.push(written(span));
            }
        }
    }
    Ok(json!({"result": {"resourceSpans": resources}}))
}

/// As OTLP has it, what is empty left out.
fn written(span: &Span) -> Value {
    let mut fields = Map::new();
    fields.insert("traceId".to_owned(), json!(format!("{:032x}", span.trace)));
    fields.insert("spanId".to_owned(), json!(format!("{:016x}", span.id)));
    if !span.trace_state.is_empty() {
        fields.insert("traceState".to_owned(), json!(span.trace_state));
    }
    if span.parent != 0 {
        fields.insert("parentSpanId".to_owned(), json!(format!("{:016x}", span.parent)));
    }
    if span.flags != 0 {
        fields.insert("flags".to_owned(), json!(span.flags));
    }
    fields.insert("name".to_owned(), json!(span.operation()));
    if span.kind.number() != 0 {
        fields.insert("kind".to_owned(), json!(span.kind.number()));
    }
    fields.insert("startTimeUnixNano".to_owned(), json!(span.start.to_string()));
    fields.insert("endTimeUnixNano".to_owned(), json!((span.start + span.duration()).to_string()));
    let mut list = |name: &str, values: Vec<Value>| {
        if !values.is_empty() {
            fields.insert(name.to_owned(), json!(values));
        }
    };
    list("attributes", key_values(&span.attributes));
    let events = span.events.iter().map(|event| {
        let written = json!({"timeUnixNano": event.time.to_string(), "name": event.name});
        with_attributes(written, &event.attributes)
    });
    list("events", events.collect());
    let links = span.links.iter().map(|link| {
        let written =
            json!({"traceId": format!("{:032x}", link.trace), "spanId": format!("{:016x}", link.span)});
        with_attributes(written, &link.attributes)
    });
    list("links", links.collect());
    let mut status = Map::new();
    if !span.status_message.is_empty() {
        status.insert("message".to_owned(), json!(span.status_message));
    }
    if span.status != Status::Unset {
        status.insert("code".to_owned(), json!(span.status as u64));
    }
    fields.insert("status".to_owned(), Value::Object(status));
    Value::Object(fields)
}

fn with_attributes(mut written: Value, attributes: &Attributes) -> Value {
    if !attributes.is_empty() {
        written["attributes"] = json!(key_values(attributes));
    }
    written
}

fn key_values(attributes: &Attributes) -> Vec<Value> {
    attributes.iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect()
}

fn any_value(value: &Attribute) -> Value {
    match value {
        Attribute::Text(_) => json!({"stringValue": value.to_json()}),
        Attribute::Bool(_) => json!({"boolValue": value.to_json()}),
        Attribute::Int(number) => json!({"intValue": number.to_string()}),
        Attribute::Double(_) => json!({"doubleValue": value.to_json()}),
        Attribute::Bytes(_) => json!({"bytesValue": value.to_json()}),
        Attribute::List(values) => {
            json!({"arrayValue": {"values": values.iter().map(any_value).collect::<Vec<_>>()}})
        }
        Attribute::Map(entries) => json!({"kvlistValue": {"values": key_values(entries)}}),
    }
}
