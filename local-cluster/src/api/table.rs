//! Tables: what `kubectl get` prints. Custom kinds bring their columns; those of built-in kinds are the ones that
//! people know.

mod built_in;
mod jsonpath;
mod network;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::jsonpath::JsonPath;
use super::query::Query;
use crate::failure::Failure;
use crate::resources::Kind;

const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although \
    some resources may allow a client to request the generation of an appropriate name automatically. Name is \
    primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// What each row carries besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    pub(crate) fn read(query: &Query) -> Result<Include, Failure> {
        match query.get("includeObject") {
            None | Some("Metadata") => Ok(Include::Metadata),
            Some("None") => Ok(Include::Nothing),
            Some("Object") => Ok(Include::Object),
            Some(other) => Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            ))),
        }
    }
}

/// A table of objects, with the metadata of their list.
pub(crate) fn table(
    kind: &Kind,
    version: &str,
    metadata: Value,
    objects: &[Value],
    include: Include,
) -> Value {
    let now = Timestamp::now();
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": definitions(kind),
        "rows": objects.iter().map(|object| row(kind, object, (version, include), now)).collect::<Value>(),
    })
}

/// The metadata of a table of one object.
pub(crate) fn metadata_of(object: &Value) -> Value {
    json!({"resourceVersion": object["metadata"]["resourceVersion"]})
}

/// Only what every object has.
pub(crate) fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

fn definitions(kind: &Kind) -> Value {
    let definition = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    let mut columns = vec![definition("Name", "string", "name", NAME_DESCRIPTION, 0)];
    match kind.custom() {
        Some(custom) => columns.extend(custom.columns.iter().map(|column| {
            definition(&column.name, &column.kind, &column.format, &column.description, column.priority)
        })),
        None => columns.extend(
            built_in::columns(kind)
                .iter()
                .map(|column| definition(column.name, column.kind, "", column.description, column.priority)),
        ),
    }
    Value::Array(columns)
}

fn row(kind: &Kind, object: &Value, (version, include): (&str, Include), now: Timestamp) -> Value {
    let mut cells = vec![json!(object["metadata"]["name"].as_str().unwrap_or_default())];
    match kind.custom() {
        Some(custom) => cells.extend(custom.columns.iter().map(|column| {
            let found = JsonPath::parse(&column.path).map(|path| path.find(object)).unwrap_or_default();
            cell(&column.kind, &found, now)
        })),
        None => cells.extend(built_in::cells(kind, object, now)),
    }
    match include {
        Include::Nothing => json!({"cells": cells, "object": null}),
        Include::Metadata => json!({"cells": cells, "object": partial(object, version)}),
        Include::Object => json!({"cells": cells, "object": object}),
    }
}

/// A cell of a custom column.
fn cell(kind: &str, found: &[&Value], now: Timestamp) -> Value {
    let Some(first) = found.first().filter(|value| !value.is_null()) else { return Value::Null };
    match kind {
        "date" => match first.as_str().and_then(|text| text.parse().ok()) {
            Some(time) => json!(age(time, now)),
            None => json!("<invalid>"),
        },
        "integer" => match first.as_i64() {
            Some(number) => json!(number),
            None => Value::Null,
        },
        "number" => first.as_f64().map_or(Value::Null, |number| json!(number)),
        "boolean" => first.as_bool().map_or(Value::Null, |flag| json!(flag)),
        _ => {
            let texts: Vec<_> = found.iter().map(|value| text(value)).collect();
            json!(texts.join(","))
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => {
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
        other => other.to_string(),
    }
}

/// How long ago, as short as people need it: `45s`, `5m30s`, `3h`, `12d`.
pub(crate) fn age(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let pair = |whole: i64, unit: &str, rest: i64, smaller: &str| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{smaller}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// The age of an object, or that it is not known.
fn age_of(object: &Value, now: Timestamp) -> Value {
    age_at(&object["metadata"]["creationTimestamp"], now)
}

fn age_at(time: &Value, now: Timestamp) -> Value {
    match time.as_str().and_then(|text| text.parse().ok()) {
        Some(time) => json!(age(time, now)),
        None => json!("<unknown>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let ago = |seconds: i64| age(Timestamp::from_second(1_000_000_000 - seconds).unwrap(), now);
        let cases =
            [(0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (700, "11m"), (3 * 3600 + 60, "3h1m")];
        for (seconds, expected) in cases {
            assert_eq!(ago(seconds), expected);
        }
        assert_eq!(ago(50 * 3600), "2d2h");
        assert_eq!(ago(400 * 86400), "400d");
        assert_eq!(ago(900 * 86400), "2y170d");
    }
}
