//! A cluster in a process of its own, as the containers of a real one outlive the program that made them. Two ports of this
//! machine lead to the gateway's Service, as published ports of a node would.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use harness::cluster::Cluster;
use harness::cluster::kubernetes::Kubernetes;
use harness::environment::reach;
use harness::expect::eventually::eventually;
use local_cluster::node::{Images, Program};
use local_cluster::{LocalCluster, NodeOptions, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_mins(1);
const PACE: Duration = Duration::from_millis(20);

/// Starts it and waits until it is there.
pub(crate) async fn start(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .arg("keeper")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0);
    let child = command.spawn().unwrap();
    std::fs::write(folder.join("pid"), child.id().unwrap().to_string()).unwrap();
    let ready = eventually(PATIENCE, PACE, || async {
        if folder.join("ready").exists() { Ok(()) } else { Err("not ready".to_owned()) }
    });
    ready.await.unwrap();
}

/// Ends it and waits until it is gone.
pub(crate) async fn end(folder: &Path) {
    if let Ok(pid) = std::fs::read_to_string(folder.join("pid")) {
        let pid = Pid::from_raw(pid.parse().unwrap());
        let ended = eventually(PATIENCE, PACE, || async {
            if kill(pid, Signal::SIGTERM).is_err() { Ok(()) } else { Err("it still runs".to_owned()) }
        });
        ended.await.unwrap();
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Keeps it until it is asked to end.
pub(crate) async fn keep(folder: &Path) -> ExitCode {
    let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let kubeconfig = folder.join("kubeconfig");
    let options = Options {
        kubeconfig: Some(kubeconfig.clone()),
        node: Some(NodeOptions::new(folder.join("pods"), images())),
        ..Options::default()
    };
    let cluster = LocalCluster::start(options).await.unwrap();
    name_server(&kubeconfig).await;
    crate::injector::serve(&folder.join("injector")).await;
    for (file, https) in [("http", false), ("https", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        std::fs::write(folder.join(file), listener.local_addr().unwrap().to_string()).unwrap();
        tokio::spawn(lead(listener, kubeconfig.clone(), https));
    }
    std::fs::write(folder.join("ready"), "").unwrap();
    stop.recv().await;
    cluster.stop().await;
    ExitCode::SUCCESS
}

/// Its pods run what is built beside us; what belongs to the mesh runs as far as probes can tell.
fn images() -> Images {
    let own = std::env::current_exe().unwrap();
    let beside = own.parent().unwrap().parent().unwrap();
    let mut images = Images::default();
    for (image, program) in
        [("http-echo", "echo-service"), ("limen/echo-service", "echo-service"), ("limen/gateway", "gateway")]
    {
        images.insert(
            image,
            Program { path: beside.join(program), arguments: Vec::new(), environment: Vec::new() },
        );
    }
    for image in ["coredns", "pilot", "proxyv2", "jaeger", "prometheus", "kiali"] {
        images.insert(
            image,
            Program {
                path: own.clone(),
                arguments: vec!["pod".to_owned(), image.to_owned()],
                environment: Vec::new(),
            },
        );
    }
    images
}

/// Real clusters have one, and are not usable before it runs.
async fn name_server(kubeconfig: &Path) {
    let cluster = Kubernetes::open(kubeconfig).await.unwrap();
    let labels = json!({"k8s-app": "kube-dns"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.1"}]}},
        },
    });
    cluster.apply(&deployment).await.unwrap();
}

async fn lead(listener: TcpListener, kubeconfig: PathBuf, https: bool) {
    let cluster = Kubernetes::open(&kubeconfig).await.unwrap();
    loop {
        let Ok((mut near, _)) = listener.accept().await else { return };
        let Ok(addresses) = reach::addresses(&cluster).await else { continue };
        let to: SocketAddr = if https { addresses.https } else { addresses.http };
        tokio::spawn(async move {
            if let Ok(mut far) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
