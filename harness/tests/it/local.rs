//! The program with the environment `local`: the real gateway and echo service, as users have it. Skipped with a
//! word where these are not built.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::expect::eventually::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A target folder of its own; nothing when the programs are missing.
fn target() -> Option<tempfile::TempDir> {
    let own = Path::new(env!("CARGO_BIN_EXE_harness"));
    if ["gateway", "echo-service"].iter().all(|name| own.with_file_name(name).is_file()) {
        return Some(tempfile::tempdir().unwrap());
    }
    eprintln!(
        "skipped: gateway and echo-service are not built; cargo build -p gateway -p echo-service makes them"
    );
    None
}

fn command(target: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    // Without cargo's own variable the programs are taken as they are.
    command.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", target).env_remove("CARGO");
    command
}

fn harness(target: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(target, arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout) + &text(&stderr))
}

/// Processes whose working folder is below `target`: every pod has one there.
fn leftovers(target: &Path) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let below = |process: &std::fs::DirEntry| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder.starts_with(target))
    };
    let left = processes.filter_map(Result::ok).filter(below);
    left.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

async fn nothing_runs(target: &Path) {
    let ended = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
        let left = leftovers(target);
        if left.is_empty() { Ok(()) } else { Err(format!("processes {left:?} still run")) }
    });
    ended.await.unwrap();
}

/// Names of what is in a folder; nothing when there is no folder.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect()
}

#[test]
fn a_scenario_passes_and_leaves_nothing() {
    let Some(target) = target() else { return };
    let (code, told) =
        harness(target.path(), &["scenarios", "article/routing", "--report", "json=/dev/null"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 passed of 1 scenarios"), "{told}");
    assert_eq!(entries(&target.path().join("harness/runs")), [""; 0]);
    assert_eq!(leftovers(target.path()), [""; 0]);
}

#[test]
fn scenarios_of_the_mesh_run_as_far_as_a_machine_without_one_goes() {
    let Some(target) = target() else { return };
    let (code, told) = harness(target.path(), &["scenarios", "mesh"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 passed, 3 unsupported of 5 scenarios"), "{told}");
    assert!(told.contains("needs mesh: a cluster with Istio") && told.contains("needs kiali: "), "{told}");
    assert_eq!(leftovers(target.path()), [""; 0]);
}

#[test]
fn a_jaeger_of_ones_own_is_asked_instead() {
    let Some(target) = target() else { return };
    let file = target.path().join("links.yaml");
    let text = "format: scenario/v1\ntitle: Links\nrequires: [jaeger]\nsteps:\n- dependencies: {parent: a, child: b}\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (code, told) = harness(target.path(), &["scenarios", file]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("got: 0; no service calls another"), "{told}");
    let (code, told) = harness(target.path(), &["scenarios", file, "--jaeger", "http://127.0.0.1:9"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("Jaeger at http://127.0.0.1:9: failed to connect"), "{told}");
    assert_eq!(leftovers(target.path()), [""; 0]);
}

#[test]
fn a_failure_leaves_its_evidence_without_secrets() {
    let Some(target) = target() else { return };
    let file = target.path().join("wrong.yaml");
    let text = "format: scenario/v1\ntitle: Wrong\nsteps:\n- apply: manifests/article/echo-service.yaml\n- apply:\n    objects:\n    - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: echo}, stringData: {key: very-secret-word}}\n- request: {path: /nowhere, headers: {Authorization: Bearer very-secret-word}}\n  expect: {status: 200}\n";
    std::fs::write(&file, text).unwrap();
    let (code, told) = harness(target.path(), &["scenarios", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("expected: status 200") && told.contains("got: status 404"), "{told}");
    let evidence = told.lines().find_map(|line| line.trim().strip_prefix("evidence: ")).unwrap();
    let names = entries(Path::new(evidence));
    for wanted in ["objects.json", "events.txt", "replies.txt"] {
        assert!(names.iter().any(|name| name == wanted), "no {wanted} in {names:?}");
    }
    assert!(
        names.iter().any(|name| name.starts_with("kong-istio-") && name.ends_with("-proxy.log")),
        "{names:?}"
    );
    assert!(names.iter().any(|name| name.ends_with("-status.json")), "{names:?}");
    for name in &names {
        let text = std::fs::read_to_string(Path::new(evidence).join(name)).unwrap_or_default();
        assert!(!text.contains("very-secret-word") && !text.contains("dmVyeS1zZWNyZXQ"), "{name}: {text}");
    }
    assert_eq!(leftovers(target.path()), [""; 0]);
}

#[tokio::test]
async fn an_interrupted_run_is_130_and_leaves_nothing() {
    let Some(target) = target() else { return };
    let mut child = command(target.path(), &["scenarios", "article"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("scenarios in the environment local"));
    let begun = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
        if leftovers(target.path()).is_empty() { Err("no pod runs yet".to_owned()) } else { Ok(()) }
    });
    begun.await.unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("interrupted")), "{rest:?}");
    assert_eq!(leftovers(target.path()), [""; 0]);
    assert_eq!(entries(&target.path().join("harness/runs")), [""; 0]);
}

#[tokio::test]
async fn a_killed_run_leaves_no_process() {
    let Some(target) = target() else { return };
    let mut child = command(target.path(), &["scenarios", "article"]).stdout(Stdio::null()).spawn().unwrap();
    let begun = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
        if leftovers(target.path()).is_empty() { Err("no pod runs yet".to_owned()) } else { Ok(()) }
    });
    begun.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_runs(target.path()).await;
}

#[tokio::test]
async fn up_stays_until_down() {
    let Some(target) = target() else { return };
    let target = target.path();
    let (code, told) = harness(target, &["up"]);
    assert_eq!(code, Some(0), "{told}");
    for word in
        ["gateway", "kubeconfig", "kubectl apply -f manifests/article/echo-service.yaml", "harness down"]
    {
        assert!(told.contains(word), "no {word} in {told}");
    }
    let (code, told) = harness(target, &["up"]);
    assert!(code == Some(0) && told.contains("an environment is up already"), "{told}");
    let (code, told) = harness(
        target,
        &["apply", "-f", "manifests/article/echo-service.yaml", "-f", "manifests/article/ingress.yaml"],
    );
    assert!(code == Some(0) && told.contains("served as generation"), "{told}");
    let (code, told) =
        harness(target, &["traffic", "GET /", "GET /v2", "--duration", "300ms", "--statuses", "200"]);
    assert!(code == Some(0) && told.contains("0 failed"), "{told}");
    let bad = target.join("bad.yaml");
    let text = "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: p, namespace: echo}\nplugin: rate-limitting\n";
    std::fs::write(&bad, text).unwrap();
    let (code, told) = harness(target, &["apply", "-f", bad.to_str().unwrap()]);
    assert!(code == Some(1) && told.contains("rate-limitting"), "{told}");
    let (code, told) = harness(target, &["down"]);
    assert!(code == Some(0) && told.contains("the environment is down"), "{told}");
    nothing_runs(target).await;
    assert_eq!(entries(&target.join("harness/runs")), [""; 0]);
    let (code, told) = harness(target, &["down"]);
    assert!(code == Some(0) && told.contains("no environment is up"), "{told}");
}
