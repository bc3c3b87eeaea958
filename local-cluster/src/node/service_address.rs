//! Services made reachable: their cluster addresses, node ports and load balancers, each a forwarder on loopback.
//!
//! | listens at | when |
//! |---|---|
//! | cluster address, the Service's port | every Service but headless ones and `ExternalName` |
//! | 127.0.0.1, the node port | `NodePort`, `LoadBalancer` |
//! | an address of its own, the Service's port | `LoadBalancer`; it is written to the status |
//!
//! A port below 1024 that this user may not listen on is replaced by that port plus 8000, and where the cluster
//! has one address only, a port that is taken by any free one. What is listened on really is then told by an
//! Event, by the annotation `local-cluster/ports` and, for a load balancer, by the `ports` of its status.
//! Only TCP is forwarded.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::addresses::{Addresses, Use};
use super::forwarder::{CONNECTIONS, Forwarder, Targets};
use super::port_map::{ANNOTATION, PortMap};
use super::routes::Routes;
use crate::controllers::reconciler::{Key, Reconciler, Source};
use crate::events::Events;
use crate::failure::Failure;
use crate::kinds::{self, is_going, text, typed, uid};
use crate::objects::{Object, Objects, Part};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;
/// Added to a port that needs a privilege.
const UNPRIVILEGED: u16 = 8000;
/// An address that was in use is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) struct ServiceAddresses {
    addresses: Arc<Addresses>,
    routes: Arc<Routes>,
    events: Events,
    room: Arc<Semaphore>,
    end: CancellationToken,
    running: Mutex<BTreeMap<Key, Running>>,
}

/// A Service that is reachable.
#[derive(Default)]
struct Running {
    uid: String,
    cluster: Option<Ipv4Addr>,
    balancer: Option<Ipv4Addr>,
    /// By name of the Service's port.
    targets: BTreeMap<String, Arc<Targets>>,
    /// By what is asked for: the address, and the name of the Service's port.
    forwarders: BTreeMap<(SocketAddr, String), Forwarder>,
}

impl ServiceAddresses {
    pub(super) fn new(
        objects: &Objects,
        addresses: Arc<Addresses>,
        routes: Arc<Routes>,
        end: CancellationToken,
    ) -> ServiceAddresses {
        ServiceAddresses {
            addresses,
            routes,
            events: Events::new(objects, "service-controller"),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
            end,
            running: Mutex::default(),
        }
    }
}

impl Reconciler for ServiceAddresses {
    fn name(&self) -> &'static str {
        "service-address"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::services()),
            Source::new(kinds::endpoint_slices(), |_, slice| {
                let service = slice["metadata"]["labels"][SERVICE_NAME].as_str();
                let key =
                    |name: &str| Key { namespace: kinds::namespace(slice).to_owned(), name: name.to_owned() };
                service.map(key).into_iter().collect()
            }),
        ]
    }

    fn reconcile(&self, objects: &Objects, key: &Key, _: Timestamp) -> Result<Option<Duration>, Failure> {
        let service = objects.get(&kinds::services(), &key.namespace, &key.name);
        let Some(service) = service.filter(|service| !is_going(service)) else {
            self.forget(key);
            return Ok(None);
        };
        let mut all = self.running.lock();
        if all.get(key).is_some_and(|running| running.uid != uid(&service)) {
            drop(all);
            self.forget(key);
            all = self.running.lock();
        }
        let running = all.entry(key.clone()).or_default();
        uid(&service).clone_into(&mut running.uid);
        let service = self.assign(objects, &service, running)?;
        let Some(spec) = typed::<Service>(&service).and_then(|service| service.spec) else { return Ok(None) };
        self.routes.set(key, running.aim(objects, key, &spec));
        let wanted = running.wanted(&spec);
        let failed = self.listen(&service, running, &wanted);
        self.tell(objects, &service, &spec, running)?;
        Ok(failed.then_some(AGAIN))
    }
}

impl ServiceAddresses {
    fn forget(&self, key: &Key) {
        self.routes.forget(key);
        if let Some(running) = self.running.lock().remove(key) {
            drop(running.forwarders);
            running
                .cluster
                .into_iter()
                .chain(running.balancer)
                .for_each(|address| self.addresses.release(address));
        }
    }

