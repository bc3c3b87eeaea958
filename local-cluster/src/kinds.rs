//! The resources that controllers and the node know by name, and reading objects in their typed form.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::objects::Resource;

macro_rules! resources {
    ($($function:ident = $group:literal $plural:literal),* $(,)?) => {
        $(pub(crate) fn $function() -> Resource { Resource::new($group, $plural) })*
    };
}

resources! {
    config_maps = "" "configmaps",
    endpoint_slices = "discovery.k8s.io" "endpointslices",
    endpoints = "" "endpoints",
    events = "" "events",
    deployments = "apps" "deployments",
    daemon_sets = "apps" "daemonsets",
    disruption_budgets = "policy" "poddisruptionbudgets",
    jobs = "batch" "jobs",
    leases = "coordination.k8s.io" "leases",
    namespaces = "" "namespaces",
    nodes = "" "nodes",
    pods = "" "pods",
    replica_sets = "apps" "replicasets",
    secrets = "" "secrets",
    service_accounts = "" "serviceaccounts",
    services = "" "services",
    stateful_sets = "apps" "statefulsets",
}

/// The object in its typed form; `None`, with a word in the log, when it has not the form of its kind.
pub(crate) fn typed<T: DeserializeOwned>(object: &Value) -> Option<T> {
    let named = |error| {
        let (kind, namespace, name) = (text(object, "/kind"), namespace(object), name(object));
        tracing::warn!("{kind} {namespace}/{name} has not the form of its kind: {error}");
    };
    T::deserialize(object).map_err(named).ok()
}

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Deletion has been asked for.
pub(crate) fn is_going(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// A time as metadata and status carry it: whole seconds, `2026-01-02T03:04:05Z`.
pub(crate) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// For writes that don't mind when somebody else has removed the object.
pub(crate) fn unless_gone<T>(written: Result<T, Failure>) -> Result<(), Failure> {
    match written {
        Err(failure) if failure.code != 404 => Err(failure),
        _ => Ok(()),
    }
}

/// A random end of a name, as the API makes for `generateName`: letters and digits that form no words.
pub(crate) fn name_suffix(length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..length).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect()
}
