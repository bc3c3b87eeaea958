//! A document of a file to an object: what an API server would do on its way in. Lists are taken apart,
//! namespaces filled in or cleared, plain text of Secrets encoded, unknown fields pointed out.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::objects::yaml::{self, Document, Unparsable};
use crate::objects::{Kind, Object, ObjectKey, annotations};

/// Something found in a file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) line: u64,
    pub(super) thing: Thing,
}

/// What was found.
#[derive(Debug, Clone)]
pub(super) enum Thing {
    Object {
        key: ObjectKey,
        object: Object,
        value: Arc<Value>,
        /// Paths of fields that mean nothing.
        unknown: Vec<String>,
    },
    /// An object of a known kind that is not of its shape.
    Unreadable { key: ObjectKey, meta: Box<ObjectMeta>, error: String, value: Arc<Value> },
    /// Not an object that can be taken, and why.
    Refused(String),
}

/// Everything in a text that is meant for us; kinds that are other programs' are passed over.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Unparsable> {
    let mut entries = Vec::new();
    for document in yaml::documents(text)? {
        let Document { line, value } = document;
        add(value, line, &mut entries);
    }
    Ok(entries)
}

fn add(mut value: Value, line: u64, entries: &mut Vec<Entry>) {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take)
    {
        for item in items {
            add(item, line, entries);
        }
        return;
    }
    if let Some(thing) = thing(value) {
        entries.push(Entry { line, thing });
    }
}

fn thing(value: Value) -> Option<Thing> {
    let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind_word) = (word("apiVersion"), word("kind"));
    if api_version.is_empty() || kind_word.is_empty() {
        return Some(Thing::Refused("is no Kubernetes object: apiVersion and kind are needed".to_owned()));
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let (value, kind) = match (kind_word.as_str(), group) {
        ("Endpoints", "") => match slice_of_endpoints(&value) {
            Ok(slice) => (slice, Some(Kind::EndpointSlice)),
            Err(message) => return Some(Thing::Refused(message)),
        },
        _ => (value, Kind::find(&kind_word, group)),
    };
    let kind = match (kind_word.as_str(), kind) {
        ("Endpoints", Some(kind)) => kind,
        (_, Some(kind)) if kind.api_version() == api_version => kind,
        (_, Some(kind)) => {
            let expected = kind.api_version();
            return Some(Thing::Refused(format!("{kind} of {api_version} is not read, expected {expected}")));
        }
        (_, None) => return foreign(&kind_word, group),
    };
    Some(match identify(kind, value) {
        Ok((key, value)) => read(key, value),
        Err(message) => Thing::Refused(message),
    })
}

/// A kind that isn't read: of no interest, unless its author surely expects us to read it.
fn foreign(kind: &str, group: &str) -> Option<Thing> {
    if let Some(known) = Kind::ALL.iter().find(|known| known.as_str() == kind) {
        return Some(Thing::Refused(format!(
            "{kind} of group {group:?} is not read, expected {}",
            known.api_version()
        )));
    }
    group.ends_with("konghq.com").then(|| Thing::Refused(format!("{kind} of {group} is not supported")))
}

/// Checks the name and settles the namespace.
fn identify(kind: Kind, mut value: Value) -> Result<(ObjectKey, Value), String> {
    let metadata = value
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| format!("{kind} without metadata"))?;
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_name(&name) {
        return Err(format!(
            "{kind} with metadata.name {name:?}: expected lower-case letters, digits, '-' and '.'"
        ));
    }
    let mut namespace = String::new();
    if kind.is_namespaced() {
        let written = metadata.get("namespace").and_then(Value::as_str).filter(|text| !text.is_empty());
        written.unwrap_or("default").clone_into(&mut namespace);
        if !is_name(&namespace) {
            return Err(format!("{kind} {name} with metadata.namespace {namespace:?}: not a name"));
        }
        metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
    } else {
        metadata.remove("namespace");
    }
    if kind == Kind::EndpointSlice && metadata_label(metadata, annotations::SERVICE_NAME_LABEL).is_none() {
        let label = annotations::SERVICE_NAME_LABEL;
        return Err(format!("{kind} {name} names no Service: it needs the label {label}"));
    }
    if kind == Kind::Secret {
        encode_text(&mut value);
    }
    Ok((ObjectKey { kind, namespace, name }, value))
}

