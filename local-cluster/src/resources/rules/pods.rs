//! Pods, and the templates of those that make pods.

use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::super::names::NameRule;
use super::{check_port, each, fill, items, text};
use crate::failure::{Cause, Causes};

pub(in super::super) const POD: Rules = Rules { default, on_create, validate, validate_update };

fn default(pod: &mut Value) {
    default_spec(&mut pod["spec"]);
    let spec = &mut pod["spec"];
    fill(spec, "enableServiceLinks", true);
    fill(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    fill(spec, "serviceAccount", account);
    fill(spec, "priority", 0);
    fill(spec, "preemptionPolicy", "PreemptLowerPriority");
}

fn on_create(pod: &mut Value) {
    pod["status"] = json!({"phase": "Pending", "qosClass": quality(&pod["spec"])});
}

fn validate(pod: &Value, causes: &mut Causes) {
    validate_spec(&pod["spec"], "spec", causes);
}

/// Only images, the deadline, added tolerations and a shorter grace may change once a pod is made.
fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    let rest = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            each(&mut spec, list).for_each(|container| container["image"] = Value::Null);
        }
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"] {
            spec[field] = Value::Null;
        }
        spec
    };
    let moved = !old["spec"]["nodeName"].is_null() && new["spec"]["nodeName"] != old["spec"]["nodeName"];
    if moved || rest(new) != rest(old) {
        causes.add(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`, \
             `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to \
             existing tolerations), `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
             previously negative)",
        ));
    }
}

/// How early a pod would have to go if memory were short.
fn quality(spec: &Value) -> &'static str {
    let resources =
        || items(spec, "containers").chain(items(spec, "initContainers")).map(|c| &c["resources"]);
    let said = |resources: &Value, what: &str| resources[what].as_object().is_some_and(|set| !set.is_empty());
    let guaranteed = |resources: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let (limit, request) = (&resources["limits"][name], &resources["requests"][name]);
            !limit.is_null() && (request.is_null() || request == limit)
        })
    };
    match () {
        () if !resources().any(|r| said(r, "limits") || said(r, "requests")) => "BestEffort",
        () if resources().all(guaranteed) => "Guaranteed",
        () => "Burstable",
    }
}

/// Of a pod or of a template.
pub(super) fn default_spec(spec: &mut Value) {
    fill(spec, "restartPolicy", "Always");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "securityContext", json!({}));
    fill(spec, "schedulerName", "default-scheduler");
    for list in ["initContainers", "containers"] {
        each(spec, list).for_each(default_container);
    }
    each(spec, "volumes").for_each(default_volume);
}

fn default_container(container: &mut Value) {
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    let image = text(container, "image");
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    let policy = if latest { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "resources", json!({}));
    each(container, "ports").for_each(|port| fill(port, "protocol", "TCP"));
    for variable in each(container, "env") {
        if let Some(reference) = variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef")) {
            fill(reference, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).filter(|probe| probe.is_object()) {
            fill(probe, "timeoutSeconds", 1);
            fill(probe, "periodSeconds", 10);
            fill(probe, "successThreshold", 1);
            fill(probe, "failureThreshold", 3);
            default_action(probe);
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(hook) = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(name)) {
            default_action(hook);
        }
    }
}

fn default_action(action: &mut Value) {
    if let Some(get) = action.get_mut("httpGet").filter(|get| get.is_object()) {
        fill(get, "path", "/");
        fill(get, "scheme", "HTTP");
    }
    if let Some(grpc) = action.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        fill(grpc, "service", "");
    }
}

fn default_volume(volume: &mut Value) {
    const READABLE: i64 = 0o644;
    if volume.as_object().is_some_and(|fields| fields.len() == 1) {
        fill(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source).filter(|source| source.is_object()) {
            fill(source, "defaultMode", READABLE);
        }
    }
    let projected = volume.get_mut("projected").map(|projected| each(projected, "sources"));
    for token in projected.into_iter().flatten().filter_map(|source| source.get_mut("serviceAccountToken")) {
        fill(token, "expirationSeconds", 3600);
    }
    if let Some(path) = volume.get_mut("hostPath").filter(|path| path.is_object()) {
        fill(path, "type", "");
    }
}

/// Of a pod or of a template.
pub(super) fn validate_spec(spec: &Value, field: &str, causes: &mut Causes) {
    if items(spec, "containers").next().is_none() {
        causes.add(Cause::required(format!("{field}.containers"), ""));
    }
    let mut names = Vec::new();
    let volumes: Vec<_> = items(spec, "volumes").map(|volume| text(volume, "name")).collect();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).enumerate() {
            let field = format!("{field}.{list}[{index}]");
            let name = text(container, "name");
            if name.is_empty() {
                causes.add(Cause::required(format!("{field}.name"), ""));
            }
            for wrong in NameRule::Label.check(name, false).into_iter().filter(|_| !name.is_empty()) {
                causes.add(Cause::invalid(format!("{field}.name"), &json!(name), wrong));
            }
            if names.contains(&name) {
                causes.add(Cause::duplicate(format!("{field}.name"), &json!(name)));
            }
            names.push(name);
            if text(container, "image").is_empty() {
                causes.add(Cause::required(format!("{field}.image"), ""));
            }
            for (index, port) in items(container, "ports").enumerate() {
                let field = format!("{field}.ports[{index}].containerPort");
                check_port(port["containerPort"].as_i64().unwrap_or(0), field, causes);
            }
            for (index, variable) in items(container, "env").enumerate() {
                if text(variable, "name").is_empty() {
                    causes.add(Cause::required(format!("{field}.env[{index}].name"), ""));
                }
                if !text(variable, "value").is_empty() && !variable["valueFrom"].is_null() {
                    let why = "may not be specified when `value` is not empty";
                    causes.add(Cause::invalid(format!("{field}.env[{index}].valueFrom"), &json!(""), why));
                }
            }
            for (index, mount) in items(container, "volumeMounts").enumerate() {
                let field = format!("{field}.volumeMounts[{index}]");
                if !volumes.contains(&text(mount, "name")) {
                    let found = mount["name"].clone();
                    causes.add(Cause::missing(format!("{field}.name"), &found));
                }
                if text(mount, "mountPath").is_empty() {
                    causes.add(Cause::required(format!("{field}.mountPath"), ""));
                }
            }
        }
    }
    let policy = &spec["restartPolicy"];
    if !matches!(policy.as_str(), Some("Always" | "OnFailure" | "Never")) {
        let supported = &["Always", "OnFailure", "Never"];
        causes.add(Cause::unsupported(format!("{field}.restartPolicy"), policy, supported));
    }
}
