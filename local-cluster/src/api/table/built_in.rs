//! The columns of built-in kinds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age_at, age_of, network, workloads};
use crate::resources::{CREATED, Kind};

/// A column besides the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) description: &'static str,
    /// Above 0: only in wide tables.
    pub(super) priority: i64,
}

pub(super) const fn column(name: &'static str) -> Column {
    Column { name, kind: "string", description: "", priority: 0 }
}

pub(super) const fn number(name: &'static str) -> Column {
    Column { name, kind: "integer", description: "", priority: 0 }
}

pub(super) const fn wide(name: &'static str) -> Column {
    Column { name, kind: "string", description: "", priority: 1 }
}

/// Columns and the cells under them.
pub(super) struct Printer {
    pub(super) columns: &'static [Column],
    pub(super) cells: fn(&Value, Timestamp) -> Vec<Value>,
}

const AGE: Column = column("Age");

const GENERIC: Printer = Printer {
    columns: &[Column { name: "Created At", kind: "date", description: CREATED, priority: 0 }],
    cells: |object, _| vec![object["metadata"]["creationTimestamp"].clone()],
};
const ONLY_AGE: Printer = Printer { columns: &[AGE], cells: |object, now| vec![age_of(object, now)] };

fn printer(kind: &Kind) -> Printer {
    match (kind.group(), kind.kind.as_str()) {
        ("", "Pod") => workloads::POD,
        ("apps", "Deployment") => workloads::DEPLOYMENT,
        ("apps", "ReplicaSet") => workloads::REPLICA_SET,
        ("apps", "StatefulSet") => workloads::STATEFUL_SET,
        ("apps", "DaemonSet") => workloads::DAEMON_SET,
        ("batch", "Job") => workloads::JOB,
        ("batch", "CronJob") => workloads::CRON_JOB,
        ("autoscaling", _) => workloads::AUTOSCALER,
        ("policy", _) => workloads::DISRUPTION_BUDGET,
        ("", "Service") => network::SERVICE,
        ("", "Endpoints") => network::ENDPOINTS,
        ("discovery.k8s.io", _) => network::SLICE,
        ("networking.k8s.io", "Ingress") => network::INGRESS,
        ("networking.k8s.io", "IngressClass") => network::CLASS,
        ("networking.k8s.io", _) => network::POLICY,
        ("", "Node") => NODE,
        ("", "ConfigMap") => CONFIG_MAP,
        ("", "Secret") => SECRET,
        ("", "Namespace") => NAMESPACE,
        ("", "ServiceAccount") => SERVICE_ACCOUNT,
        ("" | "events.k8s.io", "Event") => EVENT,
        ("", "PersistentVolumeClaim") => CLAIM,
        ("coordination.k8s.io", _) => LEASE,
        ("admissionregistration.k8s.io", _) => WEBHOOKS,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        ("rbac.authorization.k8s.io", _) => GENERIC,
        ("apiextensions.k8s.io", _) => GENERIC,
        _ => ONLY_AGE,
    }
}

pub(super) fn columns(kind: &Kind) -> &'static [Column] {
    printer(kind).columns
}

pub(super) fn cells(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    (printer(kind).cells)(object, now)
}

/// The text at a path, or what is shown when there is none.
pub(super) fn text_or(value: &Value, default: &str) -> Value {
    match value.as_str() {
        None | Some("") => json!(default),
        Some(text) => json!(text),
    }
}

pub(super) fn count(value: &Value) -> usize {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len)).unwrap_or(0)
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> + Clone {
    value.as_array().into_iter().flatten()
}