fn metadata_label<'a>(metadata: &'a Map<String, Value>, label: &str) -> Option<&'a Value> {
    metadata.get("labels")?.get(label)
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !text.is_empty() && text.len() <= 253 && text.chars().all(good)
}

fn read(key: ObjectKey, value: Value) -> Thing {
    match Object::read(key.kind, value.clone()) {
        Ok(object) => {
            let mut unknown = Vec::new();
            if let Ok(understood) = object.to_value() {
                unknown_fields(&value, &understood, "", &mut unknown);
            }
            Thing::Object { key, object, value: Arc::new(value), unknown }
        }
        Err(error) => {
            let meta = value.get("metadata").cloned().unwrap_or_default();
            let meta = serde_json::from_value::<ObjectMeta>(meta).unwrap_or_else(|_| ObjectMeta {
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
                ..ObjectMeta::default()
            });
            Thing::Unreadable { key, meta: Box::new(meta), error: error.to_string(), value: Arc::new(value) }
        }
    }
}

/// Fields of the input that did not survive being read. Metadata and status are not looked at: they carry what
/// other programs write.
fn unknown_fields(written: &Value, understood: &Value, path: &str, out: &mut Vec<String>) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, value) in written {
                let top = path.is_empty();
                if top && ["apiVersion", "kind", "metadata", "status"].contains(&key.as_str()) {
                    continue;
                }
                let path = if top { key.clone() } else { format!("{path}.{key}") };
                match understood.get(key) {
                    Some(known) => unknown_fields(value, known, &path, out),
                    None if is_default(value) => {}
                    None => out.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (index, (written, understood)) in written.iter().zip(understood).enumerate() {
                unknown_fields(written, understood, &format!("{path}[{index}]"), out);
            }
        }
        _ => {}
    }
}

/// Values that are left out when an object is written again.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// `stringData` of a Secret becomes `data`, and wins over it. Encoded data may have been broken into lines.
fn encode_text(secret: &mut Value) {
    let Some(secret) = secret.as_object_mut() else { return };
    for value in
        secret.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(|data| data.values_mut())
    {
        if let Value::String(encoded) = value {
            encoded.retain(|c| !c.is_ascii_whitespace());
        }
    }
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    if let Some(data) = data.as_object_mut() {
        for (key, text) in texts {
            if let Some(text) = text.as_str() {
                data.insert(key, Value::String(STANDARD.encode(text)));
            }
        }
    }
}

