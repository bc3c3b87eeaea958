//! The node as an object: what it has, that it is well, and the Lease that says so every few seconds.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::failure::Failure;
use crate::kinds::{self, stamp};
use crate::objects::{Objects, Part};

/// As the kubelet does.
const PERIOD: Duration = Duration::from_secs(10);
const LEASE_SECONDS: u64 = 40;
const LEASES: &str = "kube-node-lease";
const MOST_PODS: u32 = 110;

/// CPUs of this machine.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes of memory of this machine; 4 GiB where it doesn't say.
pub(super) fn memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    let line = told.as_deref().and_then(|text| text.lines().find(|line| line.starts_with("MemTotal:")));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.map_or(4 << 30, |kilobytes| kilobytes * 1024)
}

/// Creates the node, ready.
pub(super) fn register(objects: &Objects, name: &str, address: Ipv4Addr) -> Result<(), Failure> {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/arch": arch(), "kubernetes.io/os": std::env::consts::OS, "kubernetes.io/hostname": name,
            "node-role.kubernetes.io/control-plane": "",
        }},
        "spec": {},
    });
    match objects.create(&kinds::nodes(), node) {
        Err(failure) if failure.reason != "AlreadyExists" => return Err(failure),
        _ => {}
    }
    let resources = json!({"cpu": cores().to_string(), "memory": format!("{}Ki", memory() / 1024), "pods": MOST_PODS.to_string()});
    let now = stamp(Timestamp::now());
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    objects.modify(&kinds::nodes(), "", name, Part::Status, |node| {
        node["status"] = json!({
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address.to_string()}, {"type": "Hostname", "address": name}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "pods run as local processes"),
            ],
            "nodeInfo": {
                "architecture": arch(), "operatingSystem": std::env::consts::OS,
                "kubeletVersion": concat!("v1.33.0-local-cluster-", env!("CARGO_PKG_VERSION")), "kubeProxyVersion": "",
                "containerRuntimeVersion": concat!("process://", env!("CARGO_PKG_VERSION")),
                "bootID": "", "kernelVersion": "", "machineID": "", "osImage": "this machine", "systemUUID": "",
            },
        });
    })?;
    Ok(())
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Renews the Lease and the times of the node's conditions until dropped.
pub(super) async fn run(objects: Objects, name: String) {
    let mut beats = interval(PERIOD);
    loop {
        beats.tick().await;
        if let Err(failure) = renew(&objects, &name) {
            tracing::debug!("failed to renew the lease of node {name}: {failure}");
        }
        let now = json!(stamp(Timestamp::now()));
        let _ = objects.modify(&kinds::nodes(), "", &name, Part::Status, |node| {
            for condition in node["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastHeartbeatTime"] = now.clone();
            }
        });
    }
}

fn renew(objects: &Objects, name: &str) -> Result<(), Failure> {
    let now: Value = json!(format!("{:.6}", Timestamp::now()));
    let renewed = objects.modify(&kinds::leases(), LEASES, name, Part::AllButStatus, |lease| {
        lease["spec"]["renewTime"] = now.clone();
    });
    match renewed {
        Err(failure) if failure.code == 404 => {
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": name, "namespace": LEASES},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now},
            });
            objects.create(&kinds::leases(), lease).map(drop)
        }
        renewed => renewed.map(drop),
    }
}
