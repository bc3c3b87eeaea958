//! Short builders for objects.

use serde_json::{Value, json};

pub(crate) fn ingress(name: &str, plugins: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "echo", "annotations": {"konghq.com/plugins": plugins}},
        "spec": {
            "ingressClassName": "kong",
            "rules": [{"http": {"paths": [{
                "path": format!("/{name}"), "pathType": "Prefix",
                "backend": {"service": {"name": "one", "port": {"number": 80}}},
            }]}}],
        },
    })
}

pub(crate) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]},
    })
}

pub(crate) fn plugin(name: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "configuration.konghq.com/v1", "kind": "KongPlugin",
        "metadata": {"name": name, "namespace": "echo"},
        "plugin": "rate-limiting", "config": config,
        "status": {"conditions": [{
            "type": "Programmed", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }]},
    })
}

/// The condition that the object shows.
pub(crate) fn programmed(object: &Value) -> &Value {
    &object["status"]["conditions"][0]
}
