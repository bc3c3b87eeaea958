//! EndpointSlices: the pods behind each Service that selects some, and mirrors of Endpoints written by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{self, is_going, name, name_suffix, namespace, text, uid, unless_gone};
use crate::objects::{Deletion, Object, Objects, Part};

use super::backends::{Backend, Port, backends, services_of};
use super::ownership::controller_reference;
use super::reconciler::{Key, Reconciler, Source};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const OURS: &str = "endpointslice-controller.k8s.io";
const MIRROR: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// As many endpoints as a slice of kube-controller-manager takes.
const PER_SLICE: usize = 100;

pub(crate) struct EndpointSlices;

/// What a slice is to say.
struct Wanted {
    ports: Value,
    endpoints: Vec<Value>,
}

impl Reconciler for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpointslice"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::services()),
            Source::new(kinds::pods(), services_of),
            // Endpoints have the name of their Service.
            Source::own(kinds::endpoints()),
            Source::new(kinds::endpoint_slices(), |_, slice| {
                let service = slice["metadata"]["labels"][SERVICE_NAME].as_str();
                let key = |name: &str| Key { namespace: namespace(slice).to_owned(), name: name.to_owned() };
                service.map(key).into_iter().collect()
            }),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, _: Timestamp) -> Result<Option<Duration>, Failure> {
        let service = objects.get(&kinds::services(), &key.namespace, &key.name);
        let Some(service) = service.filter(|service| !is_going(service)) else {
            // The slices go by their owner reference.
            return Ok(None);
        };
        let (ours, mirrored) = if let Some(backends) = backends(objects, &service) {
            (slices(backends), Vec::new())
        } else {
            let endpoints = objects.get(&kinds::endpoints(), &key.namespace, &key.name);
            (Vec::new(), endpoints.map(|endpoints| mirror(&endpoints)).unwrap_or_default())
        };
        write(objects, &service, OURS, ours)?;
        write(objects, &service, MIRROR, mirrored)?;
        Ok(None)
    }
}

/// One slice for all pods that serve the Service at the same ports, more when there are many.
fn slices(backends: Vec<Backend>) -> Vec<Wanted> {
    let mut by_ports: BTreeMap<Vec<Port>, Vec<Value>> = BTreeMap::new();
    for backend in backends {
        let endpoint = endpoint(&backend);
        by_ports.entry(backend.ports).or_default().push(endpoint);
    }
    let mut slices = Vec::new();
    for (ports, endpoints) in by_ports {
        let ports: Vec<Value> = ports.iter().map(port).collect();
        for endpoints in endpoints.chunks(PER_SLICE) {
            slices.push(Wanted { ports: json!(ports), endpoints: endpoints.to_vec() });
        }
    }
    if slices.is_empty() {
        // A Service without pods has one empty slice, as a real cluster writes it.
        slices.push(Wanted { ports: json!([]), endpoints: Vec::new() });
    }
    slices
}

fn port(port: &Port) -> Value {
    let mut written = json!({"name": port.name, "port": port.number, "protocol": port.protocol});
    if let Some(protocol) = &port.app_protocol {
        written["appProtocol"] = json!(protocol);
    }
    written
}

fn endpoint(backend: &Backend) -> Value {
    let pod = &backend.pod;
    let mut endpoint = json!({
        "addresses": [backend.address],
        "conditions": {
            "ready": backend.ready, "serving": backend.serving, "terminating": backend.terminating,
        },
        "nodeName": text(pod, "/spec/nodeName"),
        "targetRef": {"kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod)},
    });
    if let Some(hostname) = &backend.hostname {
        endpoint["hostname"] = json!(hostname);
    }
    endpoint
}

/// The slices that say what Endpoints say, unless they ask not to be mirrored.
fn mirror(endpoints: &Value) -> Vec<Wanted> {
    if endpoints["metadata"]["labels"][SKIP_MIRROR] == "true" {
        return Vec::new();
    }
    let subsets = endpoints["subsets"].as_array().into_iter().flatten();
    let slice = |subset: &Value| {
        let addresses = |field: &str, ready: bool| {
            let listed = subset[field].as_array().cloned().unwrap_or_default();
            listed.into_iter().map(move |address| {
                let mut endpoint = json!({"addresses": [address["ip"]], "conditions": {"ready": ready}});
                for field in ["hostname", "nodeName", "targetRef"] {
                    if !address[field].is_null() {
                        endpoint[field] = address[field].clone();
                    }
                }
                endpoint
            })
        };
        let endpoints = addresses("addresses", true).chain(addresses("notReadyAddresses", false)).collect();
        let ports = subset["ports"].as_array().into_iter().flatten().map(|port| {
            let mut port = port.clone();
            if port["name"].is_null() {
                port["name"] = json!("");
            }
            port
        });
        Wanted { ports: ports.collect(), endpoints }
    };
    subsets.map(slice).collect()
}

/// Brings the Service's slices of one manager to what is wanted; those with the same ports keep their names.
fn write(objects: &Objects, service: &Value, manager: &str, wanted: Vec<Wanted>) -> Result<(), Failure> {
    let mut present: Vec<Object> = objects.list(&kinds::endpoint_slices(), Some(namespace(service)));
    present.retain(|slice| {
        let labels = &slice["metadata"]["labels"];
        labels[SERVICE_NAME] == name(service) && labels[MANAGED_BY] == manager
    });
    let mut rest = Vec::new();
    for slice in wanted {
        match present.iter().position(|one| one["ports"] == slice.ports) {
            Some(at) => update(objects, &present.swap_remove(at), slice)?,
            None => rest.push(slice),
        }
    }
    for slice in rest {
        match present.pop() {
            Some(other) => update(objects, &other, slice)?,
            None => create(objects, service, manager, slice)?,
        }
    }
    for slice in present {
        delete(objects, &slice)?;
    }
    Ok(())
}

fn update(objects: &Objects, slice: &Value, wanted: Wanted) -> Result<(), Failure> {
    let edit = |slice: &mut Value| {
        slice["ports"] = wanted.ports;
        slice["endpoints"] = json!(wanted.endpoints);
    };
    let resource = kinds::endpoint_slices();
    objects.modify(&resource, namespace(slice), name(slice), Part::AllButStatus, edit).map(drop)
}

fn create(objects: &Objects, service: &Value, manager: &str, wanted: Wanted) -> Result<(), Failure> {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), json!(name(service)));
    labels.insert(MANAGED_BY.to_owned(), json!(manager));
    if service["spec"]["clusterIP"] == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), json!(""));
    }
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{}", name(service), name_suffix(5)),
            "generateName": format!("{}-", name(service)),
            "namespace": namespace(service),
            "labels": labels,
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4",
        "ports": wanted.ports,
        "endpoints": wanted.endpoints,
    });
    objects.create(&kinds::endpoint_slices(), slice).map(drop)
}

fn delete(objects: &Objects, slice: &Value) -> Result<(), Failure> {
    let deletion = Deletion { uid: Some(uid(slice).to_owned()), ..Deletion::default() };
    unless_gone(objects.delete(&kinds::endpoint_slices(), namespace(slice), name(slice), &deletion))
}

#[cfg(test)]
mod tests;
