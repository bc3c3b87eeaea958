//! What the environments in clusters need of this machine.

use std::path::Path;
use std::sync::Arc;

use super::{Finding, Section};
use crate::cli::EnvironmentName;
use crate::environment::docker::{Docker, Engine};
use crate::environment::maker::Maker;
use crate::environment::stack::istio;
use crate::process::Caller;

const GIB: u64 = 1 << 30;
/// Of a node with the whole stack.
const MEMORY: u64 = 4 * GIB;
/// Of images, twice: in Docker and in the node.
const DISK: u64 = 12 * GIB;

pub(super) async fn sections(target: &Path) -> Vec<Section> {
    let log = target.join("doctor.log");
    // The folder itself is looked at elsewhere.
    let _ = std::fs::create_dir_all(target);
    let Ok(caller) = Caller::new(&log, None, Arc::new(|_| {})) else { return Vec::new() };
    let mut sections = Vec::new();
    for (environment, maker) in [(EnvironmentName::Kind, Maker::Kind), (EnvironmentName::K3d, Maker::K3d)] {
        let (docker, engine) = docker(&caller).await;
        let mut findings = vec![docker];
        if let Some(engine) = &engine {
            findings.extend(machine(engine));
        }
        findings.extend([
            maker_itself(&caller, maker).await,
            istioctl(&caller, true).await,
            helm(),
            images(&caller, &engine).await,
        ]);
        sections.push(Section { environment, findings });
    }
    let findings = vec![context(), istioctl(&caller, false).await, helm()];
    sections.push(Section { environment: EnvironmentName::Kubeconfig, findings });
    sections
}

/// An error with what to do in it, taken apart.
fn lack(error: &str, mend: &str) -> (String, String) {
    let first = error.lines().next().unwrap_or_default();
    match first.split_once("; ") {
        Some((lack, mend)) => (lack.to_owned(), mend.to_owned()),
        None => (first.to_owned(), mend.to_owned()),
    }
}

async fn docker(caller: &Caller) -> (Finding, Option<Engine>) {
    let asked = Docker(caller).engine().await;
    let state =
        asked.as_ref().map(|engine| format!("engine {}, {}", engine.server_version, engine.platform()));
    let state = state.map_err(|error| lack(error, "sudo systemctl start docker"));
    (Finding { name: "docker", needed: true, state, for_what: "nodes are containers" }, asked.ok())
}

/// What nodes ask of the machine under Docker.
fn machine(engine: &Engine) -> Vec<Finding> {
    let memory = if engine.memory < MEMORY {
        Err((
            format!("Docker has {:.1} GiB of memory", engine.memory as f64 / GIB as f64),
            "give it 4 GiB, or leave out the mesh: --no-mesh".to_owned(),
        ))
    } else {
        Ok(format!("{:.1} GiB, {} processors", engine.memory as f64 / GIB as f64, engine.cpus))
    };
    let cgroups = match engine.cgroup_version.as_str() {
        "1" => Err((
            "this machine has the first version of cgroups: nodes up to Kubernetes 1.34 start on it, and are taken".to_owned(),
            "boot with systemd.unified_cgroup_hierarchy=1, for newer ones".to_owned(),
        )),
        other => Ok(format!("version {other}")),
    };
    let mut findings = vec![
        Finding { name: "memory", needed: false, state: memory, for_what: "a node with the whole mesh" },
        Finding {
            name: "cgroups",
            needed: false,
            state: cgroups,
            for_what: "nodes of Kubernetes 1.35 and newer",
        },
        Finding {
            name: "inotify",
            needed: false,
            state: inotify(),
            for_what: "nodes start, and several of them",
        },
    ];
    if let Some(state) = disk(Path::new(&engine.docker_root_dir)) {
        findings.push(Finding {
            name: "disk",
            needed: false,
            state,
            for_what: "images, in Docker and in nodes",
        });
    }
    findings
}

fn inotify() -> Result<String, (String, String)> {
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    match (read("max_user_instances"), read("max_user_watches")) {
        (Some(instances), Some(watches)) if instances < 512 || watches < 65_536 => Err((
            format!("{instances} inotify instances and {watches} watches are allowed"),
            "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288".to_owned(),
        )),
        (Some(instances), Some(watches)) => Ok(format!("{instances} instances, {watches} watches")),
        _ => Ok("not known on this system".to_owned()),
    }
}

/// Nothing where Docker's folder can't be seen from here.
fn disk(folder: &Path) -> Option<Result<String, (String, String)>> {
    let stat = nix::sys::statvfs::statvfs(folder).ok()?;
    #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "narrower on other systems"))]
    let free = u64::from(stat.blocks_available()) * u64::from(stat.fragment_size());
    let told = format!("{:.0} GiB are free in {}", free as f64 / GIB as f64, folder.display());
    Some(if free < DISK { Err((told, "docker system prune".to_owned())) } else { Ok(told) })
}

async fn maker_itself(caller: &Caller, maker: Maker) -> Finding {
    let state = maker.version(caller).await.map_err(|error| lack(&error, "install it anew"));
    Finding { name: maker.name(), needed: true, state, for_what: "making the cluster" }
}

async fn istioctl(caller: &Caller, needed: bool) -> Finding {
    let state = istio::version(caller).await.map_err(|error| lack(&error, "install it anew"));
    Finding { name: "istioctl", needed, state, for_what: "the mesh; without one: --no-mesh" }
}

fn helm() -> Finding {
    let state = which::which("helm").map(|path| path.display().to_string()).map_err(|_| {
        let mend = "see https://helm.sh/docs/intro/install".to_owned();
        ("not found; manifests/gateway is taken instead of the chart".to_owned(), mend)
    });
    Finding { name: "helm", needed: false, state, for_what: "installing the gateway by its chart" }
}

async fn images(caller: &Caller, engine: &Option<Engine>) -> Finding {
    let name = crate::environment::images::gateway_name();
    let made = engine.is_some() && Docker(caller).has(&name).await.unwrap_or(false);
    let cargo = std::env::var_os("CARGO").is_some() || which::which("cargo").is_ok();
    let state = match (cargo, made) {
        (true, _) => Ok("cargo makes the gateway's and the echo's".to_owned()),
        (false, true) => Ok(format!("{name} is in Docker")),
        (false, false) => Err((
            format!("there is no cargo, and {name} is not in Docker"),
            "install Rust (https://rustup.rs), or load an archive: --bundle FILE".to_owned(),
        )),
    };
    Finding { name: "our images", needed: true, state, for_what: "the gateway and the echo service" }
}

fn context() -> Finding {
    let state = match kube::config::Kubeconfig::read() {
        Ok(config) if config.contexts.is_empty() => {
            Err(("your kubeconfig has no contexts".to_owned(), "name another file in KUBECONFIG".to_owned()))
        }
        Ok(config) => {
            let names: Vec<&str> = config.contexts.iter().map(|context| context.name.as_str()).collect();
            Ok(format!("contexts {}", names.join(", ")))
        }
        Err(error) => Err((
            format!("there is no kubeconfig: {error}"),
            "name a file in KUBECONFIG, or make a cluster: --env kind".to_owned(),
        )),
    };
    Finding { name: "kubeconfig", needed: true, state, for_what: "a cluster of yours" }
}
