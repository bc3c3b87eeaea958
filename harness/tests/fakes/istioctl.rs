//! istioctl: what matters to others of what it installs is a control plane that puts sidecars into pods.

use std::path::Path;
use std::process::ExitCode;

use harness::cluster::Cluster;
use harness::cluster::kubernetes::Kubernetes;
use harness::scenario::values::ObjectName;
use serde_json::{Value, json};

use crate::injector;
use crate::state::{State, Words, recorded};

pub(crate) async fn istioctl(state: &State, words: &Words) -> ExitCode {
    if words.are("version") {
        assert!(words.has("--remote=false"), "without it, it would wait for a cluster for ever");
        return recorded("istioctl: version", "");
    }
    let kubeconfig = words.flag("--kubeconfig").unwrap();
    let cluster = Kubernetes::open(Path::new(kubeconfig)).await.unwrap();
    if words.are("install") {
        assert!(words.has("-y"), "without it, it would ask");
        for object in objects(state) {
            cluster.apply(&object).await.unwrap();
        }
        if state.fault("istioctl: not ready") {
            return recorded("istioctl: not ready", "");
        }
        return recorded("istioctl: installed", "");
    }
    if words.are("uninstall") {
        for object in objects(state).iter().rev() {
            cluster.delete(&harness::manifest::name_of(object), false).await.unwrap();
        }
        let secrets = cluster.list("Secret", "istio-system", "").await.unwrap();
        for secret in secrets {
            let name = ObjectName { kind: "Secret".to_owned(), ..harness::manifest::name_of(&secret) };
            cluster.delete(&name, false).await.unwrap();
        }
        return recorded("istioctl: uninstalled", "");
    }
    panic!("istioctl {:?}", words.0)
}

fn objects(state: &State) -> Vec<Value> {
    let labels = json!({"app": "istiod", "istio": "pilot"});
    let telemetries = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "telemetries.telemetry.istio.io"},
        "spec": {
            "group": "telemetry.istio.io", "scope": "Namespaced",
            "names": {"kind": "Telemetry", "plural": "telemetries", "singular": "telemetry"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    let istiod = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": "istio-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "discovery", "image": "docker.io/istio/pilot:1.29.0", "args": ["webhook"]}]},
            },
        },
    });
    vec![telemetries, istiod, injector::configuration(&state.only().join("injector"))]
}
