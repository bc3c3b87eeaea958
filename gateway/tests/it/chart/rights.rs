//! The roles give what the gateway asks of an API server, and nothing else.

use std::collections::BTreeSet;

use gateway::objects::Kind;
use serde_json::Value;

use super::installed;

/// Group, resource, verb, and the one name it is for.
type Right = (String, String, String, Option<String>);

fn right(group: &str, resource: &str, verb: &str, name: Option<&str>) -> Right {
    (group.to_owned(), resource.to_owned(), verb.to_owned(), name.map(str::to_owned))
}

/// Kinds whose status is written.
const WITH_STATUS: [Kind; 4] = [Kind::Ingress, Kind::KongPlugin, Kind::KongClusterPlugin, Kind::KongConsumer];

fn needed() -> BTreeSet<Right> {
    let mut needed = BTreeSet::new();
    for kind in Kind::ALL {
        for verb in ["list", "watch"] {
            needed.insert(right(kind.group(), kind.plural(), verb, None));
        }
    }
    for kind in WITH_STATUS {
        needed.insert(right(kind.group(), &format!("{}/status", kind.plural()), "patch", None));
    }
    for verb in ["create", "patch"] {
        needed.insert(right("", "events", verb, None));
    }
    for verb in ["get", "update"] {
        needed.insert(right("coordination.k8s.io", "leases", verb, Some("5b374a9e.konghq.com")));
    }
    needed
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn rights_are_those_that_are_used() {
    let mut given = BTreeSet::new();
    for role in installed().iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Role")) {
        for rule in role["rules"].as_array().unwrap() {
            let names = texts(&rule["resourceNames"]);
            let names =
                if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect::<Vec<_>>() };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        given.extend(names.iter().map(|name| right(group, resource, verb, *name)));
                    }
                }
            }
        }
    }
    let needed = needed();
    let missing: Vec<_> = needed.difference(&given).collect();
    let unused: Vec<_> = given.difference(&needed).collect();
    assert!(missing.is_empty(), "the roles don't give {missing:?}");
    assert!(unused.is_empty(), "nobody uses {unused:?}");
}
