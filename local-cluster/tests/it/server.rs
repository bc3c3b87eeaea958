//! A whole cluster without a node, and clients of it.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use local_cluster::{LocalCluster, Options};
use serde_json::{Value, json};

/// Serving at any free port.
pub(crate) async fn start() -> LocalCluster {
    let listen = "127.0.0.1:0".parse().unwrap();
    LocalCluster::start(Options { listen, ..Options::default() }).await.unwrap()
}

pub(crate) async fn client(cluster: &LocalCluster) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The definition of a kind with a default, a rule, a column and a status.
pub(crate) fn widgets() -> Value {
    let rule = json!({"rule": "self.size <= 10", "message": "a widget is at most 10"});
    let spec = json!({
        "type": "object",
        "properties": {"size": {"type": "integer"}, "color": {"type": "string", "default": "blue"}},
        "x-kubernetes-validations": [rule],
    });
    let status = json!({"type": "object", "properties": {"phase": {"type": "string"}}});
    let version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.test"},
        "spec": {
            "group": "example.test", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [version],
        },
    })
}