/// A selector as `kubectl get` writes it.
pub(super) fn selector(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let mut pairs: Vec<_> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.sort();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

const CONFIG_MAP: Printer = Printer {
    columns: &[number("Data"), AGE],
    cells: |map, now| vec![json!(count(&map["data"]) + count(&map["binaryData"])), age_of(map, now)],
};

const SECRET: Printer = Printer {
    columns: &[column("Type"), number("Data"), AGE],
    cells: |secret, now| vec![secret["type"].clone(), json!(count(&secret["data"])), age_of(secret, now)],
};

const NAMESPACE: Printer = Printer {
    columns: &[column("Status"), AGE],
    cells: |namespace, now| vec![namespace["status"]["phase"].clone(), age_of(namespace, now)],
};

const SERVICE_ACCOUNT: Printer = Printer {
    columns: &[number("Secrets"), AGE],
    cells: |account, now| vec![json!(count(&account["secrets"])), age_of(account, now)],
};

const LEASE: Printer = Printer {
    columns: &[column("Holder"), AGE],
    cells: |lease, now| vec![text_or(&lease["spec"]["holderIdentity"], ""), age_of(lease, now)],
};

const WEBHOOKS: Printer = Printer {
    columns: &[number("Webhooks"), AGE],
    cells: |configuration, now| vec![json!(count(&configuration["webhooks"])), age_of(configuration, now)],
};

const BINDING: Printer = Printer {
    columns: &[column("Role"), AGE, wide("Users"), wide("Groups"), wide("ServiceAccounts")],
    cells: |binding, now| {
        let subjects = |kind: &str| {
            let named = items(&binding["subjects"]).filter(|subject| subject["kind"] == kind);
            let names: Vec<_> = named
                .map(|subject| match subject["namespace"].as_str() {
                    Some(namespace) => {
                        format!("{namespace}/{}", subject["name"].as_str().unwrap_or_default())
                    }
                    None => subject["name"].as_str().unwrap_or_default().to_owned(),
                })
                .collect();
            json!(names.join(", "))
        };
        let role = &binding["roleRef"];
        let role = format!(
            "{}/{}",
            role["kind"].as_str().unwrap_or_default(),
            role["name"].as_str().unwrap_or_default()
        );
        vec![
            json!(role),
            age_of(binding, now),
            subjects("User"),
            subjects("Group"),
            subjects("ServiceAccount"),
        ]
    },
};

const CLAIM: Printer = Printer {
    columns: &[
        column("Status"),
        column("Volume"),
        column("Capacity"),
        column("Access Modes"),
        column("StorageClass"),
        AGE,
    ],
    cells: |claim, now| {
        vec![
            claim["status"]["phase"].clone(),
            text_or(&claim["spec"]["volumeName"], ""),
            text_or(&claim["status"]["capacity"]["storage"], ""),
            json!(""),
            text_or(&claim["spec"]["storageClassName"], ""),
            age_of(claim, now),
        ]
    },
};

const NODE: Printer = Printer {
    columns: &[
        column("Status"),
        column("Roles"),
        AGE,
        column("Version"),
        wide("Internal-IP"),
        wide("External-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    cells: |node, now| {
        let ready = items(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
        let mut status = match ready.map(|condition| condition["status"].as_str().unwrap_or_default()) {
            Some("True") => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        }
        .to_owned();
        if node["spec"]["unschedulable"] == true {
            status += ",SchedulingDisabled";
        }
        let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
        let mut roles: Vec<_> = labels
            .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
            .filter(|role| !role.is_empty())
            .collect();
        roles.sort_unstable();
        let roles = if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") };
        let address = |kind: &str| {
            let found = items(&node["status"]["addresses"]).find(|address| address["type"] == kind);
            found.map_or(json!("<none>"), |address| address["address"].clone())
        };
        let info = &node["status"]["nodeInfo"];
        vec![
            json!(status),
            json!(roles),
            age_of(node, now),
            text_or(&info["kubeletVersion"], ""),
            address("InternalIP"),
            address("ExternalIP"),
            text_or(&info["osImage"], "<unknown>"),
            text_or(&info["kernelVersion"], "<unknown>"),
            text_or(&info["containerRuntimeVersion"], "<unknown>"),
        ]
    },
};

const EVENT: Printer = Printer {
    columns: &[
        column("Last Seen"),
        column("Type"),
        column("Reason"),
        column("Object"),
        wide("Subobject"),
        wide("Source"),
        column("Message"),
        wide("First Seen"),
        wide("Count"),
        wide("Name"),
    ],
    cells: |event, now| {
        let either = |first: &str, second: &str| {
            if event[first].is_null() { event[second].clone() } else { event[first].clone() }
        };
        let object = either("involvedObject", "regarding");
        let mut last = either("lastTimestamp", "deprecatedLastTimestamp");
        let mut first = either("firstTimestamp", "deprecatedFirstTimestamp");
        for time in [&mut last, &mut first] {
            if time.is_null() {
                *time = event["eventTime"].clone();
            }
        }
        if let Some(observed) = event["series"].get("lastObservedTime") {
            last = observed.clone();
        }
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let name = object["name"].as_str().unwrap_or_default();
        let source = either("source", "deprecatedSource");
        let component = match source["component"].as_str() {
            None | Some("") => either("reportingComponent", "reportingController"),
            Some(component) => json!(component),
        };
        let times = either("count", "deprecatedCount").as_i64().unwrap_or(1);
        vec![
            age_at(&last, now),
            text_or(&event["type"], ""),
            text_or(&event["reason"], ""),
            json!(format!("{kind}/{name}")),
            text_or(&object["fieldPath"], ""),
            text_or(&component, ""),
            json!(either("message", "note").as_str().unwrap_or_default().trim()),
            age_at(&first, now),
            json!(times.to_string()),
            event["metadata"]["name"].clone(),
        ]
    },
};