/// The older form of endpoints, which an API server mirrors into slices.
fn slice_of_endpoints(endpoints: &Value) -> Result<Value, String> {
    let mut metadata = endpoints.get("metadata").cloned().unwrap_or_else(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        let service = metadata.get("name").cloned().unwrap_or_default();
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(annotations::SERVICE_NAME_LABEL.to_owned(), service);
        }
    }
    let subset = match endpoints.get("subsets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        [] => &Value::Null,
        [only] => only,
        _ => return Err("Endpoints with several subsets: write EndpointSlices, one for each".to_owned()),
    };
    let part = |name: &str| subset.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let endpoint = |address: &Value, ready: bool| {
        Some(json!({"addresses": [address.get("ip")?], "conditions": {"ready": ready}}))
    };
    let ready = part("addresses").iter().filter_map(|address| endpoint(address, true));
    let not_ready = part("notReadyAddresses").iter().filter_map(|address| endpoint(address, false));
    let endpoints: Vec<Value> = ready.chain(not_ready).collect();
    Ok(json!({
        "apiVersion": Kind::EndpointSlice.api_version(),
        "kind": Kind::EndpointSlice.as_str(),
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": part("ports"),
        "endpoints": endpoints,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(text: &str) -> Vec<String> {
        let show = |entry: Entry| match entry.thing {
            Thing::Object { key, unknown, .. } => format!("{} {key} {unknown:?}", entry.line),
            Thing::Unreadable { key, error, .. } => format!("{} {key} unreadable: {error}", entry.line),
            Thing::Refused(message) => format!("{} {message}", entry.line),
        };
        entries(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn namespaces_are_filled_in_or_cleared() {
        let text = "
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata: {name: a, namespace: echo}
plugin: cors
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: b}
plugin: cors
";
        assert_eq!(things(text), ["2 KongClusterPlugin a []", "7 KongPlugin default/b []"]);
    }

    #[test]
    fn lists_are_taken_apart_and_other_programs_kinds_passed_over() {
        let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: echo}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: echo}}
- {apiVersion: v1, kind: Service, metadata: {name: echo, namespace: echo}, spec: {ports: [{port: 80}]}}
";
        assert_eq!(things(text), ["2 Service echo/echo []"]);
    }

    #[test]
    fn what_is_meant_for_us_and_wrong_is_refused_with_a_reason() {
        let text = "
{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: a}}
---
{apiVersion: networking.k8s.io/v1beta1, kind: Ingress, metadata: {name: a}}
---
{apiVersion: configuration.konghq.com/v1beta1, kind: KongConsumerGroup, metadata: {name: a}}
---
{kind: Ingress}
---
{apiVersion: v1, kind: Service, metadata: {name: A_b}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: []}
";
        let expected = [
            "2 Ingress of group \"extensions\" is not read, expected networking.k8s.io/v1",
            "4 Ingress of networking.k8s.io/v1beta1 is not read, expected networking.k8s.io/v1",
            "6 KongConsumerGroup of configuration.konghq.com is not supported",
            "8 is no Kubernetes object: apiVersion and kind are needed",
            "10 Service with metadata.name \"A_b\": expected lower-case letters, digits, '-' and '.'",
            "12 EndpointSlice a names no Service: it needs the label kubernetes.io/service-name",
        ];
        assert_eq!(things(text), expected);
    }

    #[test]
    fn unknown_fields_are_pointed_out() {
        let text = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  ingressClass: kong
  rules:
  - http:
      paths:
      - {path: /, pathtype: Prefix, backend: {service: {name: a, port: {number: 80}}}}
";
        let expected =
            ["2 Ingress default/a [\"spec.ingressClass\", \"spec.rules[0].http.paths[0].pathtype\"]"];
        assert_eq!(things(text), expected);
        let text = "
{apiVersion: configuration.konghq.com/v1, kind: KongPlugin, metadata: {name: a}, plugin: cors, confg: {a: 1}, config: {x: {y: 1}}}
";
        assert_eq!(things(text), ["2 KongPlugin default/a [\"confg\"]"]);
    }

    #[test]
    fn a_wrong_shape_is_unreadable() {
        let text = "{apiVersion: configuration.konghq.com/v1, kind: KongPlugin, metadata: {name: a}, plugin: [cors]}";
        let things = things(text);
        assert!(things[0].starts_with("1 KongPlugin default/a unreadable: invalid type"), "{things:?}");
    }

    #[test]
    fn text_of_secrets_is_encoded() {
        let text = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {x: eA==, v: \"dj\n 12\"}, stringData: {x: z, y: w}}";
        let Thing::Object { value, .. } = entries(text).unwrap().remove(0).thing else { panic!() };
        assert_eq!(value["data"], json!({"v": "dj12", "x": "eg==", "y": "dw=="}));
    }

    #[test]
    fn endpoints_become_a_slice() {
        let text = "
apiVersion: v1
kind: Endpoints
metadata: {name: echo, namespace: a}
subsets:
- addresses: [{ip: 127.0.0.2}]
  notReadyAddresses: [{ip: 127.0.0.3}]
  ports: [{name: http, port: 8080}]
";
        assert_eq!(things(text), ["2 EndpointSlice a/echo []"]);
    }
}
