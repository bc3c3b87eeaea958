//! The chart rendered by helm: every value counts, nonsense is refused by its name.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use gateway::args::Command as Asked;
use gateway::objects::yaml;
use serde_json::{Value, json};

use super::{asked, chart, only, read};

/// Values that show nowhere without a cluster, or are for others.
const UNSEEN: [&str; 2] = ["istio.excludeApiServer", "global"];

fn helm_is_here() -> bool {
    let found = Command::new("helm").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: helm is not here");
    }
    found
}

/// `helm template` with these values on top of the chart's.
fn render(values: &Value) -> Output {
    let mut helm = Command::new("helm")
        .args(["template", "--namespace", "kong-istio", "kong-istio", "--values", "-"])
        .arg(chart())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    helm.stdin.take().unwrap().write_all(values.to_string().as_bytes()).unwrap();
    helm.wait_with_output().unwrap()
}

fn rendered(values: &Value) -> String {
    let output = render(values);
    assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Paths of all values that are not sections, as README.md has them.
fn leaves(section: &Value, sections: &Value, path: &str, found: &mut Vec<String>) {
    for (key, value) in section.as_object().unwrap() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let default = sections.pointer(&format!("/{}", path.replace('.', "/"))).unwrap();
        match default.as_object() {
            Some(inner) if !inner.is_empty() => leaves(value, sections, &path, found),
            _ => found.push(path),
        }
    }
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

/// `value` at `path`, alone.
fn alone(path: &str, value: &Value) -> Value {
    path.rsplit('.').fold(value.clone(), |value, key| json!({ key: value }))
}

#[test]
fn every_value_makes_a_difference() {
    if !helm_is_here() {
        return;
    }
    let defaults = yaml::value(&read(&chart().join("values.yaml"))).unwrap();
    let other = yaml::value(&read(&chart().join("ci/every-value.yaml"))).unwrap();
    let (mut known, mut changed) = (Vec::new(), Vec::new());
    leaves(&defaults, &defaults, "", &mut known);
    leaves(&other, &defaults, "", &mut changed);
    known.sort_unstable();
    changed.sort_unstable();
    assert_eq!(known, changed, "ci/every-value.yaml has each value once");

    let (plain, full) = (rendered(&json!({})), rendered(&other));
    let differs = |path: &String| {
        let value = other.pointer(&pointer(path)).unwrap();
        assert_ne!(Some(value), defaults.pointer(&pointer(path)), "{path} is the default");
        if rendered(&alone(path, value)) != plain {
            return true;
        }
        // It may need another one to count.
        let mut rest = other.clone();
        *rest.pointer_mut(&pointer(path)).unwrap() = defaults.pointer(&pointer(path)).unwrap().clone();
        rendered(&rest) != full
    };
    let seen = known.iter().filter(|path| !UNSEEN.contains(&path.as_str()));
    let without: Vec<&String> = seen.filter(|path| !differs(path)).collect();
    assert!(without.is_empty(), "nothing comes of {without:?}");
}

#[test]
fn nonsense_is_refused_and_named() {
    if !helm_is_here() {
        return;
    }
    for (path, value) in [
        ("replica", json!(3)),
        ("replicas", json!(-1)),
        ("replicas", json!("two")),
        ("image.tag", json!("a b")),
        ("image.digest", json!("sha256:12")),
        ("fullnameOverride", json!("UPPER")),
        ("podDisruptionBudget.maxUnavailable", json!("101%")),
        ("ingressClass.name", json!("Kong")),
        ("controller.watchNamespace", json!(["shop"])),
        ("controller.watchNamespaces", json!(["Shop"])),
        ("client.trustedIPs", json!(["10.0.0.0/33"])),
        ("client.trustedIPs", json!(["10.0.0.256"])),
        ("client.realIPHeader", json!("X Real IP")),
        ("log.format", json!("xml")),
        ("tracing.endpoint", json!("jaeger-collector:4318")),
        ("tracing.ratio", json!(2)),
        ("shutdown.delay", json!(601)),
        ("service.type", json!("ExternalName")),
        ("service.httpPort", json!(0)),
        ("service.externalTrafficPolicy", json!("Nearby")),
        ("service.annotations", json!({"a": 1})),
        ("istio.inject", json!("maybe")),
        ("istio.excludeOutboundPorts", json!(["otlp"])),
        ("networkPolicy.externalPorts", json!([99_999])),
        ("serviceMonitor.interval", json!("soon")),
        ("resources.limits.cpu", json!("lots")),
        ("extraEnv", json!([{"name": "1A"}])),
        // Not the schema's words, but as clear.
        ("extraEnv", json!([{"name": "LOG_LEVEL", "value": "debug"}])),
        ("autoscaling", json!({"enabled": true, "minReplicas": 11})),
    ] {
        let output = render(&alone(path, &value));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{path}: {value} is refused");
        let name = path.rsplit('.').next().unwrap();
        assert!(said.contains(name), "{path}: {value}: {said}");
    }
}

#[test]
fn helm_has_nothing_to_complain_of() {
    if !helm_is_here() {
        return;
    }
    for values in ["values.yaml", "values-production.yaml", "ci/every-value.yaml"] {
        let mut lint = Command::new("helm");
        let output = lint
            .args(["lint", "--strict", "--values"])
            .arg(chart().join(values))
            .arg(chart())
            .output()
            .unwrap();
        assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What Pod Security's profile "restricted" finds wrong with a pod.
fn forbidden(spec: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |fine: bool, what: &str| wrong.extend((!fine).then(|| what.to_owned()));
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        check(spec[shared] != true, shared);
    }
    let pod = &spec["securityContext"];
    check(pod["runAsNonRoot"] == true && pod["runAsUser"] != 0, "may be root");
    check(pod["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile");
    let usual = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        check(kinds.into_iter().all(|kind| usual.contains(&kind.as_str())), "a volume");
    }
    let of = |list: &str| spec[list].as_array().cloned().unwrap_or_default();
    for container in of("initContainers").iter().chain(&of("containers")) {
        let context = &container["securityContext"];
        check(context["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation");
        check(context["privileged"] != true, "privileged");
        check(context["capabilities"] == json!({"drop": ["ALL"]}), "capabilities");
        let ports = container["ports"].as_array();
        check(ports.into_iter().flatten().all(|port| port.get("hostPort").is_none()), "hostPort");
    }
    wrong
}

#[test]
fn pods_pass_the_restricted_profile_whatever_the_values() {
    if !helm_is_here() {
        return;
    }
    for values in ["values.yaml", "values-production.yaml", "ci/every-value.yaml"] {
        let values = yaml::value(&read(&chart().join(values))).unwrap();
        let objects = yaml::documents(&rendered(&values)).unwrap();
        let pods = objects.iter().filter_map(|object| match object.value["kind"].as_str()? {
            "Deployment" => Some(&object.value["spec"]["template"]["spec"]),
            "Pod" => Some(&object.value["spec"]),
            _ => None,
        });
        let wrong: Vec<Vec<String>> = pods.map(forbidden).collect();
        assert_eq!(wrong, [[""; 0]; 2], "the gateway and the test of an installation");
    }
}

#[test]
fn the_test_of_an_installation_asks_the_gateways_service() {
    if !helm_is_here() {
        return;
    }
    let objects: Vec<Value> =
        yaml::documents(&rendered(&json!({}))).unwrap().into_iter().map(|document| document.value).collect();
    let Asked::Probe(probe) = asked(&only(&objects, "Pod")["spec"]["containers"][0]) else {
        panic!("the pod asks and ends")
    };
    let metadata = &only(&objects, "Service")["metadata"];
    let host =
        format!("{}.{}.svc", metadata["name"].as_str().unwrap(), metadata["namespace"].as_str().unwrap());
    assert_eq!(probe.url.host_str(), Some(host.as_str()));
}
