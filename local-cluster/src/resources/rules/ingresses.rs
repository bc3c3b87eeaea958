//! Ingresses and what goes with them.

use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::super::names::NameRule;
use super::{fill, items, text, unchanged};
use crate::failure::{Cause, Causes};

pub(in super::super) const INGRESS: Rules = Rules { validate, ..Rules::NONE };
pub(in super::super) const CLASS: Rules = Rules { validate_update: validate_class_update, ..Rules::NONE };
pub(in super::super) const POLICY: Rules = Rules { default: default_policy, ..Rules::NONE };

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];

fn validate(ingress: &Value, causes: &mut Causes) {
    let spec = &ingress["spec"];
    if spec["defaultBackend"].is_null() && items(spec, "rules").next().is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.add(Cause::invalid("spec", &json!([]), why));
    }
    if !spec["defaultBackend"].is_null() {
        validate_backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    }
    for (index, rule) in items(spec, "rules").enumerate() {
        let field = format!("spec.rules[{index}]");
        let host = text(rule, "host");
        if !host.is_empty() {
            let name = host.strip_prefix("*.").unwrap_or(host);
            for wrong in NameRule::Subdomain.check(name, false) {
                causes.add(Cause::invalid(format!("{field}.host"), &json!(host), wrong));
            }
            if host.parse::<std::net::IpAddr>().is_ok() {
                let why = "must be a DNS name, not an IP address";
                causes.add(Cause::invalid(format!("{field}.host"), &json!(host), why));
            }
        }
        if rule["http"].is_null() {
            continue;
        }
        if items(&rule["http"], "paths").next().is_none() {
            causes.add(Cause::required(format!("{field}.http.paths"), ""));
        }
        for (index, path) in items(&rule["http"], "paths").enumerate() {
            validate_path(path, &format!("{field}.http.paths[{index}]"), causes);
        }
    }
}

fn validate_path(path: &Value, field: &str, causes: &mut Causes) {
    let kind = text(path, "pathType");
    if kind.is_empty() {
        causes.add(Cause::required(format!("{field}.pathType"), "pathType must be specified"));
    } else if !PATH_TYPES.contains(&kind) {
        causes.add(Cause::unsupported(format!("{field}.pathType"), &path["pathType"], &PATH_TYPES));
    }
    let value = text(path, "path");
    let wrong = |why: &str| Cause::invalid(format!("{field}.path"), &json!(value), why);
    if matches!(kind, "Exact" | "Prefix") || !value.is_empty() {
        if !value.starts_with('/') {
            causes.add(wrong("must be an absolute path"));
        }
        if matches!(kind, "Exact" | "Prefix") {
            for sequence in ["//", "/./", "/../", "%2f", "%2F"] {
                if value.contains(sequence) {
                    causes.add(wrong(&format!("must not contain '{sequence}'")));
                }
            }
            for end in ["/..", "/."] {
                if value.ends_with(end) {
                    causes.add(wrong(&format!("cannot end with '{end}'")));
                }
            }
        }
    }
    validate_backend(&path["backend"], &format!("{field}.backend"), causes);
}

fn validate_backend(backend: &Value, field: &str, causes: &mut Causes) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_null(), resource.is_null()) {
        (true, true) => {
            causes.add(Cause::required(field, "one of 'resource' or 'service' must be specified"));
        }
        (false, false) => {
            causes.add(Cause::invalid(field, &json!(""), "cannot set both resource and service backends"));
        }
        (true, false) => {}
        (false, true) => {
            let name = text(service, "name");
            if name.is_empty() {
                causes.add(Cause::required(format!("{field}.service.name"), ""));
            }
            for wrong in NameRule::Service.check(name, false).into_iter().filter(|_| !name.is_empty()) {
                causes.add(Cause::invalid(format!("{field}.service.name"), &json!(name), wrong));
            }
            let port = &service["port"];
            let (number, named) = (port["number"].as_i64().unwrap_or(0), text(port, "name"));
            match (number, named) {
                (0, "") => causes.add(Cause::required(field, "port name or number is required")),
                (0, _) => {}
                (_, "") => super::check_port(number, format!("{field}.service.port.number"), causes),
                _ => causes.add(Cause::invalid(field, &json!(""), "cannot set both port name & port number")),
            }
        }
    }
}

fn validate_class_update(new: &Value, old: &Value, causes: &mut Causes) {
    unchanged(&new["spec"]["controller"], &old["spec"]["controller"], "spec.controller", causes);
}

fn default_policy(policy: &mut Value) {
    let spec = &mut policy["spec"];
    let both = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    fill(spec, "policyTypes", if both { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
}
