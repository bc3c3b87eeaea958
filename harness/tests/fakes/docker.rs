//! Docker's command line: images are lines of a file, containers the nodes of the clusters that are there.

use std::io::Read as _;
use std::process::ExitCode;

use harness::cluster::Cluster;
use harness::cluster::kubernetes::Kubernetes;
use harness::versions::full_name;
use serde_json::{Value, json};

use crate::state::{State, Words, add, lines, recorded, refused};

pub(crate) async fn docker(state: &State, words: &Words) -> ExitCode {
    for fault in ["docker: no daemon", "docker: permission denied"] {
        if state.fault(fault) {
            return recorded(fault, "");
        }
    }
    let said = match words.0.iter().map(String::as_str).take(2).collect::<Vec<_>>()[..] {
        ["info", _] => {
            let cgroups = if state.fault("docker: first cgroups") { "1" } else { "2" };
            json!({"ServerVersion": "28.5.2", "CgroupVersion": cgroups, "Architecture": "x86_64", "NCPU": 2, "MemTotal": 8_000_000_000_u64, "DockerRootDir": "/none"}).to_string()
        }
        ["image", "inspect"] => {
            let image = full_name(words.last());
            if !state.lines("images").iter().any(|line| full_name(line) == image) {
                return refused(&format!("Error response from daemon: No such image: {image}"));
            }
            "sha256:0".to_owned()
        }
        ["pull", _] => {
            if state.fault("docker: no registry") {
                return refused(
                    "Error response from daemon: Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: connection refused",
                );
            }
            state.add("images", words.last());
            words.last().to_owned()
        }
        ["build" | "tag", _] => {
            state.add("images", words.flag("--tag").unwrap_or_else(|| words.last()));
            String::new()
        }
        ["image", "save"] => {
            if words.has("--platform") && state.fault("docker: old") {
                return refused("unknown flag: --platform");
            }
            let at = words.0.iter().position(|word| word == "--output").unwrap();
            std::fs::write(&words.0[at + 1], words.0[at + 2..].join("\n")).unwrap();
            String::new()
        }
        ["image", "load"] => {
            for image in lines(words.flag("--input").unwrap().as_ref()) {
                state.add("images", &image);
            }
            String::new()
        }
        ["image", "ls"] => {
            let pattern = words
                .flag("--filter")
                .unwrap()
                .trim_start_matches("reference=")
                .trim_end_matches('*')
                .to_owned();
            let fits = |line: &String| full_name(line).trim_start_matches("docker.io/").starts_with(&pattern);
            state.lines("images").into_iter().filter(fits).collect::<Vec<_>>().join("\n")
        }
        ["port", container] => {
            let Some(node) = state.node(container) else {
                return refused(&format!("Error: No such container: {container}"));
            };
            let file = if words.last() == "30080/tcp" { "http" } else { "https" };
            lines(&node.join(file)).join("\n")
        }
        ["exec", _] => return exec(state, words).await,
        ["ps", "--all"] => ps(state, words),
        ["network" | "volume", "ls"] => {
            let beginning = words.last().trim_start_matches("name=");
            let stray = state.lines(&format!("stray-{}", words.0[0]));
            stray.into_iter().filter(|name| name.starts_with(beginning)).collect::<Vec<_>>().join("\n")
        }
        ["network" | "volume", "rm"] => {
            let file = format!("stray-{}", words.0[0]);
            let left: Vec<String> =
                state.lines(&file).into_iter().filter(|name| name != words.last()).collect();
            state.set(&file, &left);
            words.last().to_owned()
        }
        ["container", "rm"] => {
            let Some(node) = state.node(words.last()) else {
                return refused(&format!("Error: No such container: {}", words.last()));
            };
            crate::keeper::end(&node).await;
            words.last().to_owned()
        }
        _ => panic!("docker {:?}", words.0),
    };
    println!("{said}");
    ExitCode::SUCCESS
}

/// Containers by a label, or the label's values.
fn ps(state: &State, words: &Words) -> String {
    let filter = words.flag("--filter").unwrap().trim_start_matches("label=").to_owned();
    let (label, name) = filter.split_once('=').unwrap_or((&filter, ""));
    let maker = if label == "k3d.cluster" { "k3d" } else { "kind" };
    let names = state.clusters(maker).into_iter().filter(|cluster| name.is_empty() || cluster == name);
    let shown = |cluster: String| match words.flag("--format") {
        Some("{{.Names}}") if maker == "kind" => format!("{cluster}-control-plane"),
        Some("{{.Names}}") => format!("k3d-{cluster}-server-0"),
        _ => cluster,
    };
    names.map(shown).collect::<Vec<_>>().join("\n")
}

async fn exec(state: &State, words: &Words) -> ExitCode {
    let at = if words.0[1] == "--interactive" { 2 } else { 1 };
    let Some(node) = state.node(&words.0[at]) else {
        return refused(&format!("Error response from daemon: No such container: {}", words.0[at]));
    };
    let said = match words.0[at + 1..].iter().map(String::as_str).take(2).collect::<Vec<_>>()[..] {
        ["crictl", "images"] => {
            let images =
                lines(&node.join("images")).into_iter().map(|name| json!({"repoTags": [full_name(&name)]}));
            json!({"images": images.collect::<Vec<_>>()}).to_string()
        }
        ["crictl", "ps"] => {
            let labels: Vec<&str> =
                words.0.iter().filter_map(|word| word.strip_prefix("io.kubernetes.pod.")).collect();
            let of =
                |name: &str| labels.iter().find_map(|label| label.strip_prefix(name)).unwrap().to_owned();
            let cluster = Kubernetes::open(&node.join("kubeconfig")).await.unwrap();
            let name = harness::scenario::values::ObjectName {
                kind: "Pod".to_owned(),
                namespace: of("namespace="),
                name: of("name="),
            };
            let pod = cluster.get(&name).await.unwrap().unwrap_or_default();
            let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
            let containers: Vec<Value> = statuses.iter().map(|status| {
                json!({"id": status["containerID"].as_str().unwrap_or_default().trim_start_matches("process://"), "labels": {"io.kubernetes.container.name": status["name"]}})
            }).collect();
            json!({"containers": containers}).to_string()
        }
        ["crictl", "stop"] => {
            for id in &words.0[at + 5..] {
                let group = nix::unistd::Pid::from_raw(id.parse().unwrap());
                nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
            String::new()
        }
        ["ctr", _] => {
            let mut archive = String::new();
            std::io::stdin().read_to_string(&mut archive).unwrap();
            let images: Vec<String> = archive.lines().map(str::to_owned).collect();
            add(&node.join("images"), &images);
            String::new()
        }
        _ => panic!("docker {:?}", words.0),
    };
    println!("{said}");
    ExitCode::SUCCESS
}
