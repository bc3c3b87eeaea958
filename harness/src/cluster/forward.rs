//! Ports of pods, reached from here through the API server, as `kubectl port-forward` does. Each gets a port of this
//! machine; for every connection the pod is looked for anew, so that a Service outlives its pods.
//!
//! Pods that are processes of this machine are connected to directly.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use local_cluster::node::port_map::PortMap;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Cluster;
use super::facts::{is_ready, must_get};
use super::kubernetes::Kubernetes;
use crate::scenario::values::ObjectName;

/// What a port of this machine leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    Pod { namespace: String, name: String, port: u16 },
    Service { namespace: String, name: String, port: u16 },
}

/// The ports that are forwarded; they close when this is dropped.
pub struct Forwards {
    cluster: Arc<Kubernetes>,
    open: Mutex<BTreeMap<Goal, SocketAddr>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Forwards {
    pub fn new(cluster: Arc<Kubernetes>) -> Forwards {
        Forwards { cluster, open: Mutex::default(), tasks: Mutex::default() }
    }

    /// Where it is reached from here; the pod is there now.
    ///
    /// # Errors
    /// There is no such pod or Service, or none of its pods is ready.
    pub async fn address(&self, goal: Goal) -> Result<SocketAddr, String> {
        let place = find(&self.cluster, &goal).await?;
        if let Some(direct) = place.direct {
            return Ok(direct);
        }
        if let Some(address) = self.open.lock().get(&goal) {
            return Ok(*address);
        }
        let failed = |error: std::io::Error| format!("failed to listen on this machine: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        self.open.lock().insert(goal.clone(), address);
        self.tasks.lock().spawn(serve(Arc::clone(&self.cluster), listener, goal));
        Ok(address)
    }
}

async fn serve(cluster: Arc<Kubernetes>, listener: TcpListener, goal: Goal) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (cluster, goal) = (Arc::clone(&cluster), goal.clone());
                connections.spawn(async move {
                    // Whoever connected sees the connection end; the log says why.
                    if let Err(error) = carry(&cluster, stream, &goal).await {
                        tracing::info!("a connection to {goal:?} ended: {error}");
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(cluster: &Kubernetes, mut stream: TcpStream, goal: &Goal) -> Result<(), String> {
    let place = find(cluster, goal).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), &place.namespace);
    let forwarded = pods.portforward(&place.pod, &[place.port]).await;
    let mut forwarder = forwarded.map_err(|error| format!("pod {}: {error}", place.pod))?;
    let upstream = forwarder.take_stream(place.port).ok_or("no stream for the port")?;
    carry_bytes(&mut stream, upstream).await?;
    // Its end is no failure: whoever is done first closes.
    forwarder.abort();
    Ok(())
}

async fn carry_bytes(
    stream: &mut TcpStream,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), String> {
    copy_bidirectional(stream, &mut upstream).await.map(drop).map_err(|error| error.to_string())
}

/// A port of a pod.
struct Place {
    namespace: String,
    pod: String,
    port: u16,
    /// Where it is on this machine, if it is.
    direct: Option<SocketAddr>,
}

async fn find(cluster: &Kubernetes, goal: &Goal) -> Result<Place, String> {
    let object = |kind: &str, namespace: &str, name: &str| ObjectName {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let (namespace, pod, port) = match goal {
        Goal::Pod { namespace, name, port } => {
            (namespace, must_get(cluster, &object("Pod", namespace, name)).await?, *port)
        }
        Goal::Service { namespace, name, port } => {
            let service_name = object("Service", namespace, name);
            let service = must_get(cluster, &service_name).await?;
            let selector: Vec<String> = service["spec"]["selector"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
                .collect();
            let pods = cluster.list("Pod", namespace, &selector.join(",")).await?;
            let pod = pods.into_iter().find(is_ready);
            let pod = pod.ok_or_else(|| format!("no pod of {service_name} is ready"))?;
            let port = target_port(&service, &pod, *port)
                .ok_or_else(|| format!("{service_name} has no port {port}"))?;
            (namespace, pod, port)
        }
    };
    Ok(Place {
        namespace: namespace.clone(),
        pod: pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        port,
        direct: direct(&pod, port),
    })
}

/// The port of a pod that a Service's port leads to.
fn target_port(service: &Value, pod: &Value, port: u16) -> Option<u16> {
    let ports = service["spec"]["ports"].as_array()?;
    let found = ports.iter().find(|listed| listed["port"] == port)?;
    let number = match &found["targetPort"] {
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array()?;
            let mut ports = containers.iter().filter_map(|container| container["ports"].as_array()).flatten();
            ports.find(|port| port["name"] == name.as_str())?["containerPort"].as_u64()?
        }
        Value::Number(number) => number.as_u64()?,
        _ => u64::from(port),
    };
    number.try_into().ok()
}

/// Where the port of a pod is that is a process of this machine.
fn direct(pod: &Value, port: u16) -> Option<SocketAddr> {
    let id = pod.pointer("/status/containerStatuses/0/containerID")?.as_str()?;
    let ip = pod.pointer("/status/podIP")?.as_str()?.parse().ok()?;
    let port = u16::try_from(PortMap::of(pod).outside(port.into())).ok()?;
    id.starts_with("process://").then(|| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_of_a_service_leads_to_one_of_its_pods() {
        let service = json!({"spec": {"ports": [{"port": 80, "targetPort": "web"}, {"port": 90, "targetPort": 91}, {"port": 7}]}});
        let pod = json!({"spec": {"containers": [{}, {"ports": [{"name": "web", "containerPort": 8000}]}]}});
        let port = |port| target_port(&service, &pod, port);
        assert_eq!([port(80), port(90), port(7), port(1)], [Some(8000), Some(91), Some(7), None]);
    }

    #[test]
    fn only_processes_of_this_machine_are_connected_to_directly() {
        let pod =
            |id: &str| json!({"status": {"podIP": "127.1.0.5", "containerStatuses": [{"containerID": id}]}});
        assert_eq!(direct(&pod("process://77"), 8001), Some("127.1.0.5:8001".parse().unwrap()));
        assert_eq!(direct(&pod("containerd://77"), 8001), None);
    }
}
