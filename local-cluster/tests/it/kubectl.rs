//! The program as people use it: started alone, spoken to by a stock kubectl.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::machine::PATIENCE;

/// `local-cluster` in a process of its own. Killed when dropped.
struct Program {
    child: Child,
    kubectl: PathBuf,
    folder: tempfile::TempDir,
}

impl Program {
    /// `None`, with a word, where there is no kubectl.
    async fn start() -> Option<Program> {
        let Ok(kubectl) = which::which("kubectl") else {
            eprintln!("skipped: there is no kubectl in PATH");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_local-cluster"))
            .arg("--kubeconfig")
            .arg(folder.path().join("kubeconfig"))
            .args(["--image", "shell=/bin/sh", "--image", "sh=/bin/sh"])
            // What it writes for pods is seen to go with it.
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Program { child, kubectl, folder };
        until("it serves", || program.folder.path().join("kubeconfig").is_file()).await;
        Some(program)
    }

    /// What kubectl says; it must succeed.
    fn kubectl(&self, words: &[&str]) -> String {
        let output = Command::new(&self.kubectl)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("HOME", self.folder.path())
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {error}{said}", words.join(" "));
        said
    }

    fn apply(&self, object: &Value) {
        let path = self.folder.path().join("object.json");
        std::fs::write(&path, object.to_string()).unwrap();
        self.kubectl(&["apply", "-f", path.to_str().unwrap()]);
        std::fs::remove_file(path).unwrap();
    }

    /// Asks it to stop, and sees what it leaves.
    async fn stop(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert!(status.unwrap().success(), "{status:?}");
        // kubectl keeps what it has learnt of the API in its home.
        let left = std::fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name != ".kube").collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let mut pace = interval(Duration::from_millis(10));
    let reached = timeout(PATIENCE, async {
        while !fact() {
            pace.tick().await;
        }
    });
    assert!(reached.await.is_ok(), "waited in vain until {what}");
}

fn deployment(script: &str) -> Value {
    let container = json!({"name": "c", "image": "shell:1", "command": ["sh", "-c", script]});
    let template = json!({
        "metadata": {"labels": {"app": "work"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "work", "namespace": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "work"}}, "template": template},
    })
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
}

#[tokio::test]
async fn a_deployment_from_its_first_rollout_to_its_end() {
    let Some(program) = Program::start().await else { return };
    program.apply(&namespace());
    program.apply(&deployment("echo first; while :; do sleep 0.1; done"));
    let kubectl = |words: &str| {
        let words: Vec<&str> = ["-n", "shop"].into_iter().chain(words.split(' ')).collect();
        program.kubectl(&words)
    };
    let rolled_out = "deployment \"work\" successfully rolled out";
    assert!(kubectl("rollout status deploy/work --timeout=30s").contains(rolled_out));
    assert_eq!(kubectl("logs deploy/work"), "first\n");

    kubectl("scale deploy/work --replicas=3");
    kubectl("rollout status deploy/work --timeout=30s");
    assert_eq!(kubectl("get pods -o name").lines().count(), 3);
    assert_eq!(kubectl("get deploy work -o jsonpath={.status.readyReplicas}"), "3");

    program.apply(&deployment("echo second; while :; do sleep 0.1; done"));
    kubectl("rollout status deploy/work --timeout=30s");
    assert_eq!(kubectl("logs deploy/work"), "second\n");
    kubectl("rollout undo deploy/work");
    kubectl("rollout status deploy/work --timeout=30s");
    assert_eq!(kubectl("logs deploy/work"), "first\n");
    let history = kubectl("rollout history deploy/work");
    let revisions: Vec<&str> = history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(revisions[revisions.len() - 2..], ["2", "3"], "{history}");
    kubectl("rollout restart deploy/work");
    kubectl("rollout status deploy/work --timeout=30s");
    kubectl("wait --for=condition=Available deploy/work --timeout=30s");

    kubectl("delete deploy/work --cascade=foreground --timeout=30s");
    assert_eq!(kubectl("get pods,rs -o name"), "");
    program.kubectl(&["delete", "namespace", "shop", "--timeout=30s"]);
    program.stop().await;
}

#[tokio::test]
async fn a_job_and_what_it_said() {
    let Some(program) = Program::start().await else { return };
    program.kubectl(&["create", "job", "hello", "--image=shell", "--", "sh", "-c", "echo hello; exit 0"]);
    program.kubectl(&["wait", "--for=condition=complete", "job/hello", "--timeout=30s"]);
    assert_eq!(program.kubectl(&["logs", "job/hello"]), "hello\n");
    program.stop().await;
}

#[tokio::test]
async fn an_image_that_nobody_knows_is_told_where_people_look() {
    let Some(program) = Program::start().await else { return };
    program.kubectl(&["run", "web", "--image=nginx:1.27"]);
    let reason = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff";
    program.kubectl(&["wait", reason, "pod/web", "--timeout=30s"]);
    let described = program.kubectl(&["describe", "pod", "web"]);
    assert!(described.contains("start it with --image nginx=PROGRAM to add one"), "{described}");
    program.stop().await;
}

#[tokio::test]
async fn nothing_outlives_a_cluster_that_is_killed() {
    let Some(mut program) = Program::start().await else { return };
    let told = program.folder.path().join("told");
    // Neither the shell nor its child wants to end.
    let script = format!(
        "trap '' TERM HUP INT; (trap '' TERM HUP INT; while :; do sleep 1; done) & echo $! >> {path}; \
         sh -c 'echo $PPID' >> {path}; while :; do sleep 1; done",
        path = told.display()
    );
    program.apply(&namespace());
    program.apply(&deployment(&script));
    until("the pod has told its processes", || lines(&told) == 2).await;
    let processes: Vec<i32> =
        std::fs::read_to_string(&told).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert!(processes.iter().all(|process| is_alive(*process)));
    program.child.kill().unwrap();
    until("its processes have ended", || !processes.iter().any(|process| is_alive(*process))).await;
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

fn is_alive(process: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A process that has ended and that nobody has asked about yet is no longer alive.
    kill(Pid::from_raw(process), None).is_ok() && !state.contains(") Z ")
}
