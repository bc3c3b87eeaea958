//! Which pods stand behind a Service, and at which of their ports: what Endpoints and EndpointSlices both say.

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::kinds::{self, is_going, namespace, text, typed};
use crate::labels::{labels, map};
use crate::node::port_map::PortMap;
use crate::objects::{Object, Objects};

use super::pod_control::{has_ended, is_ready};
use super::reconciler::Key;

/// A pod behind a Service.
pub(super) struct Backend {
    pub(super) pod: Object,
    pub(super) address: String,
    pub(super) ports: Vec<Port>,
    /// Takes new connections.
    pub(super) ready: bool,
    /// Could take some, even though it may be ending.
    pub(super) serving: bool,
    pub(super) terminating: bool,
    /// For a Service that names the pod's subdomain.
    pub(super) hostname: Option<String>,
}

/// A port of a Service, as one pod serves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) number: i32,
    pub(super) app_protocol: Option<String>,
}

/// The pods behind a Service, by name; `None` for a Service whose endpoints somebody else writes.
pub(super) fn backends(objects: &Objects, service: &Value) -> Option<Vec<Backend>> {
    let spec = typed::<Service>(service)?.spec?;
    let selector = spec.selector.unwrap_or_default();
    if selector.is_empty() || spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    let chosen = |pod: &Object| {
        let labels = labels(pod);
        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && !text(pod, "/status/podIP").is_empty()
            && !has_ended(pod)
    };
    let ports = spec.ports.unwrap_or_default();
    let early = spec.publish_not_ready_addresses == Some(true);
    let pods = objects.list(&kinds::pods(), Some(namespace(service)));
    let backend = |pod: Object| {
        let typed: Pod = typed(&pod)?;
        let map = PortMap::of(&pod);
        let terminating = is_going(&pod);
        let serving = is_ready(&pod) || early;
        let in_subdomain = text(&pod, "/spec/subdomain") == kinds::name(service);
        let hostname = Some(text(&pod, "/spec/hostname")).filter(|name| in_subdomain && !name.is_empty());
        Some(Backend {
            address: text(&pod, "/status/podIP").to_owned(),
            ports: ports.iter().filter_map(|port| served(port, &typed, &map)).collect(),
            ready: early || (serving && !terminating),
            serving,
            terminating,
            hostname: hostname.map(ToOwned::to_owned),
            pod,
        })
    };
    Some(pods.into_iter().filter(chosen).filter_map(backend).collect())
}

/// The port at which a pod serves a Service's port; `None` when it has no port of the name.
fn served(port: &ServicePort, pod: &Pod, map: &PortMap) -> Option<Port> {
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let number = match &port.target_port {
        None | Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|one| one.restart_policy.as_deref() == Some("Always"));
            let ports = spec.containers.iter().chain(sidecars).flat_map(|one| one.ports.iter().flatten());
            let same = |one: &&k8s_openapi::api::core::v1::ContainerPort| {
                one.name.as_ref() == Some(name) && one.protocol.as_deref().unwrap_or("TCP") == protocol
            };
            ports.into_iter().find(same)?.container_port
        }
    };
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        number: map.outside(number),
        protocol,
        app_protocol: port.app_protocol.clone(),
    })
}

/// The Services of a pod's namespace that select it.
pub(super) fn services_of(objects: &Objects, pod: &Value) -> Vec<Key> {
    let labels = labels(pod);
    let selects = |service: &Object| {
        let selector = map(service, "/spec/selector");
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let services = objects.list(&kinds::services(), Some(namespace(pod)));
    services.iter().filter(|service| selects(service)).map(|service| Key::of(service)).collect()
}
