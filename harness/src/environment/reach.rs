//! An environment as its API server tells about it: pods and Services whose addresses can be reached from here.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use local_cluster::node::port_map::PortMap;
use serde_json::Value;

use super::{Addresses, AdminPort, Environment, stack};
use crate::cluster::Cluster;
use crate::cluster::facts::{is_ready, must_get, pods_of};
use crate::cluster::kubernetes::Kubernetes;
use crate::scenario::values::ObjectName;

/// Something to reach it by.
pub struct Reached {
    kubeconfig: PathBuf,
    cluster: Kubernetes,
    gateway: Addresses,
}

impl Reached {
    /// # Errors
    /// The API server doesn't answer, or there is no gateway.
    pub async fn open(kubeconfig: &Path) -> Result<Reached, String> {
        let cluster = Kubernetes::open(kubeconfig).await?;
        let gateway = addresses(&cluster).await?;
        Ok(Reached { kubeconfig: kubeconfig.to_owned(), cluster, gateway })
    }
}

#[async_trait]
impl Environment for Reached {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn cluster(&self) -> &dyn Cluster {
        &self.cluster
    }

    fn gateway(&self) -> Addresses {
        self.gateway
    }

    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String> {
        admin_ports(&self.cluster).await
    }

    async fn service_url(&self, namespace: &str, name: &str, port: u16) -> Result<String, String> {
        service_url(&self.cluster, namespace, name, port).await
    }

    async fn crash(&self, _namespace: &str, _pod: &str) -> Result<(), String> {
        Err("a container can only be crashed by the process that runs it".to_owned())
    }

    async fn stop(&self) {}
}

/// Where the gateway's Service is reached from outside.
///
/// # Errors
/// It has no such address, or a part of it is missing.
pub async fn addresses(cluster: &dyn Cluster) -> Result<Addresses, String> {
    let name = stack::proxy_service();
    let service = must_get(cluster, &name).await?;
    let ip = service.pointer("/status/loadBalancer/ingress/0/ip").and_then(Value::as_str);
    let ip: IpAddr = ip
        .and_then(|ip| ip.parse().ok())
        .ok_or_else(|| format!("{name} has no load balancer's address: {}", service["status"]))?;
    let at = |port: u16| SocketAddr::new(ip, balanced_port(&service, port));
    Ok(Addresses { http: at(stack::HTTP_PORT), https: at(stack::HTTPS_PORT) })
}

/// The port at which a load balancer really listens for a port of its Service: usually that one, but where it may
/// not be listened on another, which then stands in the status.
fn balanced_port(service: &Value, port: u16) -> u16 {
    let list =
        |pointer: &str| service.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let real = list("/status/loadBalancer/ingress/0/ports");
    let pairs = list("/spec/ports").iter().zip(real);
    let mut found = pairs.filter(|(asked, _)| asked["port"] == port).map(|(_, real)| &real["port"]);
    found.next().and_then(Value::as_u64).and_then(|port| port.try_into().ok()).unwrap_or(port)
}

/// The admin ports of the gateway pods that are ready.
///
/// # Errors
/// The API server doesn't answer, or there is no gateway.
pub async fn admin_ports(cluster: &dyn Cluster) -> Result<Vec<AdminPort>, String> {
    let deployment = must_get(cluster, &stack::gateway()).await?;
    let pods = pods_of(cluster, &deployment).await?;
    let ready = pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| {
        let ip = pod.pointer("/status/podIP")?.as_str()?;
        let name = pod.pointer("/metadata/name")?.as_str()?;
        let port = PortMap::of(pod).outside(stack::ADMIN_PORT.into());
        Some(AdminPort { pod: name.to_owned(), url: format!("http://{ip}:{port}") })
    });
    Ok(ready.collect())
}

/// A Service's port at its cluster address.
///
/// # Errors
/// There is no such Service, or it has no address.
pub async fn service_url(
    cluster: &dyn Cluster,
    namespace: &str,
    name: &str,
    port: u16,
) -> Result<String, String> {
    let object =
        ObjectName { kind: "Service".to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
    let service = must_get(cluster, &object).await?;
    let port = PortMap::of(&service).outside(port.into());
    let ip = service.pointer("/spec/clusterIP").and_then(Value::as_str).filter(|ip| *ip != "None");
    ip.map(|ip| format!("http://{ip}:{port}")).ok_or_else(|| format!("{object} has no cluster address"))
}
