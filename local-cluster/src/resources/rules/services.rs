//! Services and what stands behind them. Cluster addresses are given by a controller, not here.

use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::super::names::NameRule;
use super::{check_port, each, fill, items, text};
use crate::failure::{Cause, Causes};

pub(in super::super) const SERVICE: Rules = Rules { default, validate, validate_update, ..Rules::NONE };
pub(in super::super) const ENDPOINTS: Rules = Rules { default: default_endpoints, ..Rules::NONE };
pub(in super::super) const SLICE: Rules = Rules {
    default: default_slice,
    validate: validate_slice,
    validate_update: validate_slice_update,
    ..Rules::NONE
};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

fn default(service: &mut Value) {
    let spec = &mut service["spec"];
    fill(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "ClientIP" {
        fill(&mut spec["sessionAffinityConfig"]["clientIP"], "timeoutSeconds", 10800);
    }
    fill(spec, "type", "ClusterIP");
    let kind = text(spec, "type").to_owned();
    for port in each(spec, "ports") {
        fill(port, "protocol", "TCP");
        let number = port["port"].clone();
        if matches!(&port["targetPort"], Value::Null) || port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = number;
        }
    }
    if kind == "ExternalName" {
        return;
    }
    fill(spec, "internalTrafficPolicy", "Cluster");
    fill(spec, "ipFamilies", json!(["IPv4"]));
    fill(spec, "ipFamilyPolicy", "SingleStack");
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn validate(service: &Value, causes: &mut Causes) {
    let spec = &service["spec"];
    let kind = text(spec, "type");
    if !TYPES.contains(&kind) {
        causes.add(Cause::unsupported("spec.type", &spec["type"], &TYPES));
    }
    let ports: Vec<_> = items(spec, "ports").collect();
    if ports.is_empty() && kind != "ExternalName" && spec["clusterIP"] != "None" {
        causes.add(Cause::required("spec.ports", ""));
    }
    if kind == "ExternalName" && text(spec, "externalName").is_empty() {
        causes.add(Cause::required("spec.externalName", ""));
    }
    let mut names = Vec::new();
    let mut numbers = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if name.is_empty() && ports.len() > 1 {
            causes.add(Cause::required(format!("{field}.name"), ""));
        }
        if !name.is_empty() {
            for wrong in NameRule::Label.check(name, false) {
                causes.add(Cause::invalid(format!("{field}.name"), &json!(name), wrong));
            }
            if names.contains(&name) {
                causes.add(Cause::duplicate(format!("{field}.name"), &json!(name)));
            }
            names.push(name);
        }
        check_port(port["port"].as_i64().unwrap_or(0), format!("{field}.port"), causes);
        if let Some(target) = port["targetPort"].as_i64() {
            check_port(target, format!("{field}.targetPort"), causes);
        }
        let protocol = text(port, "protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let supported = &["SCTP", "TCP", "UDP"];
            causes.add(Cause::unsupported(format!("{field}.protocol"), &port["protocol"], supported));
        }
        let number = (protocol, &port["port"]);
        if numbers.contains(&number) {
            let value = json!({"protocol": protocol, "port": port["port"]});
            causes.add(Cause::duplicate(field, &value));
        }
        numbers.push(number);
    }
}

fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    let (new, old) = (&new["spec"], &old["spec"]);
    let had = !text(old, "clusterIP").is_empty();
    let same_kind = new["type"] != "ExternalName" && old["type"] != "ExternalName";
    if had && same_kind && new["clusterIP"] != old["clusterIP"] {
        let why = "may not change once set";
        causes.add(Cause::invalid("spec.clusterIPs[0]", &new["clusterIP"], why));
    }
}

fn default_endpoints(endpoints: &mut Value) {
    for subset in each(endpoints, "subsets") {
        each(subset, "ports").for_each(|port| fill(port, "protocol", "TCP"));
    }
}

fn default_slice(slice: &mut Value) {
    for port in each(slice, "ports") {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    }
}

fn validate_slice(slice: &Value, causes: &mut Causes) {
    let kind = &slice["addressType"];
    match kind.as_str() {
        None | Some("") => causes.add(Cause::required("addressType", "")),
        Some("IPv4" | "IPv6" | "FQDN") => {}
        Some(_) => causes.add(Cause::unsupported("addressType", kind, &["FQDN", "IPv4", "IPv6"])),
    }
}

fn validate_slice_update(new: &Value, old: &Value, causes: &mut Causes) {
    super::unchanged(&new["addressType"], &old["addressType"], "addressType", causes);
}
