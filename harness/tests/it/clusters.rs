//! The program with environments in clusters, in front of fakes of the programs that make and fill these; behind the fakes are
//! local clusters with the real gateway and echo service. Skipped with a word where these are not built.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::cluster::Cluster;
use harness::cluster::kubernetes::Kubernetes;
use harness::expect::eventually::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A machine with the fakes in its PATH.
struct Machine(tempfile::TempDir);

impl Machine {
    /// Nothing when a program is missing.
    fn new(programs: &[&str]) -> Option<Machine> {
        let own = Path::new(env!("CARGO_BIN_EXE_harness"));
        let fakes = own.with_file_name("examples").join("fakes");
        let built = ["gateway", "echo-service"].iter().all(|name| own.with_file_name(name).is_file());
        if !built || !fakes.is_file() {
            eprintln!(
                "skipped: `cargo build -p gateway -p echo-service` and `cargo build -p harness --examples` make what it needs"
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(folder.path().join("fakes")).unwrap();
        for program in programs {
            std::os::unix::fs::symlink(&fakes, bin.join(program)).unwrap();
        }
        let machine = Machine(folder);
        // As `.ci/images` would have made them.
        machine.write("images", "limen/gateway:0.1.0\nhttp-echo:latest\nlimen/echo-service:latest");
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("fakes").join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("fakes").join(name)).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command.args(arguments).current_dir(root()).env_remove("CARGO");
        command.env("PATH", self.path("bin")).env("FAKES", self.path("fakes"));
        command.env("LIMEN_RECORDS", self.path("records")).env("CARGO_TARGET_DIR", self.path("target"));
        command.env("KUBECONFIG", self.path("users-kubeconfig"));
        command
    }

    fn harness(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code(), text(&stdout) + &text(&stderr))
    }

    /// Waits until a fake was called so.
    async fn calls(&self, words: &str) {
        let called = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
            if self.read("calls").contains(words) { Ok(()) } else { Err(format!("`{words}` is not called")) }
        });
        called.await.unwrap();
    }

    /// Fails unless nothing is left: no cluster, no record, no run's folder.
    fn is_clean(&self) {
        for folder in ["fakes/clusters/kind", "fakes/clusters/k3d", "records"] {
            let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
            let left: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            assert!(left.is_empty(), "{left:?} are left");
        }
        for file in ["stray-network", "stray-volume"] {
            assert_eq!(self.read(file), "", "{file}");
        }
    }
}

impl Drop for Machine {
    /// Whatever went wrong, clusters end.
    fn drop(&mut self) {
        for maker in ["kind", "k3d", "own"] {
            let clusters = std::fs::read_dir(self.path("fakes/clusters").join(maker)).into_iter().flatten();
            for cluster in clusters.filter_map(Result::ok) {
                let pid = std::fs::read_to_string(cluster.path().join("pid")).unwrap_or_default();
                if let Ok(pid) = pid.parse() {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                }
            }
        }
    }
}

#[test]
fn kind_from_nothing_to_nothing() {
    let Some(machine) = Machine::new(&["docker", "kind", "istioctl"]) else { return };
    let (code, told) = machine.harness(&[
        "scenarios",
        "article/routing",
        "resilience/killed-echo",
        "--env",
        "kind",
        "--verbose",
    ]);
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "2 passed of 2 scenarios",
        "$ kind create cluster --name limen-",
        "$ istioctl install -y",
        "images into the node",
        "removing cluster",
    ] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    machine.is_clean();
    let calls = machine.read("calls");
    assert!(calls.contains("kind load image-archive") && calls.contains("--wait 180s --retain"), "{calls}");
    assert!(!calls.contains("users-kubeconfig"), "the user's kubeconfig is nobody's business: {calls}");
    assert!(!calls.contains("kind-node") && !machine.path("users-kubeconfig").exists());
    // What the mesh is made of was fetched once, here, and given to the node.
    let images = machine.read("images");
    for image in ["kindest/node:v1.36.1", "docker.io/istio/proxyv2:1.29.0", "quay.io/kiali/kiali:v2.27"] {
        assert!(images.contains(image), "no {image} in {images}");
    }
}

