//! What k3d is asked. It writes progress to its standard output and failures to its standard error, both coloured even into
//! pipes; it waits forever unless told not to, and deleting is exit code 0 also when it failed.

use std::path::Path;
use std::time::Duration;

use super::maker::{CREATE, NODE_HTTP, NODE_HTTPS, Site};
use crate::process::{Call, Caller};
use crate::versions::{K3D_TOOLS, K3S, Versions};

/// Called with the user's home: Docker's contexts are there.
fn call(words: &str) -> Call {
    Call::new(&format!("k3d {words}")).at_home()
}

/// Its own version, and that of k3s it brings, such as `5.9.0` and `v1.32.5-k3s1`.
pub(super) async fn version(caller: &Caller) -> Result<(String, String), String> {
    let said = caller.done(call("version")).await.map_err(|error| {
        if error.contains("not found in PATH") {
            "k3d is not found in PATH; install it: `go install github.com/k3d-io/k3d/v5@v5.8.3`, or see https://k3d.io/stable/#installation".to_owned()
        } else {
            error
        }
    })?;
    let word = |line: &str| {
        let line = said.stdout.lines().find_map(|found| found.trim().strip_prefix(line));
        line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default().to_owned()
    };
    Ok((word("k3d version").trim_start_matches('v').to_owned(), word("k3s version")))
}

pub(super) async fn node(caller: &Caller, versions: &Versions) -> Result<String, String> {
    let (_, brought) = version(caller).await?;
    match versions.image(K3S) {
        Some(image) => Ok(image),
        // Built without knowing its versions it would ask for an image that doesn't exist.
        None if !brought.starts_with("v1.") => Err(format!(
            "k3d doesn't know which k3s to take (`{brought}`); name an image: --use {K3S}=rancher/k3s:v1.34.1-k3s1"
        )),
        None => Ok(versions.mirrored(&format!("docker.io/rancher/k3s:{brought}"))),
    }
}

pub(super) async fn tools(caller: &Caller, versions: &Versions) -> Result<String, String> {
    let (own, _) = version(caller).await?;
    Ok(versions.image(K3D_TOOLS).unwrap_or_else(|| {
        // Built without knowing its version it takes the newest.
        let tag = if own.contains('.') { own } else { "latest".to_owned() };
        versions.mirrored(&format!("ghcr.io/k3d-io/k3d-tools:{tag}"))
    }))
}

pub(super) async fn create(site: &Site<'_>, node: Option<&str>, tools: &[String]) -> Result<(), String> {
    let mut create =
        call("cluster create").arg(&site.name).args(["--servers", "1", "--agents", "0", "--no-lb"]);
    if let Some(node) = node {
        create = create.arg("--image").arg(node);
    }
    if let Some(tools) = tools.first() {
        create = create.env("K3D_IMAGE_TOOLS", tools);
    }
    create = create.args(["--api-port", "127.0.0.1:random"]);
    for port in [NODE_HTTP, NODE_HTTPS] {
        create = create.arg("--port").arg(format!("127.0.0.1::{port}@server:0:direct"));
    }
    // Ports 80 and 443 are the gateway's, whose Service gets the node's address from us.
    for part in ["traefik", "servicelb", "metrics-server"] {
        create = create.arg("--k3s-arg").arg(format!("--disable={part}@server:*"));
    }
    if site.engine.cgroup_version == "1"
        && node.is_none_or(|node| minor(node).is_none_or(|minor| minor >= 35))
    {
        create = create.arg("--k3s-arg").arg("--kubelet-arg=fail-cgroupv1=false@server:*");
    }
    create = create.arg("--runtime-label").arg(format!("limen.run={}@server:*", site.name));
    if let Some(seed) = &site.seed {
        let mount = format!("{}:/var/lib/rancher/k3s/agent/images/seed.tar@server:0", seed.display());
        create = create.arg("--volume").arg(mount);
    }
    create = create.args(["--wait", "--timeout", "300s"]);
    create = create.args(["--kubeconfig-update-default=false", "--kubeconfig-switch-context=false"]);
    site.caller.done(create.within(CREATE)).await?;
    // It writes `---` even where there is nothing to write.
    let said = site.caller.done(call("kubeconfig get").arg(&site.name)).await?;
    if !said.stdout.contains("clusters:") {
        return Err(format!(
            "k3d made cluster {} but has no kubeconfig of it: {}",
            site.name,
            said.last_words()
        ));
    }
    // The address that says all of this machine's leads nowhere in some places.
    let text = said.stdout.replace("https://0.0.0.0:", "https://127.0.0.1:");
    super::write_private(&site.kubeconfig, &text)
}

/// The 34 of `rancher/k3s:v1.34.1-k3s1`.
fn minor(image: &str) -> Option<u32> {
    image.rsplit(':').next()?.strip_prefix("v1.")?.split('.').next()?.parse().ok()
}

/// Directly into the node: by the other ways a node that fails is only mentioned.
pub(super) async fn load(site: &Site<'_>, archive: &Path) -> Result<(), String> {
    let load = call("image import").arg(archive.display().to_string());
    let load = load.args(["--cluster", &site.name, "--mode", "direct"]);
    site.caller.done(load.within(CREATE)).await.map(drop)
}

pub(super) async fn delete(site: &Site<'_>) -> Result<(), String> {
    let delete = call("cluster delete").arg(&site.name).within(Duration::from_mins(3));
    site.caller.done(delete).await.map(drop)
}
