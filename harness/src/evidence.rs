//! What may explain a failure, gathered into the scenario's folder: objects, Events, logs, what the admin ports
//! say, the last replies. Secrets are left out.

pub mod redact;

use std::fmt::Write as _;
use std::path::Path;

use admin_api::client::AdminClient;
use serde_json::Value;

use self::redact::{redact, redact_text};
use crate::cluster::Cluster;
use crate::environment::Environment;

/// Kinds that are written down; those the cluster doesn't have are left out.
const KINDS: [&str; 14] = [
    "Namespace",
    "Deployment",
    "ReplicaSet",
    "Pod",
    "Service",
    "EndpointSlice",
    "Ingress",
    "IngressClass",
    "Secret",
    "ConfigMap",
    "KongPlugin",
    "KongClusterPlugin",
    "KongConsumer",
    "KongUpstreamPolicy",
];

/// Writes everything that can be had; the first thing that can't be written is the error.
pub async fn gather(environment: &dyn Environment, folder: &Path, replies: &[String]) -> Result<(), String> {
    let cluster = environment.cluster();
    let mut listing = Vec::new();
    for kind in KINDS {
        if let Ok(objects) = cluster.list(kind, "", "").await {
            listing.extend(objects.into_iter().map(redact));
        }
    }
    let objects = serde_json::to_string_pretty(&listing).unwrap_or_default();
    write(folder, "objects.json", &objects)?;
    write(folder, "events.txt", &events(cluster).await)?;
    write(folder, "replies.txt", &redact_text(&replies.join("\n----\n")))?;
    for pod in listing.iter().filter(|object| object["kind"] == "Pod") {
        logs(cluster, folder, pod).await?;
    }
    for port in environment.admin_ports().await.unwrap_or_default() {
        let Ok(client) = AdminClient::new(&port.url) else { continue };
        if let Ok(status) = client.status().await {
            let status = serde_json::to_string_pretty(&status).unwrap_or_default();
            write(folder, &format!("{}-status.json", port.pod), &status)?;
        }
        if let Ok(config) = client.config().await {
            let config = serde_json::to_string_pretty(&redact(config)).unwrap_or_default();
            write(folder, &format!("{}-config.json", port.pod), &config)?;
        }
        if let Ok(metrics) = client.metrics().await {
            write(folder, &format!("{}-metrics.txt", port.pod), &metrics)?;
        }
    }
    Ok(())
}

async fn events(cluster: &dyn Cluster) -> String {
    let mut text = String::new();
    for event in cluster.list("Event", "", "").await.unwrap_or_default() {
        let of = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let _ = writeln!(
            text,
            "{} {} {} {}/{} {}: {}",
            of("/lastTimestamp"),
            of("/type"),
            of("/involvedObject/kind"),
            of("/involvedObject/namespace"),
            of("/involvedObject/name"),
            of("/reason"),
            redact_text(&of("/message"))
        );
    }
    text
}

async fn logs(cluster: &dyn Cluster, folder: &Path, pod: &Value) -> Result<(), String> {
    let of = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (of("/metadata/namespace"), of("/metadata/name"));
    for container in pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten() {
        let container = container["name"].as_str().unwrap_or_default();
        for (previous, ending) in [(false, "log"), (true, "previous.log")] {
            let Ok(text) = cluster.logs(&namespace, &name, container, previous).await else { continue };
            if !text.is_empty() {
                write(folder, &format!("{namespace}-{name}-{container}.{ending}"), &redact_text(&text))?;
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let file = folder.join(name);
    std::fs::write(&file, text).map_err(|error| format!("failed to write {}: {error}", file.display()))
}
