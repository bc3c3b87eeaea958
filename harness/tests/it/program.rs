//! The program itself: exit codes and last words, for what can be asked without an environment.

use std::path::Path;
use std::process::{Command, Output};

/// A folder that looks like the repository.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("scenarios")).unwrap();
    std::fs::create_dir_all(folder.path().join("manifests")).unwrap();
    folder
}

fn harness(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target"));
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn expect(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let output = harness(folder, arguments);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    for word in words {
        assert!(told.contains(word), "{arguments:?}: no `{word}` in {told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}

const GOOD: &str = "format: scenario/v1\ntitle: Good\ntags: [first]\nsteps: [{request: GET /}]\n";

#[test]
fn wrong_usage_is_2() {
    let folder = repository();
    let path = folder.path();
    std::fs::write(path.join("scenarios/good.yaml"), GOOD).unwrap();
    expect(path, &["scenarios", "--env", "nowhere"], 2, &["possible values: local, kind, k3d, kubeconfig"]);
    expect(path, &["scenarios", "god"], 2, &["there is no scenario `god`; did you mean `good`?"]);
    expect(path, &["scenarios", "--report", "pdf=x"], 2, &["junit=FILE"]);
    expect(
        path,
        &["scenarios", "--report", "html=none/x.html"],
        2,
        &["failed to write the report none/x.html"],
    );
    expect(path, &["report", "none.jsonl"], 2, &["failed to read none.jsonl"]);
    expect(path, &["traffic", "nonsense here"], 2, &["is no request"]);
    expect(path, &["traffic", "--to", "nowhere"], 2, &["expected an address with a port"]);
    expect(path, &["apply", "-f", "none.yaml"], 2, &["failed to read none.yaml"]);
    expect(path, &["scenarios", "--jaeger", "https://jaeger"], 2, &["`https://jaeger` is HTTPS"]);
    expect(path, &["scenarios", "--otlp", "http://127.0.0.1:4318"], 2, &["--jaeger <URL>"]);
    expect(path, &[], 2, &["Usage"]);
}

#[test]
fn a_bad_scenario_file_is_2_before_anything_starts() {
    let folder = repository();
    let path = folder.path();
    std::fs::write(path.join("scenarios/good.yaml"), GOOD).unwrap();
    std::fs::write(path.join("scenarios/bad.yaml"), GOOD.replace("request:", "reqest:")).unwrap();
    let words = ["unknown field `reqest`", "scenarios/bad.yaml:4:10", "did you mean `request`?", "^^^^^^"];
    expect(path, &["scenarios"], 2, &words);
    expect(path, &["validate"], 2, &words);
    expect(path, &["validate", "scenarios/bad.yaml"], 2, &words);
    expect(path, &["validate", "scenarios/good.yaml"], 0, &["1 scenario files are fine"]);
    expect(path, &["scenarios", "--list", "good"], 0, &["good  Good  [first]"]);
    expect(path, &["scenarios", "--list", "first"], 0, &["good  Good"]);
    std::fs::write(path.join("scenarios/bad.yaml"), b"title: \xff\n").unwrap();
    expect(path, &["validate"], 2, &["this is not UTF-8", "scenarios/bad.yaml:1:8"]);
    std::fs::write(
        path.join("scenarios/bad.yaml"),
        GOOD.replace("{request: GET /}", "{apply: manifests/x.yaml}"),
    )
    .unwrap();
    expect(path, &["validate"], 2, &["failed to read", "manifests/x.yaml"]);
}

#[test]
fn without_an_environment_up_it_says_how_to_start_one() {
    let folder = repository();
    expect(folder.path(), &["down"], 0, &["no environment is up"]);
    expect(folder.path(), &["traffic"], 3, &["harness up"]);
    expect(folder.path(), &["watch"], 3, &["harness up"]);
    let manifest = folder.path().join("manifests/a.yaml");
    std::fs::write(manifest, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
    expect(folder.path(), &["apply", "-f", "manifests/a.yaml"], 3, &["harness up"]);
}

#[test]
fn the_schema_is_json_and_knows_the_fields() {
    let folder = repository();
    let output = harness(folder.path(), &["validate", "--schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.pointer("/properties/steps").is_some());
    assert!(schema.pointer("/$defs/StepDocument/properties/request").is_some());
    assert_eq!(schema.pointer("/$defs/StepDocument/additionalProperties"), Some(&false.into()));
}

#[test]
fn load_on_a_port_where_nobody_listens_fails_with_the_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let folder = repository();
    let arguments = ["traffic", "--to", &address, "--rate", "20", "--duration", "200ms"];
    expect(folder.path(), &arguments, 1, &["failed to connect", "unanswered"]);
}

#[test]
fn interrupted_load_ends_with_130_and_its_summary() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let folder = repository();
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command
        .args(["traffic", "--to", &address, "--duration", "1h", "--clients", "1"])
        .current_dir(folder.path());
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    // It is under way when it knocks.
    drop(listener.accept().unwrap());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(told(&output).contains("requests in"), "{}", told(&output));
}
