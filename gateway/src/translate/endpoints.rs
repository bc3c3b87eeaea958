//! `EndpointSlices` to targets.
//!
//! Ready endpoints serve. While none is ready, those that are on their way out but still serve do
//! (KEP-1669): a late answer beats a refusal.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::ports::Port;
use crate::model::Target;
use crate::objects::annotations;
use crate::store::Store;

/// Kong's default.
pub(super) const WEIGHT: u32 = 100;

/// All slices, by namespace and Service.
pub(super) struct Slices<'a>(HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>);

/// How far an endpoint can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Ready,
    /// Terminating, but still answering.
    Serving,
    /// Terminating; only what already goes there may go on.
    Draining,
}

impl<'a> Slices<'a> {
    pub(super) fn index(store: &'a Store) -> Slices<'a> {
        let mut index: HashMap<_, Vec<&EndpointSlice>> = HashMap::new();
        for slice in store.all::<EndpointSlice>() {
            let meta = &slice.metadata;
            let service = meta.labels.as_ref().and_then(|labels| labels.get(annotations::SERVICE_NAME_LABEL));
            if let (Some(namespace), Some(service)) = (&meta.namespace, service) {
                index.entry((namespace.as_str(), service.as_str())).or_default().push(slice);
            }
        }
        Slices(index)
    }

    /// Where requests to a port of a Service may go.
    pub(super) fn targets(&self, namespace: &str, service: &str, port: &Port, drain: bool) -> Vec<Target> {
        let mut found: BTreeMap<(String, u16), Use> = BTreeMap::new();
        for slice in self.0.get(&(namespace, service)).into_iter().flatten() {
            for number in ports(slice, port) {
                for endpoint in &slice.endpoints {
                    let (Some(address), Some(usable)) = (endpoint.addresses.first(), usable(endpoint)) else {
                        continue;
                    };
                    found
                        .entry((address.clone(), number))
                        .and_modify(|known| *known = usable.min(*known))
                        .or_insert(usable);
                }
            }
        }
        choose(found, drain)
    }
}

/// Numbers under which a slice offers a Service's port.
fn ports(slice: &EndpointSlice, port: &Port) -> impl Iterator<Item = u16> {
    slice
        .ports
        .iter()
        .flatten()
        .filter(|offered| {
            offered.name.as_deref().unwrap_or_default() == port.name
                && offered.protocol.as_deref().unwrap_or("TCP") == port.protocol
        })
        .filter_map(|offered| u16::try_from(offered.port?).ok())
}

/// A condition that nobody states counts as good.
fn usable(endpoint: &Endpoint) -> Option<Use> {
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|all| all.ready).unwrap_or(true);
    let serving = conditions.and_then(|all| all.serving).unwrap_or(ready);
    let terminating = conditions.and_then(|all| all.terminating).unwrap_or(false);
    match (ready, terminating, serving) {
        (true, ..) => Some(Use::Ready),
        (false, true, true) => Some(Use::Serving),
        (false, true, false) => Some(Use::Draining),
        (false, false, _) => None,
    }
}

fn choose(found: BTreeMap<(String, u16), Use>, drain: bool) -> Vec<Target> {
    let none_ready = found.values().all(|usable| *usable != Use::Ready);
    found
        .into_iter()
        .filter_map(|((host, port), usable)| {
            let weight = match usable {
                Use::Ready => WEIGHT,
                Use::Serving if none_ready => WEIGHT,
                Use::Serving | Use::Draining if drain => 0,
                Use::Serving | Use::Draining => return None,
            };
            Some(Target { host, port, weight })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::{Kind, Object};
    use crate::source::Change;

    fn targets(endpoints: &Value, drain: bool) -> Vec<String> {
        let slice = json!({
            "metadata": {"name": "s", "namespace": "a", "labels": {"kubernetes.io/service-name": "svc"}},
            "addressType": "IPv4",
            "ports": [
                {"name": "http", "port": 8080},
                {"name": "http", "port": 9, "protocol": "UDP"},
                {"name": "x", "port": 7},
            ],
            "endpoints": endpoints,
        });
        let mut store = Store::default();
        store.apply(Change::Applied(Object::read(Kind::EndpointSlice, slice).unwrap()));
        let port = Port { number: 80, name: "http".to_owned(), protocol: "TCP".to_owned() };
        let slices = Slices::index(&store);
        let targets = slices.targets("a", "svc", &port, drain);
        targets.iter().map(|target| format!("{}:{} {}", target.host, target.port, target.weight)).collect()
    }

    fn endpoint(address: &str, ready: bool, serving: bool, terminating: bool) -> Value {
        let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
        json!({"addresses": [address], "conditions": conditions})
    }

    #[test]
    fn a_missing_condition_counts_as_ready() {
        assert_eq!(targets(&json!([{"addresses": ["1.1.1.1", "1.1.1.2"]}]), false), ["1.1.1.1:8080 100"]);
    }

    #[test]
    fn only_the_ready_serve_and_nobody_twice() {
        let endpoints = json!([
            endpoint("1.1.1.2", true, true, false),
            endpoint("1.1.1.1", true, true, false),
            endpoint("1.1.1.2", true, true, false),
            endpoint("1.1.1.3", false, false, false),
            endpoint("1.1.1.4", false, true, true),
        ]);
        assert_eq!(targets(&endpoints, false), ["1.1.1.1:8080 100", "1.1.1.2:8080 100"]);
        assert_eq!(targets(&endpoints, true), ["1.1.1.1:8080 100", "1.1.1.2:8080 100", "1.1.1.4:8080 0"]);
    }

    #[test]
    fn the_leaving_serve_while_nobody_is_ready() {
        let endpoints = json!([
            endpoint("1.1.1.1", false, true, true),
            endpoint("1.1.1.2", false, false, true),
            endpoint("1.1.1.3", false, false, false),
        ]);
        assert_eq!(targets(&endpoints, false), ["1.1.1.1:8080 100"]);
    }
}
