//! The Helm chart and what is made from it, held against the program: flags that exist, rights that are needed, and
//! values that do something. What needs helm says so where it isn't.

mod rendering;
mod rights;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory, Parser};
use gateway::args::{Cli, Command as Asked};
use gateway::objects::{Kind, yaml};
use gateway::settings::Settings;
use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn chart() -> PathBuf {
    repository().join("charts/gateway")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// The chart rendered with its defaults, as it is checked in.
fn installed() -> Vec<Value> {
    let text = read(&repository().join("manifests/gateway/gateway.yaml"));
    yaml::documents(&text).unwrap().into_iter().map(|document| document.value).collect()
}

fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("there is a {kind}"));
    assert!(found.next().is_none(), "there is one {kind}");
    first
}

/// What a container asks of the program.
fn asked(container: &Value) -> Asked {
    let words = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    Cli::try_parse_from(std::iter::once("gateway").chain(words)).unwrap().command
}

/// Names of the files in a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_made_from_the_chart_is_up_to_date() {
    let output = Command::new(repository().join(".ci/chart")).arg("--check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_gateway_takes_the_arguments_it_is_given() {
    let objects = installed();
    let spec = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let Asked::Run(arguments) = asked(container) else { panic!("pods run the gateway") };
    let settings = Settings::new(*arguments).unwrap();

    let health = container["ports"].as_array().unwrap().iter().find(|port| port["name"] == "health").unwrap();
    assert_eq!(json!(settings.health.unwrap().port()), health["containerPort"]);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "health", "{probe}");
    }
    let stopping = (settings.shutdown_delay + settings.drain_deadline).as_secs();
    let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= stopping + 5, "the last log entries have time too: {grace} s for {stopping} s");
    assert!(settings.admin.ip().is_loopback(), "the admin port is for nobody else");

    let mut command = Cli::command();
    let run = command.find_subcommand_mut("run").unwrap();
    let mut known: BTreeSet<&str> =
        run.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    known.extend(["POD_NAME", "POD_NAMESPACE"]);
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(known.contains(name), "the gateway doesn't read {name}");
    }
}

#[test]
fn a_pod_is_content_with_the_least() {
    let objects = installed();
    let spec = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let security = &spec["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    let user = security["runAsUser"].as_u64().unwrap();
    assert!(user >= 10_000, "no user of the node");
    let container = &spec["containers"][0];
    let expected = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], expected);
    for port in container["ports"].as_array().unwrap() {
        assert!(port["containerPort"].as_u64().unwrap() >= 1024, "{port}");
    }
    assert!(spec.get("volumes").is_none(), "nothing is written");
    assert!(spec.get("hostNetwork").is_none());
    assert_eq!(only(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
}

#[test]
fn the_chart_and_the_manifests_have_the_same_definitions() {
    let (theirs, ours) = (repository().join("manifests/crds"), chart().join("crds"));
    assert_eq!(files(&theirs), files(&ours));
    let mut defined = BTreeSet::new();
    for file in files(&ours) {
        let text = read(&ours.join(&file));
        assert!(text == read(&theirs.join(&file)), "{file} differs: copy it from manifests/crds");
        for document in yaml::documents(&text).unwrap() {
            defined.insert(document.value["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    for kind in Kind::ALL.iter().filter(|kind| kind.group().ends_with("konghq.com")) {
        let name = format!("{}.{}", kind.plural(), kind.group());
        assert!(defined.contains(&name), "nothing defines {name}");
    }
}
