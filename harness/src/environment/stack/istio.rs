//! Istio's control plane, by istioctl; where the cluster has one already, that is used as it is. It is ready when it puts
//! sidecars into pods, whatever istioctl says.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Ground, MESH_NAMESPACE, NAMESPACE, name, rolled_out};
use crate::cluster::Cluster;
use crate::cluster::changes::Change;
use crate::cluster::facts::{runs, why_not_ready};
use crate::environment::progress::wait_for;
use crate::manifest;
use crate::process::{Call, Caller};
use crate::versions::{Istio, Versions};

/// How long istioctl may wait for the control plane.
const READY: &str = "8m";
const INSTALL: Duration = Duration::from_mins(10);
const ANSWERS: Duration = Duration::from_mins(3);

/// The version of istioctl, such as `1.30.3`.
///
/// # Errors
/// It is not there, and how to get it.
pub async fn version(caller: &Caller) -> Result<String, String> {
    // Without the first flag it would look for a cluster, and for ever.
    let said = caller.done(Call::new("istioctl version --remote=false --output json")).await.map_err(|error| {
        if error.contains("not found in PATH") {
            "istioctl is not found in PATH; install it (https://istio.io/latest/docs/setup/additional-setup/download-istio-release: `curl -L https://istio.io/downloadIstio | sh -`, then put its bin folder into PATH), or go without a mesh: `--no-mesh`".to_owned()
        } else {
            error
        }
    })?;
    let answer: Value = serde_json::from_str(said.stdout.trim()).unwrap_or_default();
    let version = answer.pointer("/clientVersion/version").and_then(Value::as_str);
    version.map(str::to_owned).ok_or_else(|| format!("istioctl names no version: {}", said.last_words()))
}

/// Where its images come from.
///
/// # Errors
/// That is not known of this version.
pub async fn images(caller: &Caller, versions: &Versions) -> Result<Istio, String> {
    let version = version(caller).await?;
    versions.istio(&version).ok_or_else(|| {
        format!("istioctl {version} is no release, and which images fit it is not known; name them: --use istio=docker.io/istio:1.29.0")
    })
}

/// Whether the cluster has a control plane.
///
/// # Errors
/// It doesn't answer.
pub async fn is_there(cluster: &dyn Cluster) -> Result<bool, String> {
    let deployments = cluster.list("Deployment", MESH_NAMESPACE, "app=istiod").await?;
    Ok(!deployments.is_empty())
}

pub(super) async fn install(ground: &Ground<'_>, istio: &Istio) -> Result<(), String> {
    let (run, changes) = (ground.run, ground.changes);
    run.tell(format!("Istio {}", istio.tag));
    // istioctl makes the namespace, and leaves it.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MESH_NAMESPACE}});
    changes.apply(&namespace).await?;
    changes.note(Change::Istio)?;
    let file = ground.root.join("manifests/istio/minimal.yaml");
    let mut install = Call::new("istioctl install -y --readiness-timeout").arg(READY);
    install = install.arg("--filename").arg(file.display().to_string());
    if !istio.brought {
        install = install.arg("--set").arg(format!("hub={}", istio.hub));
        install = install.arg("--set").arg(format!("tag={}", istio.tag));
    }
    install = to(install, ground.kubeconfig).within(INSTALL);
    if let Err(error) = ground.caller.done(install).await {
        // In some versions it doesn't say what was not ready.
        let deployment = changes.get(&name("Deployment", MESH_NAMESPACE, "istiod")).await.ok().flatten();
        let name = name("Deployment", MESH_NAMESPACE, "istiod");
        let why = match &deployment {
            Some(deployment) => {
                let missing = runs(&**changes, deployment).await.err().unwrap_or_default();
                format!("{name}: {missing}; {}", why_not_ready(&**changes, deployment).await)
            }
            None => format!("{name} is not there"),
        };
        return Err(format!("{error}\n{why}"));
    }
    rolled_out(ground, &name("Deployment", MESH_NAMESPACE, "istiod")).await?;
    injects(ground).await?;
    for object in manifest::read(&ground.root.join("manifests/istio/tracing.yaml"))? {
        // It is asked about, and may not listen yet.
        wait_for(run, &object.name().to_string(), ANSWERS, || async {
            changes.apply(object.value()).await.map(drop)
        })
        .await?;
    }
    Ok(())
}

/// Waits until a pod that would be made now would get a sidecar.
pub(super) async fn injects(ground: &Ground<'_>) -> Result<(), String> {
    let cluster = ground.changes.cluster();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "would-be", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "nothing", "image": "nothing"}]},
    });
    wait_for(ground.run, "the sidecar of a new pod", ANSWERS, || async {
        let would_be = cluster.try_out(&pod).await?;
        if has_sidecar(&would_be) { Ok(()) } else { Err("the injector adds none".to_owned()) }
    })
    .await
}

/// New clusters have it among the init containers.
pub(super) fn has_sidecar(pod: &Value) -> bool {
    let lists = ["/spec/containers", "/spec/initContainers"];
    let containers = lists.iter().filter_map(|list| pod.pointer(list)?.as_array()).flatten();
    containers.into_iter().any(|container| container["name"] == "istio-proxy")
}

pub(super) async fn uninstall(caller: &Caller, kubeconfig: &Path) -> Result<(), String> {
    let uninstall = Call::new("istioctl uninstall --purge -y").within(INSTALL);
    caller.done(to(uninstall, kubeconfig)).await.map(drop)
}

fn to(call: Call, kubeconfig: &Path) -> Call {
    call.arg("--kubeconfig").arg(kubeconfig.display().to_string())
}
