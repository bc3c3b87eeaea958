//! The gateway's chart by a stock helm on an embedded cluster, from `install` to `uninstall`: it comes up, serves, and
//! goes without a trace. Skipped with a word where there is no helm, or where the programs are not built.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::cluster::Cluster;
use harness::cluster::facts::{must_get, rolled_out};
use harness::cluster::kubernetes::Kubernetes;
use harness::environment::{reach, stack};
use harness::expect::eventually::eventually;
use harness::http_client::{Outgoing, Target, once};
use harness::manifest;
use harness::scenario::values::ObjectName;
use local_cluster::node::port_map::PortMap;
use local_cluster::node::{Images, Keeper, Program};
use local_cluster::{LocalCluster, NodeOptions, Options};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_mins(2);
const PACE: Duration = Duration::from_millis(20);
const RELEASE: &str = "kong-istio";

/// What a release may leave in its namespace: everything with its label, and what helm or the gateway keep for
/// themselves.
const NAMESPACED: [&str; 13] = [
    "Pod",
    "Service",
    "ServiceAccount",
    "ConfigMap",
    "Secret",
    "Deployment",
    "ReplicaSet",
    "EndpointSlice",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Lease",
];
const CLUSTER_WIDE: [&str; 3] = ["ClusterRole", "ClusterRoleBinding", "IngressClass"];
/// Every namespace has these.
const OF_THE_NAMESPACE: [&str; 3] =
    ["ConfigMap kube-root-ca.crt", "ServiceAccount default", "Secret default-token"];

/// A cluster, and a helm that knows nothing but it.
struct Machine {
    cluster: LocalCluster,
    api: Arc<Kubernetes>,
    folder: tempfile::TempDir,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Machine {
    /// `None`, with a word, where something is missing.
    async fn start() -> Option<Machine> {
        if which::which("helm").is_err() {
            eprintln!(
                "skipped: there is no helm in PATH; go install helm.sh/helm/v3/cmd/helm@latest makes one"
            );
            return None;
        }
        let own = Path::new(env!("CARGO_BIN_EXE_harness"));
        let mut images = Images::default();
        for (image, name) in [
            ("limen/gateway", "gateway"),
            ("limen/echo-service", "echo-service"),
            ("http-echo", "echo-service"),
        ] {
            let path = own.with_file_name(name);
            if !path.is_file() {
                eprintln!("skipped: {name} is not built; cargo build -p {name} makes it");
                return None;
            }
            images.insert(image, Program { path, arguments: Vec::new(), environment: Vec::new() });
        }
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let node = NodeOptions {
            keeper: Keeper::At(own.to_owned()),
            ..NodeOptions::new(folder.path().join("cluster"), images)
        };
        let options =
            Options { kubeconfig: Some(kubeconfig.clone()), node: Some(node), ..Options::default() };
        let cluster = LocalCluster::start(options).await.unwrap();
        let api = Arc::new(Kubernetes::open(&kubeconfig).await.unwrap());
        Some(Machine { cluster, api, folder })
    }

    /// What helm says; it must succeed.
    async fn helm(&self, words: &str) -> String {
        let home = self.folder.path();
        let output = Command::new("helm")
            .args(words.split(' '))
            .args(["--namespace", stack::NAMESPACE])
            .current_dir(root())
            .env("KUBECONFIG", home.join("kubeconfig"))
            .env("HOME", home)
            .env_remove("HELM_NAMESPACE")
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| panic!("helm {words} doesn't end")).unwrap();
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "helm {words}: {error}{said}");
        said.into_owned()
    }

    /// The chart's own test asks the Service at the port that it names. Where that is another one of this machine, since
    /// not everybody may listen below 1024, it can't find it.
    async fn test(&self) {
        let service = must_get(&*self.api, &stack::proxy_service()).await.unwrap();
        if PortMap::of(&service).outside(80) != 80 {
            eprintln!("skipped: helm test: this user may not listen at port 80");
            return;
        }
        assert!(self.helm(&format!("test {RELEASE}")).await.contains("Phase:          Succeeded"));
    }

    /// The article's echo, and the way to it.
    async fn put_application(&self) {
        for file in ["echo-service.yaml", "ingress.yaml"] {
            for object in manifest::read(&root().join("manifests/article").join(file)).unwrap() {
                self.api.apply(object.value()).await.unwrap();
            }
        }
        let echo = named("Deployment", "echo", "http-echo-v1");
        let ready = eventually(PATIENCE, PACE, || async {
            rolled_out(&must_get(&*self.api, &echo).await?)?;
            self.asked().await
        });
        ready.await.unwrap_or_else(|missed| panic!("the echo is not served: {missed}"));
    }

    /// One request, as a client makes it.
    async fn asked(&self) -> Result<(), String> {
        asked(&self.api).await
    }

    async fn replicas(&self) -> Value {
        must_get(&*self.api, &stack::gateway()).await.unwrap()["status"]["readyReplicas"].clone()
    }

    /// Everything that is still there, by kind and name.
    async fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let label = format!("app.kubernetes.io/instance={RELEASE}");
        for (kinds, namespace, selector) in
            [(&NAMESPACED[..], stack::NAMESPACE, ""), (&CLUSTER_WIDE[..], "", label.as_str())]
        {
            for kind in kinds {
                let found = self.api.list(kind, namespace, selector).await.unwrap();
                left.extend(found.iter().map(|object| format!("{kind} {}", manifest::name_of(object).name)));
            }
        }
        left.retain(|name| !OF_THE_NAMESPACE.contains(&name.as_str()));
        left
    }
}

