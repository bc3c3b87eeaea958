//! What the downward API tells a pod of itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ResourceFieldSelector};
use serde_json::Value;

use super::settings_data::Missing;
use crate::kinds::text;
use crate::labels::map;

/// The value of a field such as `metadata.name`, `metadata.labels['app']` or `status.podIP`.
pub(super) fn field(pod: &Value, path: &str) -> Result<String, Missing> {
    let plain = |pointer: &str| Ok(text(pod, pointer).to_owned());
    match path {
        "metadata.name" => plain("/metadata/name"),
        "metadata.namespace" => plain("/metadata/namespace"),
        "metadata.uid" => plain("/metadata/uid"),
        "spec.nodeName" => plain("/spec/nodeName"),
        "spec.serviceAccountName" => {
            let name = text(pod, "/spec/serviceAccountName");
            Ok(if name.is_empty() { "default" } else { name }.to_owned())
        }
        "status.hostIP" | "status.hostIPs" => plain("/status/hostIP"),
        "status.podIP" | "status.podIPs" => plain("/status/podIP"),
        "metadata.labels" => Ok(lines(&map(pod, "/metadata/labels"))),
        "metadata.annotations" => Ok(lines(&map(pod, "/metadata/annotations"))),
        _ => subscript(path)
            .and_then(|(field, key)| {
                map(pod, &format!("/{}", field.replace('.', "/"))).remove(key).or(Some(String::new()))
            })
            .ok_or_else(|| Missing(format!("fieldPath \"{path}\" is not supported"))),
    }
}

/// `metadata.labels['app']` as field and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (field, rest) = path.split_once('[')?;
    let key = rest.strip_suffix(']')?.trim_matches(['\'', '"']);
    matches!(field, "metadata.labels" | "metadata.annotations").then_some((field, key))
}

/// `key="value"`, one a line.
fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// A limit or request of a container, in units of the divisor, rounded up. A limit that isn't set is what the
/// node has.
pub(super) fn resource(
    pod: &Value,
    container: &Container,
    wanted: &ResourceFieldSelector,
) -> Result<String, Missing> {
    let name = &wanted.resource;
    let unknown = || Missing(format!("resource \"{name}\" is not supported"));
    let (list, kind) = name.split_once('.').ok_or_else(unknown)?;
    let named = wanted.container_name.as_deref().filter(|other| *other != container.name);
    let resources = match named {
        None => serde_json::to_value(&container.resources).unwrap_or_default(),
        Some(other) => {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let found = containers.into_iter().find(|one| one["name"] == other);
            found.ok_or_else(|| Missing(format!("container {other} not found")))?["resources"].clone()
        }
    };
    let given = resources[list][kind].as_str().and_then(quantity);
    let value = match (list, kind) {
        ("limits", "cpu") => given.unwrap_or_else(|| super::heartbeat::cores() as f64),
        ("limits", "memory") => given.unwrap_or_else(|| super::heartbeat::memory() as f64),
        ("limits" | "requests", "cpu" | "memory" | "ephemeral-storage") => given.unwrap_or(0.0),
        _ => return Err(unknown()),
    };
    let divisor =
        wanted.divisor.as_ref().and_then(|divisor| quantity(&divisor.0)).filter(|divisor| *divisor > 0.0);
    Ok(format!("{:.0}", (value / divisor.unwrap_or(1.0)).ceil()))
}

/// A Kubernetes quantity such as `100m`, `2`, `64Mi` or `1e3`.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let end = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let (number, suffix): (f64, &str) = match text.parse() {
        Ok(number) => (number, ""),
        Err(_) => (end.parse().ok()?, &text[end.len()..]),
    };
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities() {
        for (text, value) in
            [("100m", 0.1), ("2", 2.0), ("64Mi", 67_108_864.0), ("1e3", 1000.0), ("1.5Gi", 1_610_612_736.0)]
        {
            assert_eq!(quantity(text), Some(value), "{text}");
        }
        assert_eq!((quantity("x"), quantity("1 m"), quantity("")), (None, None, None));
    }

    #[test]
    fn fields_of_the_pod() {
        let metadata =
            json!({"name": "p", "labels": {"app": "echo", "v": "1"}, "annotations": {"note": "a\"b"}});
        let pod = json!({"metadata": metadata, "status": {"podIP": "127.1.1.1"}});
        for (path, expected) in [
            ("metadata.name", "p"),
            ("metadata.labels['app']", "echo"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "app=\"echo\"\nv=\"1\""),
            ("metadata.annotations", "note=\"a\\\"b\""),
            ("status.podIP", "127.1.1.1"),
            ("spec.serviceAccountName", "default"),
        ] {
            assert_eq!(field(&pod, path).as_deref(), Ok(expected), "{path}");
        }
        assert!(field(&pod, "spec.containers").is_err());
    }

    #[test]
    fn resources_in_units_of_the_divisor() {
        let container: Container = serde_json::from_value(json!({
            "name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "100m"}},
        }))
        .unwrap();
        let value = |resource_name: &str, divisor: &str| {
            let wanted =
                serde_json::from_value(json!({"resource": resource_name, "divisor": divisor})).unwrap();
            resource(&json!({}), &container, &wanted)
        };
        assert_eq!(value("limits.cpu", "1").as_deref(), Ok("2"));
        assert_eq!(value("limits.cpu", "1m").as_deref(), Ok("1500"));
        assert_eq!(value("limits.memory", "1Mi").as_deref(), Ok("64"));
        assert_eq!(value("requests.memory", "1").as_deref(), Ok("0"));
        assert!(value("limits.gpu", "1").is_err());
    }
}
