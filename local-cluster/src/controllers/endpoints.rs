//! Endpoints: the older form of EndpointSlices, for clients that read it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{self, is_going, name, namespace, text, uid};
use crate::objects::{Objects, Part};

use super::backends::{Backend, Port, backends, services_of};
use super::ownership::controller_reference;
use super::reconciler::{Key, Reconciler, Source};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OURS: &str = "endpoint-controller";

pub(crate) struct AllEndpoints;

impl Reconciler for AllEndpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source::own(kinds::services()), Source::new(kinds::pods(), services_of)]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, _: Timestamp) -> Result<Option<Duration>, Failure> {
        let service = objects.get(&kinds::services(), &key.namespace, &key.name);
        let Some(service) = service.filter(|service| !is_going(service)) else { return Ok(None) };
        let Some(backends) = backends(objects, &service) else { return Ok(None) };
        let subsets = subsets(&backends);
        let resource = kinds::endpoints();
        let written =
            objects.modify(&resource, namespace(&service), name(&service), Part::AllButStatus, |one| {
                one["subsets"] = subsets.clone();
            });
        match written {
            Err(failure) if failure.code == 404 => {
                let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
                labels.insert(MANAGED_BY.to_owned(), json!(OURS));
                let endpoints = json!({
                    "apiVersion": "v1", "kind": "Endpoints",
                    "metadata": {
                        "name": name(&service), "namespace": namespace(&service), "labels": labels,
                        // Elsewhere they go by name with their Service; here the owner says it.
                        "ownerReferences": [controller_reference(&service)],
                    },
                    "subsets": subsets,
                });
                objects.create(&resource, endpoints).map(|_| None)
            }
            Err(failure) => Err(failure),
            Ok(_) => Ok(None),
        }
    }
}

/// Pods that serve at the same ports stand together.
fn subsets(backends: &[Backend]) -> Value {
    let mut by_ports: BTreeMap<&[Port], (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for backend in backends.iter().filter(|backend| !backend.ports.is_empty()) {
        let (ready, unready) = by_ports.entry(&backend.ports).or_default();
        if backend.ready {
            ready.push(address(backend));
        } else if !backend.terminating {
            unready.push(address(backend));
        }
    }
    let subset = |(ports, (ready, unready)): (&[Port], (Vec<Value>, Vec<Value>))| {
        let ports = ports.iter().map(|port| {
            let mut written = json!({"port": port.number, "protocol": port.protocol});
            if !port.name.is_empty() {
                written["name"] = json!(port.name);
            }
            if let Some(protocol) = &port.app_protocol {
                written["appProtocol"] = json!(protocol);
            }
            written
        });
        let mut subset = json!({});
        if !ready.is_empty() {
            subset["addresses"] = json!(ready);
        }
        if !unready.is_empty() {
            subset["notReadyAddresses"] = json!(unready);
        }
        subset["ports"] = ports.collect();
        subset
    };
    let some = by_ports.into_iter().filter(|(_, (ready, unready))| !ready.is_empty() || !unready.is_empty());
    let subsets: Vec<Value> = some.map(subset).collect();
    if subsets.is_empty() { Value::Null } else { json!(subsets) }
}

fn address(backend: &Backend) -> Value {
    let pod = &backend.pod;
    let mut address = json!({
        "ip": backend.address,
        "nodeName": text(pod, "/spec/nodeName"),
        "targetRef": {"kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod)},
    });
    if let Some(hostname) = &backend.hostname {
        address["hostname"] = json!(hostname);
    }
    address
}