    /// Gives the Service the addresses and ports that it wants and doesn't have.
    fn assign(&self, objects: &Objects, service: &Object, running: &mut Running) -> Result<Object, Failure> {
        let kind = text(service, "/spec/type");
        let given = text(service, "/spec/clusterIP");
        let unaddressed = kind == "ExternalName" || given == "None";
        if running.cluster.is_none() && !unaddressed {
            running.cluster = if given.is_empty() {
                self.addresses.take(Use::Service)
            } else {
                // An address that somebody chose, or that a Service of this cluster had before.
                let chosen = given.parse().ok();
                chosen.filter(|address| self.addresses.take_this(Use::Service, *address))
            };
        }
        let outside = matches!(kind, "LoadBalancer" | "NodePort");
        if kind != "LoadBalancer" {
            running.balancer.take().into_iter().for_each(|address| self.addresses.release(address));
        } else if running.balancer.is_none() {
            running.balancer = self.addresses.take(Use::LoadBalancer);
        }
        let address = running.cluster.filter(|_| given.is_empty()).map(|address| address.to_string());
        let node_ports = outside && service["spec"]["allocateLoadBalancerNodePorts"] != false;
        let lacking = |port: &Value| port["nodePort"].as_i64().unwrap_or(0) == 0;
        let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let chosen: Vec<Option<u16>> =
            ports.iter().map(|port| (node_ports && lacking(port)).then(free_node_port).flatten()).collect();
        objects.modify(
            &kinds::services(),
            kinds::namespace(service),
            kinds::name(service),
            Part::AllButStatus,
            |one| {
                if let Some(address) = address {
                    one["spec"]["clusterIPs"] = json!([address]);
                    one["spec"]["clusterIP"] = json!(address);
                }
                for (port, chosen) in one["spec"]["ports"].as_array_mut().into_iter().flatten().zip(&chosen) {
                    if let Some(chosen) = chosen {
                        port["nodePort"] = json!(chosen);
                    }
                }
            },
        )
    }

    /// Starts the forwarders that are missing and drops those that nobody wants; says whether one failed.
    fn listen(&self, service: &Value, running: &mut Running, wanted: &[(SocketAddr, String)]) -> bool {
        running.forwarders.retain(|listening, _| wanted.contains(listening));
        let mut failed = false;
        for (address, name) in wanted {
            let at = (*address, name.clone());
            if running.forwarders.contains_key(&at) {
                continue;
            }
            let targets = Arc::clone(running.targets.entry(name.clone()).or_default());
            match self.forward(*address, &targets) {
                Ok(forwarder) => {
                    if forwarder.address != *address {
                        let message = format!(
                            "port {} of {} can't be listened on here; connect to {} instead",
                            address.port(),
                            address.ip(),
                            forwarder.address
                        );
                        self.events.normal(service, "PortReplaced", &message);
                    }
                    running.forwarders.insert(at, forwarder);
                }
                Err(error) => {
                    failed = true;
                    let message = format!("failed to listen on {address}: {error}; it is tried again");
                    self.events.warning(service, "ListenFailed", &message);
                }
            }
        }
        failed
    }

    fn forward(&self, address: SocketAddr, targets: &Arc<Targets>) -> io::Result<Forwarder> {
        let listen = |port: u16| {
            let address = SocketAddr::new(address.ip(), port);
            Forwarder::listen(address, Arc::clone(targets), Arc::clone(&self.room), self.end.clone())
        };
        let first = listen(address.port());
        let Err(error) = first else { return first };
        let high = address.port().saturating_add(UNPRIVILEGED);
        let shared = self.addresses.is_shared() && !NODE_PORTS.contains(&address.port());
        match error.kind() {
            io::ErrorKind::PermissionDenied if shared => listen(high).or_else(|_| listen(0)),
            io::ErrorKind::PermissionDenied => listen(high),
            io::ErrorKind::AddrInUse if shared => listen(0),
            _ => Err(error),
        }
    }

