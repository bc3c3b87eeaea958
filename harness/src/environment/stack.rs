//! What is installed into a cluster before any scenario: Kong's CRDs and the gateway, and where there shall be a mesh, Istio
//! and what observes it. Names are those of the article's Helm release.

pub mod addons;
pub mod gateway;
pub mod istio;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::progress::wait_for;
use crate::cluster::Cluster;
use crate::cluster::changes::{Change, Changes};
use crate::cluster::facts::{must_get, runs, why_not_ready};
use crate::manifest;
use crate::process::Caller;
use crate::scenario::values::ObjectName;
use crate::versions::{Istio, Versions};

pub const NAMESPACE: &str = "kong-istio";
/// Where Istio and what observes it are, in clusters that have them.
pub const MESH_NAMESPACE: &str = "istio-system";
/// Of the proxy Service, as clients see it.
pub const HTTP_PORT: u16 = 80;
pub const HTTPS_PORT: u16 = 443;
/// Of every gateway pod.
pub const ADMIN_PORT: u16 = 8001;
/// What the chart calls everything of the gateway, also its spans: under this name Kiali looks for them.
pub const GATEWAY: &str = "kong-istio-kong";
/// As in the article's `helm install`.
const RELEASE: &str = "kong-istio";
/// How long pods of a cluster may take: images may have to be fetched.
const ROLLED_OUT: Duration = Duration::from_mins(8);

/// In the order in which they are applied.
const FOLDERS: [&str; 2] = ["manifests/crds", "manifests/gateway"];

/// The gateway's Deployment.
pub fn gateway() -> ObjectName {
    name("Deployment", NAMESPACE, GATEWAY)
}

/// The Service that clients use.
pub fn proxy_service() -> ObjectName {
    name("Service", NAMESPACE, "kong-istio-kong-proxy")
}

fn name(kind: &str, namespace: &str, name: &str) -> ObjectName {
    ObjectName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Applies the gateway alone.
///
/// # Errors
/// What the API server refused.
pub async fn install(cluster: &dyn Cluster, root: &Path) -> Result<(), String> {
    for folder in FOLDERS {
        for object in manifest::read(&root.join(folder))? {
            cluster.apply(object.value()).await?;
        }
    }
    Ok(())
}

/// What a stack is put on.
pub struct Ground<'a> {
    pub run: &'a Run,
    pub caller: &'a Caller,
    pub changes: &'a Arc<Changes>,
    pub kubeconfig: &'a Path,
    /// The top of the repository.
    pub root: &'a Path,
    pub versions: &'a Versions,
    pub helm: bool,
    /// New pods get sidecars.
    pub mesh: bool,
    /// Jaeger takes spans.
    pub traced: bool,
    /// The gateway's Service has its ports at the nodes.
    pub node_ports: bool,
    /// Pods that run already have other images under the same names.
    pub refresh: bool,
}

/// Puts all of it in place. Istio is installed if it is given; a mesh that is there already is left alone.
///
/// # Errors
/// What failed, and what is still missing.
pub async fn raise(ground: &Ground<'_>, istio: Option<&Istio>) -> Result<(), String> {
    let objects = manifest::read(&ground.root.join(FOLDERS[1]))?;
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        ground.changes.apply(namespace.value()).await?;
    }
    if let Some(istio) = istio {
        istio::install(ground, istio).await?;
        addons::install(ground).await?;
    } else if ground.mesh {
        istio::injects(ground).await?;
    }
    gateway::install(ground).await
}

/// Takes back what was put in place, in the opposite order; gives what is left.
pub async fn raze(caller: &Caller, changes: &Changes, kubeconfig: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for change in changes.noted() {
        if let Change::Release { namespace, name } = change {
            left.extend(gateway::uninstall(caller, kubeconfig, &namespace, &name).await.err());
        }
    }
    if changes.noted().contains(&Change::Istio) {
        left.extend(istio::uninstall(caller, kubeconfig).await.err());
    }
    left.extend(changes.take_back().await);
    left
}

/// Waits until a Deployment is rolled out, and tells meanwhile what its pods wait for.
async fn rolled_out(ground: &Ground<'_>, name: &ObjectName) -> Result<(), String> {
    let cluster: &dyn Cluster = &**ground.changes;
    wait_for(ground.run, &name.to_string(), ROLLED_OUT, || async {
        let deployment = must_get(cluster, name).await?;
        let Err(missing) = runs(cluster, &deployment).await else { return Ok(()) };
        let why = why_not_ready(cluster, &deployment).await;
        Err(if why.is_empty() { missing } else { format!("{missing}; {why}") })
    })
    .await
}