#[test]
fn k3d_from_nothing_to_nothing() {
    let Some(machine) = Machine::new(&["docker", "k3d"]) else { return };
    let always = "always k3d: delete without daemon";
    machine.write(
        "faults",
        &format!("k3d: rollback failed\nk3d: import is lost\ndocker: old\ndocker: first cgroups\n{always}"),
    );
    let (code, told) = machine.harness(&["scenarios", "article/routing", "--env", "k3d", "--no-mesh"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("one more attempt") && told.contains("1 passed of 1 scenarios"), "{told}");
    assert_eq!(machine.read("faults"), always, "every fault was met");
    machine.is_clean();
    let calls = machine.read("calls");
    for words in [
        "--k3s-arg --disable=traefik@server:*",
        "--api-port 127.0.0.1:random",
        "docker network rm k3d-limen-",
        "docker volume rm k3d-limen-",
        "docker container rm --force --volumes k3d-limen-",
        "ctr --namespace=k8s.io images import",
    ] {
        assert!(calls.contains(words), "no `{words}` in {calls}");
    }
}

#[test]
fn what_can_not_be_had_is_told_with_what_to_do() {
    for (environment, faults, words) in [
        ("kind", "always docker: no daemon", ["is it running?", "systemctl start docker"]),
        ("kind", "always docker: permission denied", ["usermod -aG docker", "--env local"]),
        ("kind", "always docker: no registry", ["kindest/node:v1.36.1 is not here", "--mirror"]),
        (
            "kind",
            "kind: no privileged containers",
            ["operation not permitted", "may not run privileged containers"],
        ),
        (
            "kind",
            "kind: no log line\nkind: no log line",
            ["could not find a log line", "max_user_instances=512"],
        ),
        ("kind", "kind: node without containerd", ["failed to detect containerd snapshotter", "exit code 1"]),
        ("k3d", "k3d: no privileged containers", ["operation not permitted", "k3d cluster create"]),
        ("k3d", "k3d: import into a dead server", ["all goroutines are asleep", "exit code 2"]),
    ] {
        let Some(machine) = Machine::new(&["docker", "kind", "k3d"]) else { return };
        machine.write("faults", faults);
        let (code, told) =
            machine.harness(&["scenarios", "article/routing", "--env", environment, "--no-mesh"]);
        assert_eq!(code, Some(3), "{faults}: {told}");
        for words in words {
            assert!(told.contains(words), "{faults}: no `{words}` in {told}");
        }
        machine.write("faults", "");
        machine.is_clean();
    }
}

#[test]
fn a_mesh_that_does_not_come_up_says_which_pods_and_why() {
    let Some(machine) = Machine::new(&["docker", "kind", "istioctl"]) else { return };
    machine.write("faults", "istioctl: not ready");
    let (code, told) = machine.harness(&["scenarios", "article/routing", "--env", "kind"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(
        told.contains("resources not ready after 10s") && told.contains("Deployment istio-system/istiod: "),
        "{told}"
    );
    machine.is_clean();
}

#[test]
fn the_doctor_names_what_is_missing_and_what_mends_it() {
    let Some(machine) = Machine::new(&[]) else { return };
    let (code, told) = machine.harness(&["doctor", "--env", "kind"]);
    assert_eq!(code, Some(3), "{told}");
    for words in [
        "kind: can't run here",
        "k3d: can't run here",
        "docker is not found in PATH",
        "kind is not found in PATH",
        "go install sigs.k8s.io/kind",
        "istioctl is not found",
        "--no-mesh",
        "there is no kubeconfig",
    ] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    let Some(machine) = Machine::new(&["docker", "kind", "istioctl"]) else { return };
    let (code, told) = machine.harness(&["doctor", "--env", "kind"]);
    assert!(code == Some(0) && told.contains("kind: can run here"), "{told}");
    let (code, told) = machine.harness(&["versions", "--mirror", "quay.io/=m.example/"]);
    assert!(
        code == Some(0)
            && told.contains("m.example/kiali/kiali:v2.27")
            && told.contains("docker.io/istio/pilot:1.29.0"),
        "{told}"
    );
}

#[tokio::test]
async fn what_hangs_ends_when_it_is_interrupted() {
    let Some(machine) = Machine::new(&["docker", "k3d"]) else { return };
    machine.write("faults", "k3d: hangs");
    let arguments = ["scenarios", "article/routing", "--env", "k3d", "--no-mesh"];
    let child = machine.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    machine.calls("k3d cluster create").await;
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stdout));
    machine.is_clean();
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_collected_and_what_was_kept_is_not() {
    let Some(machine) = Machine::new(&["docker", "kind"]) else { return };
    let arguments = ["scenarios", "article", "--env", "kind", "--no-mesh"];
    let mut child = machine.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    machine.calls("kind load image-archive").await;
    let (code, told) = machine.harness(&["gc"]);
    assert!(code == Some(0) && told.contains("in use") && told.contains("0 removed"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, told) = machine.harness(&["gc"]);
    assert!(code == Some(0) && told.contains("1 removed"), "{told}");
    machine.is_clean();
    let (code, told) =
        machine.harness(&["scenarios", "article/routing", "--env", "kind", "--no-mesh", "--keep"]);
    assert!(code == Some(0) && told.contains("is kept; to use it: export KUBECONFIG="), "{told}");
    let (code, told) =
        machine.harness(&["scenarios", "article/routing", "--env", "kind", "--no-mesh", "--reuse"]);
    assert!(code == Some(0) && told.contains("using cluster limen-"), "{told}");
    assert_eq!(machine.read("calls").matches("kind create cluster").count(), 2);
    let (code, told) = machine.harness(&["gc"]);
    assert!(code == Some(0) && told.contains("kept") && told.contains("0 removed"), "{told}");
    let (code, told) = machine.harness(&["gc", "--all"]);
    assert!(code == Some(0) && told.contains("1 removed"), "{told}");
    machine.is_clean();
}

#[test]
fn a_bundle_takes_the_place_of_the_network() {
    let Some(machine) = Machine::new(&["docker", "kind", "istioctl"]) else { return };
    let archive = machine.path("images.tar");
    let archive = archive.to_str().unwrap();
    let (code, told) = machine.harness(&["bundle", "--env", "kind", archive]);
    assert!(code == Some(0) && told.contains("9 images into"), "{told}");
    machine.write("images", "");
    machine.write("faults", "always docker: no registry");
    let (code, told) =
        machine.harness(&["scenarios", "article/routing", "--env", "kind", "--bundle", archive]);
    assert!(code == Some(0) && told.contains("1 passed of 1 scenarios"), "{told}");
    machine.is_clean();
    let other = [
        "scenarios",
        "article/routing",
        "--env",
        "kind",
        "--bundle",
        archive,
        "--use",
        "kiali=q.example/kiali:v9",
    ];
    let (code, told) = machine.harness(&other);
    assert!(code == Some(3) && told.contains("image q.example/kiali:v9 is not in"), "{told}");
    machine.is_clean();
}

#[test]
fn a_cluster_stays_up_until_it_is_taken_down() {
    let Some(machine) = Machine::new(&["docker", "kind"]) else { return };
    let (code, told) = machine.harness(&["up", "--env", "kind", "--no-mesh"]);
    assert!(code == Some(0) && told.contains("the environment is up"), "{told}");
    let files =
        ["apply", "-f", "manifests/article/echo-service.yaml", "-f", "manifests/article/ingress.yaml"];
    let (code, told) = machine.harness(&files);
    assert!(code == Some(0) && told.contains("served as generation"), "{told}");
    let (code, told) = machine.harness(&["traffic", "GET /v2", "--duration", "300ms", "--statuses", "200"]);
    assert!(code == Some(0) && told.contains("0 failed"), "{told}");
    let (code, told) = machine.harness(&["down"]);
    assert!(code == Some(0) && told.contains("the environment is down"), "{told}");
    machine.is_clean();
}

/// Names of everything that an installation could leave.
async fn everything(kubeconfig: &Path) -> Vec<String> {
    let cluster = Kubernetes::open(kubeconfig).await.unwrap();
    let mut names = Vec::new();
    for kind in [
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "Deployment",
        "Service",
        "ConfigMap",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Lease",
    ] {
        let objects = cluster.list(kind, "", "").await.unwrap();
        names.extend(objects.iter().map(|object| harness::manifest::name_of(object).to_string()));
    }
    names.sort();
    names
}

#[tokio::test]
async fn a_cluster_of_the_users_is_left_as_it_was() {
    let Some(machine) = Machine::new(&["istioctl"]) else { return };
    let folder = machine.path("fakes/clusters/own/mine");
    std::fs::create_dir_all(&folder).unwrap();
    let fakes = Path::new(env!("CARGO_BIN_EXE_harness")).with_file_name("examples").join("fakes");
    let mut keeper = Command::new(fakes)
        .arg("keeper")
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(folder.join("pid"), keeper.id().to_string()).unwrap();
    let ready = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
        if folder.join("ready").exists() { Ok(()) } else { Err("the cluster is not ready".to_owned()) }
    });
    ready.await.unwrap();
    let kubeconfig = folder.join("kubeconfig");
    std::fs::copy(&kubeconfig, machine.path("users-kubeconfig")).unwrap();
    let before = everything(&kubeconfig).await;
    let (code, told) = machine.harness(&["scenarios", "article/routing", "--env", "kubeconfig"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("1 passed of 1 scenarios") && told.contains("taking back what was installed"),
        "{told}"
    );
    assert_eq!(everything(&kubeconfig).await, before);
    match which::which("helm") {
        Err(_) => eprintln!("skipped: helm is not in PATH, so the gateway came without it"),
        Ok(helm) => {
            std::os::unix::fs::symlink(helm, machine.path("bin/helm")).unwrap();
            let (code, told) =
                machine.harness(&["scenarios", "article/routing", "--env", "kubeconfig", "--no-mesh"]);
            assert!(code == Some(0) && told.contains("by helm from charts/gateway"), "{told}");
            assert_eq!(everything(&kubeconfig).await, before);
            std::fs::remove_file(machine.path("bin/helm")).unwrap();
        }
    }
    machine.is_clean();
    let (code, told) =
        machine.harness(&["scenarios", "article/routing", "--env", "kubeconfig", "--context", "nowhere"]);
    assert!(code == Some(3) && told.contains("has no context `nowhere`"), "{told}");
    let arguments = ["scenarios", "article/routing", "--env", "kubeconfig", "--no-mesh"];
    let mut killed = machine.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    let begun = eventually(Duration::from_mins(1), Duration::from_millis(20), || async {
        if everything(&kubeconfig).await == before { Err("nothing is installed".to_owned()) } else { Ok(()) }
    });
    begun.await.unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (code, told) = machine.harness(&["gc"]);
    assert!(code == Some(0) && told.contains("1 removed"), "{told}");
    assert_eq!(everything(&kubeconfig).await, before);
    machine.is_clean();
    kill(Pid::from_raw(i32::try_from(keeper.id()).unwrap()), Signal::SIGTERM).unwrap();
    keeper.wait().unwrap();
}
