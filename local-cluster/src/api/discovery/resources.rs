//! The resources of a group, in both forms of discovery.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::resources::{Kind, Table};

const CUSTOM_VERBS: [&str; 8] =
    ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];

fn verbs(kind: &Kind) -> Vec<&'static str> {
    match kind.built_in() {
        None => CUSTOM_VERBS.to_vec(),
        Some(row) if row.question => vec!["create"],
        Some(row) if row.kind == "Namespace" => {
            VERBS.into_iter().filter(|verb| *verb != "deletecollection").collect()
        }
        Some(_) => VERBS.to_vec(),
    }
}

/// A part's own kind, if it has one, and what can be done.
fn part(name: &str) -> (Option<[&'static str; 3]>, Vec<&'static str>) {
    match name {
        "scale" => (Some(["autoscaling", "v1", "Scale"]), PART_VERBS.to_vec()),
        "eviction" => (Some(["policy", "v1", "Eviction"]), vec!["create"]),
        "token" => (Some(["authentication.k8s.io", "v1", "TokenRequest"]), vec!["create"]),
        "binding" => (Some(["", "v1", "Binding"]), vec!["create"]),
        "log" => (None, vec!["get"]),
        "finalize" => (None, vec!["update"]),
        _ => (None, PART_VERBS.to_vec()),
    }
}

/// The resources of one version of a group.
pub(super) fn listed(group: &str, version: &str, kinds: &[Arc<Kind>]) -> Value {
    let mut resources = Vec::new();
    for kind in kinds {
        resources.push(entry(kind));
        for name in kind.subresources() {
            let (own, verbs) = part(name);
            let mut entry = json!({
                "name": format!("{}/{name}", kind.resource.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": own.map_or(kind.kind.as_str(), |[_, _, kind]| kind),
                "verbs": verbs,
            });
            if let Some([group, version, _]) = own.filter(|[group, ..]| !group.is_empty()) {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            resources.push(entry);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    // The core group's list is older than the field.
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list
}

fn entry(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": &*kind.resource.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    if let Some(custom) = kind.custom() {
        let stored = format!("{}/{}/{}", kind.group(), custom.storage_version, kind.kind);
        entry["storageVersionHash"] = json!(STANDARD.encode(&Sha256::digest(stored)[..8]));
    }
    entry
}

/// All groups, or the core group only.
pub(super) fn aggregated(table: &Table, core: bool) -> Value {
    let groups = table.groups();
    let mut names: Vec<_> = groups.keys().filter(|group| group.is_empty() == core).collect();
    names.sort();
    let items: Vec<_> = names
        .into_iter()
        .map(|group| {
            let versions: Vec<_> = groups[group]
                .iter()
                .map(|version| {
                    let mut kinds: Vec<_> = table.of(group, version).iter().collect();
                    kinds.sort_by(|a, b| a.resource.plural.cmp(&b.resource.plural));
                    let resources: Vec<_> = kinds.into_iter().map(|kind| aggregated_entry(kind)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_entry(kind: &Kind) -> Value {
    let own = |name: &str| match kind.custom() {
        Some(_) => json!({"group": kind.group(), "version": &*kind.version, "kind": name}),
        // Of a built-in kind only the name is told.
        None => json!({"group": "", "version": "", "kind": name}),
    };
    let mut entry = json!({
        "resource": &*kind.resource.plural,
        "responseKind": own(&kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    let parts: Vec<_> = kind
        .subresources()
        .into_iter()
        .map(|name| {
            let (foreign, verbs) = part(name);
            let response = match foreign {
                Some([group, version, name]) => json!({"group": group, "version": version, "kind": name}),
                None => own(&kind.kind),
            };
            json!({"subresource": name, "responseKind": response, "verbs": verbs})
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}
