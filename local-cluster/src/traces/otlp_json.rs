//! Spans from the JSON form of OTLP. Unknown fields are ignored, as its specification asks; ids are hexadecimal.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::span::{Attribute, Attributes, Event, Kind, Link, Resource, Scope, Span, Status, sorted};

/// # Errors
/// Says what is wrong, and where.
pub(super) fn spans(body: &[u8]) -> Result<Vec<Span>, String> {
    let request: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if !request.is_object() {
        return Err("expected an object with resourceSpans".to_owned());
    }
    let mut spans = Vec::new();
    for resource_spans in list(&request["resourceSpans"]) {
        let resource = Arc::new(Resource::new(attributes(&resource_spans["resource"]["attributes"])?));
        for scope_spans in list(&resource_spans["scopeSpans"]) {
            let scope = &scope_spans["scope"];
            let scope = Arc::new(Scope { name: text(&scope["name"]), version: text(&scope["version"]) });
            for span in list(&scope_spans["spans"]) {
                let read = read(span, &resource, &scope);
                spans.push(read.map_err(|error| format!("span {:?}: {error}", text(&span["name"])))?);
            }
        }
    }
    Ok(spans)
}

fn read(span: &Value, resource: &Arc<Resource>, scope: &Arc<Scope>) -> Result<Span, String> {
    let events = list(&span["events"]).map(|event| {
        Ok(Event {
            time: number(&event["timeUnixNano"])?,
            name: text(&event["name"]),
            attributes: attributes(&event["attributes"])?,
        })
    });
    let links = list(&span["links"]).map(|link| {
        Ok(Link {
            trace: id(&link["traceId"], 32)?,
            span: id(&link["spanId"], 16)? as u64,
            attributes: attributes(&link["attributes"])?,
        })
    });
    Ok(Span {
        trace: id(&span["traceId"], 32)?,
        id: id(&span["spanId"], 16)? as u64,
        parent: id(&span["parentSpanId"], 16)? as u64,
        trace_state: text(&span["traceState"]),
        flags: u32::try_from(number(&span["flags"])?).map_err(|error| format!("flags: {error}"))?,
        name: text(&span["name"]),
        kind: Kind::of_number(named(&span["kind"], KINDS)?),
        start: number(&span["startTimeUnixNano"])?,
        end: number(&span["endTimeUnixNano"])?,
        attributes: attributes(&span["attributes"])?,
        events: events.collect::<Result<_, String>>()?,
        links: links.collect::<Result<_, String>>()?,
        status: Status::of_number(named(&span["status"]["code"], STATUSES)?),
        status_message: text(&span["status"]["message"]),
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
    })
}

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An id of so many hexadecimal digits; 0 when it is absent or empty.
fn id(value: &Value, digits: usize) -> Result<u128, String> {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return Ok(0) };
    if text.len() != digits {
        return Err(format!("id {text:?} has {} digits instead of {digits}", text.len()));
    }
    u128::from_str_radix(text, 16).map_err(|_| format!("id {text:?} is not hexadecimal"))
}

/// A number, as such or in a string.
fn number(value: &Value) -> Result<u64, String> {
    match value {
        Value::Null => Ok(0),
        Value::String(text) => text.parse().map_err(|_| format!("{text:?} is not a number")),
        other => other.as_u64().ok_or_else(|| format!("{other} is not a number without a sign")),
    }
}

/// A number, or its name in the table.
fn named(value: &Value, names: &[&str]) -> Result<u64, String> {
    match value.as_str().and_then(|text| names.iter().position(|name| *name == text)) {
        Some(at) => Ok(at as u64),
        None => number(value),
    }
}

fn attributes(value: &Value) -> Result<Attributes, String> {
    let read = list(value).map(|entry| Ok((text(&entry["key"]), attribute(&entry["value"])?)));
    read.collect::<Result<Attributes, String>>().map(sorted)
}

fn attribute(value: &Value) -> Result<Attribute, String> {
    let Some((kind, inner)) = value.as_object().and_then(|fields| fields.iter().next()) else {
        return Ok(Attribute::Text(String::new()));
    };
    Ok(match kind.as_str() {
        "stringValue" => Attribute::Text(text(inner)),
        "boolValue" => Attribute::Bool(inner.as_bool().unwrap_or_default()),
        "intValue" => Attribute::Int(match inner {
            Value::String(text) => text.parse().map_err(|_| format!("{text:?} is not a whole number"))?,
            other => other.as_i64().ok_or_else(|| format!("{other} is not a whole number"))?,
        }),
        "doubleValue" => Attribute::Double(match inner {
            Value::String(text) => text.parse().map_err(|_| format!("{text:?} is not a number"))?,
            other => other.as_f64().ok_or_else(|| format!("{other} is not a number"))?,
        }),
        "bytesValue" => {
            Attribute::Bytes(STANDARD.decode(text(inner)).map_err(|error| format!("bytesValue: {error}"))?)
        }
        "arrayValue" => {
            Attribute::List(list(&inner["values"]).map(attribute).collect::<Result<_, String>>()?)
        }
        "kvlistValue" => Attribute::Map(attributes(&inner["values"])?),
        _ => Attribute::Text(String::new()),
    })
}
