//! Columns of services, endpoints and ingresses.

use serde_json::{Value, json};

use super::age_of;
use super::built_in::{Printer, column, items, selector, text_or, wide};

pub(super) const SERVICE: Printer = Printer {
    columns: &[
        column("Type"),
        column("Cluster-IP"),
        column("External-IP"),
        column("Port(s)"),
        column("Age"),
        wide("Selector"),
    ],
    cells: |service, now| {
        let spec = &service["spec"];
        let ports: Vec<_> = items(&spec["ports"])
            .map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                match port["nodePort"].as_i64().filter(|node| *node > 0) {
                    Some(node) => format!("{}:{node}/{protocol}", port["port"]),
                    None => format!("{}/{protocol}", port["port"]),
                }
            })
            .collect();
        let ports = if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") };
        vec![
            spec["type"].clone(),
            text_or(&spec["clusterIP"], "<none>"),
            json!(external_address(service)),
            json!(ports),
            age_of(service, now),
            json!(selector(&spec["selector"])),
        ]
    },
};

fn external_address(service: &Value) -> String {
    let spec = &service["spec"];
    let mut addresses: Vec<_> = items(&spec["externalIPs"]).filter_map(Value::as_str).collect();
    match spec["type"].as_str() {
        Some("ExternalName") => spec["externalName"].as_str().unwrap_or_default().to_owned(),
        Some("LoadBalancer") => {
            let given = load_balancer(&service["status"]["loadBalancer"]);
            let mut all: Vec<_> = given.split(',').filter(|text| !text.is_empty()).collect();
            all.append(&mut addresses);
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ if addresses.is_empty() => "<none>".to_owned(),
        _ => addresses.join(","),
    }
}

fn load_balancer(status: &Value) -> String {
    let entries =
        items(&status["ingress"]).filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str()));
    entries.collect::<Vec<_>>().join(",")
}

/// The first few, and how many more.
fn shortened(all: &[String]) -> String {
    const SHOWN: usize = 3;
    match all {
        [] => "<none>".to_owned(),
        all if all.len() > SHOWN => format!("{} + {} more...", all[..SHOWN].join(","), all.len() - SHOWN),
        all => all.join(","),
    }
}

pub(super) const ENDPOINTS: Printer = Printer {
    columns: &[column("Endpoints"), column("Age")],
    cells: |endpoints, now| {
        let mut all = Vec::new();
        for subset in items(&endpoints["subsets"]) {
            for port in items(&subset["ports"]) {
                for address in items(&subset["addresses"]) {
                    all.push(format!("{}:{}", address["ip"].as_str().unwrap_or_default(), port["port"]));
                }
            }
            if subset["ports"].as_array().is_none_or(Vec::is_empty) {
                all.extend(
                    items(&subset["addresses"])
                        .filter_map(|address| address["ip"].as_str().map(str::to_owned)),
                );
            }
        }
        vec![json!(shortened(&all)), age_of(endpoints, now)]
    },
};

pub(super) const SLICE: Printer = Printer {
    columns: &[column("AddressType"), column("Ports"), column("Endpoints"), column("Age")],
    cells: |slice, now| {
        let unset =
            |texts: Vec<String>| if texts.is_empty() { "<unset>".to_owned() } else { shortened(&texts) };
        let ports = items(&slice["ports"])
            .map(|port| port["port"].as_i64().map_or("*".to_owned(), |port| port.to_string()));
        let addresses = items(&slice["endpoints"]).flat_map(|endpoint| items(&endpoint["addresses"]));
        let addresses = addresses.filter_map(|address| address.as_str().map(str::to_owned));
        vec![
            slice["addressType"].clone(),
            json!(unset(ports.collect())),
            json!(unset(addresses.collect())),
            age_of(slice, now),
        ]
    },
};

pub(super) const INGRESS: Printer = Printer {
    columns: &[column("Class"), column("Hosts"), column("Address"), column("Ports"), column("Age")],
    cells: |ingress, now| {
        let spec = &ingress["spec"];
        let annotated = &ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"];
        let class = if spec["ingressClassName"].is_null() { annotated } else { &spec["ingressClassName"] };
        let hosts: Vec<_> = items(&spec["rules"])
            .filter_map(|rule| rule["host"].as_str())
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect();
        let hosts = if hosts.is_empty() { "*".to_owned() } else { shortened(&hosts) };
        let ports = if items(&spec["tls"]).next().is_some() { "80, 443" } else { "80" };
        vec![
            text_or(class, "<none>"),
            json!(hosts),
            json!(load_balancer(&ingress["status"]["loadBalancer"])),
            json!(ports),
            age_of(ingress, now),
        ]
    },
};

pub(super) const CLASS: Printer = Printer {
    columns: &[column("Controller"), column("Parameters"), column("Age")],
    cells: |class, now| {
        let parameters = &class["spec"]["parameters"];
        let text = |field: &str| parameters[field].as_str().unwrap_or_default().to_owned();
        let shown = match (parameters.is_null(), text("apiGroup").as_str()) {
            (true, _) => "<none>".to_owned(),
            (false, "") => format!("{}/{}", text("kind"), text("name")),
            (false, group) => format!("{}.{group}/{}", text("kind"), text("name")),
        };
        vec![text_or(&class["spec"]["controller"], ""), json!(shown), age_of(class, now)]
    },
};

pub(super) const POLICY: Printer = Printer {
    columns: &[column("Pod-Selector"), column("Age")],
    cells: |policy, now| {
        vec![json!(selector(&policy["spec"]["podSelector"]["matchLabels"])), age_of(policy, now)]
    },
};
