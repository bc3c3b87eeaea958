//! Events have two forms: that of the core group, in which they are kept, and that of `events.k8s.io`.

use serde_json::{Map, Value};

/// Names of the same field in the core group and in `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// The form of `events.k8s.io`.
pub(super) fn newer(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |name| NAMES.iter().find(|(old, _)| *old == name).map(|(_, new)| *new))
}

/// The form of the core group.
pub(super) fn older(event: &Value) -> Value {
    renamed(event, "v1", |name| NAMES.iter().find(|(_, new)| *new == name).map(|(old, _)| *old))
}

fn renamed(event: &Value, api_version: &str, other: impl Fn(&str) -> Option<&'static str>) -> Value {
    let fields = event.as_object().into_iter().flatten();
    let mut renamed: Map<String, Value> =
        fields.map(|(name, value)| (other(name).unwrap_or(name).to_owned(), value.clone())).collect();
    renamed.insert("apiVersion".to_owned(), api_version.into());
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "involvedObject": {"name": "p"},
            "message": "m", "count": 2, "reportingComponent": "c", "type": "Normal",
        });
        let view = newer(&event);
        assert_eq!((&view["regarding"]["name"], &view["note"]), (&json!("p"), &json!("m")));
        assert_eq!(older(&view), event);
    }
}
