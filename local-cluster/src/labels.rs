//! Label selectors as objects carry them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

/// Whether a `LabelSelector` takes these labels. An empty selector takes everything.
pub(crate) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|rule| {
            let value = labels.get(&rule.key);
            let listed = || value.is_some_and(|value| rule.values.iter().flatten().any(|one| one == value));
            match rule.operator.as_str() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// The labels of an object.
pub(crate) fn labels(object: &Value) -> BTreeMap<String, String> {
    map(object, "/metadata/labels")
}

/// A map of texts at a JSON pointer.
pub(crate) fn map(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let entries = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_of_a_selector_must_agree() {
        let selector = |value| serde_json::from_value::<LabelSelector>(value).unwrap();
        let object = json!({"metadata": {"labels": {"app": "echo", "version": "v1"}}});
        let labels = labels(&object);
        assert!(selects(&selector(json!({})), &labels));
        assert!(selects(&selector(json!({"matchLabels": {"app": "echo"}})), &labels));
        assert!(!selects(&selector(json!({"matchLabels": {"app": "echo", "version": "v2"}})), &labels));
        for (operator, values, expected) in [
            ("In", vec!["v1", "v2"], true),
            ("In", vec!["v2"], false),
            ("NotIn", vec!["v2"], true),
            ("NotIn", vec!["v1"], false),
            ("Exists", vec![], true),
            ("DoesNotExist", vec![], false),
        ] {
            let rule =
                json!({"matchExpressions": [{"key": "version", "operator": operator, "values": values}]});
            assert_eq!(selects(&selector(rule), &labels), expected, "{operator} {values:?}");
        }
    }
}