    /// Writes what clients can't know from the Service itself.
    fn tell(
        &self,
        objects: &Objects,
        service: &Value,
        spec: &ServiceSpec,
        running: &Running,
    ) -> Result<(), Failure> {
        let (namespace, name) = (kinds::namespace(service), kinds::name(service));
        let at = |address: Ipv4Addr| {
            let ports = spec.ports.iter().flatten();
            ports.filter_map(move |port| {
                let asked = SocketAddr::new(IpAddr::V4(address), u16::try_from(port.port).ok()?);
                let listening = running.forwarders.get(&(asked, port.name.clone().unwrap_or_default()))?;
                Some((port.port, i32::from(listening.address.port())))
            })
        };
        let replaced = running.cluster.into_iter().flat_map(at).filter(|(asked, real)| asked != real);
        let replaced = PortMap::new(replaced);
        objects.modify(&kinds::services(), namespace, name, Part::AllButStatus, |service| {
            let annotations = &mut service["metadata"]["annotations"];
            if !replaced.is_empty() {
                annotations[ANNOTATION] = json!(replaced.to_annotation());
            } else if let Some(annotations) = annotations.as_object_mut() {
                annotations.shift_remove(ANNOTATION);
            }
        })?;
        let ingress = running.balancer.map(|address| {
            let ports = at(address).map(|(_, real)| json!({"port": real, "protocol": "TCP"}));
            json!([{"ip": address.to_string(), "ipMode": "Proxy", "ports": ports.collect::<Vec<_>>()}])
        });
        let unserved: Vec<String> = spec
            .ports
            .iter()
            .flatten()
            .filter(|port| !is_tcp(port))
            .map(|port| format!("{}/{}", port.port, port.protocol.as_deref().unwrap_or_default()))
            .collect();
        if !unserved.is_empty() {
            let message =
                format!("only TCP is forwarded in this cluster; not served: {}", unserved.join(", "));
            self.events.warning(service, "ProtocolNotForwarded", &message);
        }
        objects.modify(&kinds::services(), namespace, name, Part::Status, |service| {
            service["status"]["loadBalancer"] = match ingress {
                Some(ingress) => json!({"ingress": ingress}),
                None => json!({}),
            };
        })?;
        Ok(())
    }
}

impl Running {
    /// Where to listen, for which port.
    fn wanted(&self, spec: &ServiceSpec) -> Vec<(SocketAddr, String)> {
        let mut wanted = Vec::new();
        for port in spec.ports.iter().flatten().filter(|port| is_tcp(port)) {
            let name = port.name.clone().unwrap_or_default();
            let number = u16::try_from(port.port).unwrap_or_default();
            let mut addresses: Vec<Ipv4Addr> = self.cluster.into_iter().chain(self.balancer).collect();
            addresses.dedup();
            wanted.extend(
                addresses.iter().map(|address| (SocketAddr::new((*address).into(), number), name.clone())),
            );
            let node_port =
                port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
            wanted.extend(
                node_port.map(|port| (SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), name.clone())),
            );
        }
        wanted
    }

    /// Points every port at the pods that its slices name, and gives those that are ready.
    fn aim(&mut self, objects: &Objects, key: &Key, spec: &ServiceSpec) -> BTreeSet<SocketAddr> {
        let mut slices = objects.list(&kinds::endpoint_slices(), Some(&key.namespace));
        slices.retain(|slice| slice["metadata"]["labels"][SERVICE_NAME] == key.name.as_str());
        let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(10_800);
            Duration::from_secs(seconds.max(0).unsigned_abs().into())
        });
        let mut all_ready = BTreeSet::new();
        for port in spec.ports.iter().flatten() {
            let name = port.name.clone().unwrap_or_default();
            let (ready, ending) = endpoints(&slices, &name);
            all_ready.extend(ready.iter().copied());
            // Those that are ending still serve: better than nobody.
            let targets = if ready.is_empty() { ending } else { ready };
            self.targets.entry(name).or_default().set(targets.into_iter().collect(), affinity);
        }
        all_ready
    }
}

/// The addresses behind a port: those that are ready, and those that are ending and still serve.
fn endpoints(slices: &[Object], name: &str) -> (BTreeSet<SocketAddr>, BTreeSet<SocketAddr>) {
    let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        let mut ports = slice["ports"].as_array().into_iter().flatten();
        let port =
            ports.find(|port| port["name"].as_str().unwrap_or_default() == name && port["protocol"] != "UDP");
        let port = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
        let Some(port) = port else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            let condition = |kind: &str| endpoint["conditions"][kind].as_bool();
            let addresses = endpoint["addresses"].as_array().into_iter().flatten();
            let addresses = addresses.filter_map(|address| address.as_str()?.parse::<IpAddr>().ok());
            let addresses = addresses.map(|address| SocketAddr::new(address, port));
            if condition("ready").unwrap_or(true) {
                ready.extend(addresses);
            } else if condition("serving") == Some(true) {
                ending.extend(addresses);
            }
        }
    }
    (ready, ending)
}

fn is_tcp(port: &ServicePort) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == "TCP"
}

/// A node port that nobody listens on now.
fn free_node_port() -> Option<u16> {
    let free = |port: &u16| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(NODE_PORTS)).take(100).find(free)
}

#[cfg(test)]
mod tests;
