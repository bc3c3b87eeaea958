//! What kind is asked. It says everything to people on its standard error, and with `-q` hides errors as well; a `--wait`
//! that runs out is exit code 0.

use super::docker::Engine;
use super::maker::{CREATE, NODE_HTTP, NODE_HTTPS, Site};
use crate::process::{Call, Caller};
use crate::versions::{KIND_NODE, KIND_NODE_FOR_CGROUP_1, Versions, kind_node};
use std::path::Path;
use std::time::Duration;

/// Called with the user's home: Docker's contexts are there.
fn call(words: &str) -> Call {
    Call::new(&format!("kind {words}")).at_home()
}

pub(super) async fn version(caller: &Caller) -> Result<String, String> {
    let said = caller.done(call("version --quiet")).await.map_err(|error| {
        if error.contains("not found in PATH") {
            "kind is not found in PATH; install it: `go install sigs.k8s.io/kind@v0.31.0`, or see https://kind.sigs.k8s.io/docs/user/quick-start/#installation".to_owned()
        } else {
            error
        }
    })?;
    Ok(said.stdout.trim().trim_start_matches('v').to_owned())
}

pub(super) async fn node(
    caller: &Caller,
    engine: &Engine,
    versions: &Versions,
) -> Result<Option<String>, String> {
    let version = version(caller).await?;
    if let Some(named) = versions.image(KIND_NODE) {
        return Ok(Some(named));
    }
    let brought = kind_node(&version);
    if engine.cgroup_version == "1"
        && brought.is_none_or(|image| minor(image) > minor(KIND_NODE_FOR_CGROUP_1))
    {
        caller.tell(format!(
            "this machine has the first version of cgroups, so the node is {KIND_NODE_FOR_CGROUP_1}, the newest that starts here"
        ));
        return Ok(Some(versions.mirrored(KIND_NODE_FOR_CGROUP_1)));
    }
    Ok(brought.map(|image| versions.mirrored(image)))
}

/// The 34 of `kindest/node:v1.34.0`; nothing for a name that says none.
fn minor(image: &str) -> Option<u32> {
    let tag = image.split('@').next()?.rsplit(':').next()?;
    tag.strip_prefix("v1.")?.split('.').next()?.parse().ok()
}

pub(super) async fn create(site: &Site<'_>, node: Option<&str>) -> Result<(), String> {
    let file = site.folder.join("kind.yaml");
    let text = config(site.engine, node, &site.name);
    std::fs::write(&file, text).map_err(|error| format!("failed to write {}: {error}", file.display()))?;
    let mut create = call("create cluster --name").arg(&site.name);
    create = create.arg("--config").arg(file.display().to_string());
    if let Some(node) = node {
        create = create.arg("--image").arg(node);
    }
    // Nodes that don't start are kept, so that their logs can be had.
    create = create.args(["--wait", "180s", "--retain", "--kubeconfig"]);
    let create = create.arg(site.kubeconfig.display().to_string()).within(CREATE);
    site.caller.done(create).await.map(drop).map_err(|error| {
        let hint = if error.contains("could not find a log line") || error.contains("kubelet is not healthy") {
            "\nnodes often fail like this for want of inotify instances: sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"
        } else if error.contains("unable to apply caps") {
            "\nDocker may not run privileged containers here, which kind needs; `--env local` needs none"
        } else {
            ""
        };
        format!("{error}{hint}")
    })
}

/// One node, with the gateway's ports on ports of this machine that Docker chooses.
fn config(engine: &Engine, node: Option<&str>, name: &str) -> String {
    let port = |port: u16| {
        format!("  - {{containerPort: {port}, hostPort: -1, listenAddress: 127.0.0.1, protocol: TCP}}\n")
    };
    let mut text = format!(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking:\n  apiServerAddress: 127.0.0.1\nnodes:\n- role: control-plane\n  labels: {{limen/run: {name}}}\n  extraPortMappings:\n{}{}",
        port(NODE_HTTP),
        port(NODE_HTTPS)
    );
    // Kubelets of this age refuse to start on the first version of cgroups unless told otherwise; older ones don't
    // know the word.
    if engine.cgroup_version == "1" && node.and_then(minor).is_none_or(|minor| minor >= 35) {
        text.push_str("  kubeadmConfigPatches:\n  - |\n    kind: KubeletConfiguration\n    apiVersion: kubelet.config.k8s.io/v1beta1\n    failCgroupV1: false\n");
    }
    text
}

/// For whoever looks into a failure; there may be none.
pub(super) async fn export_logs(site: &Site<'_>) {
    let folder = site.folder.join("node-logs");
    let export = call("export logs").arg(folder.display().to_string()).arg("--name").arg(&site.name);
    if site.caller.done(export.within(Duration::from_mins(2))).await.is_ok() {
        site.caller.tell(format!("the node's logs are in {}", folder.display()));
    }
}

pub(super) async fn load(site: &Site<'_>, archive: &Path) -> Result<(), String> {
    let load = call("load image-archive").arg(archive.display().to_string()).arg("--name").arg(&site.name);
    site.caller.done(load.within(CREATE)).await.map(drop)
}

pub(super) async fn delete(site: &Site<'_>) -> Result<(), String> {
    let delete = call("delete cluster --name").arg(&site.name).arg("--kubeconfig");
    let delete = delete.arg(site.kubeconfig.display().to_string()).within(Duration::from_mins(3));
    site.caller.done(delete).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_kubelets_on_old_cgroups_are_told_to_start() {
        let engine = |version: &str| Engine { cgroup_version: version.to_owned(), ..Engine::default() };
        let told =
            |cgroups: &str, node: Option<&str>| config(&engine(cgroups), node, "x").contains("failCgroupV1");
        assert!(told("1", Some("kindest/node:v1.35.0")) && told("1", None));
        assert!(!told("1", Some("m.example/kindest/node:v1.34.0@sha256:0")));
        assert!(!told("2", Some("kindest/node:v1.36.1")));
    }
}