async fn asked(api: &Kubernetes) -> Result<(), String> {
    let to = reach::addresses(api).await?.http;
    let outgoing = Outgoing {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: "echo.test".to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
    };
    let target = Target { to, from: None, tls: None, http2: false };
    let answer = once(&target, &outgoing, Duration::from_secs(20)).await?;
    if answer.status == 200 { Ok(()) } else { Err(format!("status {}: {}", answer.status, answer.text())) }
}

fn named(kind: &str, namespace: &str, name: &str) -> ObjectName {
    ObjectName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Asks again and again until it is told to stop; tells how often, and what went wrong.
fn clients(api: Arc<Kubernetes>, stop: Arc<AtomicBool>) -> JoinHandle<(u32, Vec<String>)> {
    tokio::spawn(async move {
        let (mut sent, mut wrong) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            sent += 1;
            wrong.extend(asked(&api).await.err());
        }
        (sent, wrong)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_comes_serves_changes_and_goes() {
    let Some(machine) = Machine::start().await else { return };
    let install =
        format!("install {RELEASE} charts/gateway --create-namespace --set shutdown.delay=1 --wait");
    assert!(machine.helm(&install).await.contains("STATUS: deployed"));
    machine.test().await;
    machine.put_application().await;

    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(Arc::clone(&machine.api), Arc::clone(&stop));
    let upgrade =
        format!("upgrade {RELEASE} charts/gateway --reuse-values --set replicas=2,log.level=debug --wait");
    machine.helm(&upgrade).await;
    assert_eq!(machine.replicas().await, 2, "helm waited for both");
    machine.helm(&format!("rollback {RELEASE} 1 --wait")).await;
    assert_eq!(machine.replicas().await, 1);
    stop.store(true, Ordering::Relaxed);
    let (sent, wrong) = clients.await.unwrap();
    assert!(wrong.is_empty(), "{} of {sent} requests failed meanwhile: {:?}", wrong.len(), wrong.first());
    assert!(sent > 1, "requests were sent meanwhile");

    let history: Value =
        serde_json::from_str(&machine.helm(&format!("history {RELEASE} --output json")).await).unwrap();
    let states: Vec<&Value> =
        history.as_array().unwrap().iter().map(|revision| &revision["status"]).collect();
    assert_eq!(states, ["superseded", "superseded", "deployed"]);
    machine.test().await;

    machine.helm(&format!("uninstall {RELEASE} --wait")).await;
    // Pods have their grace.
    let gone = eventually(PATIENCE, PACE, || async {
        let left = machine.left().await;
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    });
    gone.await.unwrap_or_else(|missed| panic!("left behind: {missed}"));
    let definitions = machine.api.list("CustomResourceDefinition", "", "").await.unwrap();
    assert!(!definitions.is_empty(), "definitions stay, and so do objects of users");
    machine.cluster.stop().await;
}
