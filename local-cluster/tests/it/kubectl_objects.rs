//! The stock `kubectl`, where there is one.

use std::path::PathBuf;
use std::process::Stdio;

use local_cluster::{LocalCluster, Options};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::server::widgets;

struct Kubectl {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// What a command printed, to both places.
struct Printed {
    fine: bool,
    text: String,
}

impl Kubectl {
    async fn start() -> Option<(LocalCluster, Kubectl)> {
        let Ok(program) = which::which("kubectl") else {
            eprintln!("skipped: there is no kubectl on PATH");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = Some(folder.path().join("kubeconfig"));
        let listen = "127.0.0.1:0".parse().unwrap();
        let options = Options { listen, kubeconfig, ..Options::default() };
        let cluster = LocalCluster::start(options).await.unwrap();
        Some((cluster, Kubectl { program, folder }))
    }

    async fn run(&self, line: &str, input: &str) -> Printed {
        let mut child = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(self.folder.path().join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.folder.path().join("cache"))
            .args(line.split_whitespace())
            .env("EDITOR", "sed -i s/red/green/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Printed { fine: output.status.success(), text: text(output.stdout) + &text(output.stderr) }
    }

    /// A command that succeeds.
    async fn does(&self, line: &str, input: &str) -> String {
        let Printed { fine, text } = self.run(line, input).await;
        assert!(fine, "kubectl {line}: {text}");
        text
    }

    async fn fails(&self, line: &str, input: &str) -> String {
        let Printed { fine, text } = self.run(line, input).await;
        assert!(!fine, "kubectl {line}: {text}");
        text
    }
}

/// The words of the line that begins so.
fn line<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let found = text.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no line with {start} in:\n{text}")).split_whitespace().collect()
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {app: d}}
spec:
  replicas: 1
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {containers: [{name: c, image: 'i:1', ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: d, labels: {app: d}}
spec: {selector: {app: d}, ports: [{name: http, port: 80}]}
";

#[tokio::test]
async fn built_in_kinds_are_worked_with() {
    let Some((cluster, kubectl)) = Kubectl::start().await else { return };
    let applied = kubectl.does("apply -f -", DEPLOYMENT).await;
    assert_eq!(applied, "deployment.apps/d created\nservice/d created\n");
    let applied = kubectl.does("apply -f -", DEPLOYMENT).await;
    assert_eq!(applied, "deployment.apps/d unchanged\nservice/d unchanged\n");
    let shown = kubectl.does("get deployments -o wide", "").await;
    assert_eq!(
        line(&shown, "NAME"),
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    );
    let row = line(&shown, "d ");
    assert_eq!((row[1], &row[5..]), ("0/1", ["c", "i:1", "app=d"].as_slice()));
    let service = kubectl.does("get service d", "").await;
    assert_eq!(line(&service, "NAME"), ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
    assert_eq!(line(&service, "d ")[4], "80/TCP");

    assert_eq!(kubectl.does("scale deployment d --replicas=2", "").await, "deployment.apps/d scaled\n");
    assert_eq!(kubectl.does("get deployment d -o jsonpath={.spec.replicas}", "").await, "2");
    kubectl.does("label deployment d tier=back", "").await;
    kubectl.does("annotate deployment d note=x", "").await;
    assert!(kubectl.does("get deployments -l tier=back -o name", "").await.contains("deployment.apps/d"));
    let difference = kubectl.fails("diff -f -", &DEPLOYMENT.replace("i:1", "i:2")).await;
    assert!(difference.contains("+      - image: i:2"), "{difference}");
    let patch =
        r#"patch deployment d -p {"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:3"}]}}}}"#;
    kubectl.does(patch, "").await;
    let described = kubectl.does("describe deployment d", "").await;
    assert_eq!(line(&described, "    Image:"), ["Image:", "i:3"]);
    let wrong = kubectl.fails("apply -f -", &DEPLOYMENT.replace("replicas: 1", "replicas: many")).await;
    assert!(wrong.contains("many") || wrong.contains("string"), "{wrong}");
    let explained = kubectl.does("explain deployment.spec.replicas", "").await;
    assert!(explained.contains("FIELD: replicas <integer>"), "{explained}");
    let deleted = kubectl.does("delete -f -", DEPLOYMENT).await;
    assert!(deleted.contains("deployment.apps \"d\" deleted"), "{deleted}");
    cluster.stop().await;
    assert!(!kubectl.folder.path().join("kubeconfig").exists());
}

#[tokio::test]
async fn custom_kinds_are_worked_with() {
    let Some((cluster, kubectl)) = Kubectl::start().await else { return };
    kubectl.does("apply -f -", &widgets().to_string()).await;
    kubectl.does("wait --for condition=established crd/widgets.example.test --timeout=30s", "").await;
    let resources = kubectl.does("api-resources --api-group=example.test", "").await;
    assert_eq!(line(&resources, "widgets"), ["widgets", "wd", "example.test/v1", "true", "Widget"]);

    let widget = |spec: &str| {
        format!("apiVersion: example.test/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {spec}\n")
    };
    let unknown = kubectl.fails("apply -f -", &widget("{sise: 3}")).await;
    assert!(unknown.contains("unknown field \"spec.sise\""), "{unknown}");
    kubectl.does("apply -f -", &widget("{size: 3, color: red}")).await;
    let shown = kubectl.does("get wd", "").await;
    assert_eq!((line(&shown, "NAME"), line(&shown, "w ")), (vec!["NAME", "SIZE"], vec!["w", "3"]));
    kubectl.does("edit wd w", "").await;
    assert_eq!(kubectl.does("get wd w -o jsonpath={.spec.color}", "").await, "green");
    let changed = kubectl.does("apply --server-side --force-conflicts -f -", &widget("{size: 5}")).await;
    assert_eq!(changed, "widget.example.test/w serverside-applied\n");
    let found: Value = serde_json::from_str(&kubectl.does("get wd w -o json", "").await).unwrap();
    assert_eq!(found["spec"]["size"], 5);
    let waited = kubectl.fails("wait --for=jsonpath={.status.phase}=Ready wd/w --timeout=1s", "").await;
    assert!(waited.contains("timed out"), "{waited}");
    kubectl.does(r#"patch wd w --subresource=status --type=merge -p {"status":{"phase":"Ready"}}"#, "").await;
    kubectl.does("wait --for=jsonpath={.status.phase}=Ready wd/w --timeout=30s", "").await;
    kubectl.does("delete crd widgets.example.test", "").await;
    let gone = kubectl.fails("get wd", "").await;
    assert!(gone.contains("doesn't have a resource type") || gone.contains("not find"), "{gone}");
    cluster.stop().await;
}
