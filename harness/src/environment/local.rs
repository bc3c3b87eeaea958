//! A cluster inside of this process: pods are processes of this machine, so nothing else is needed. Each scenario
//! gets one of its own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use local_cluster::node::{Images, Program};
use local_cluster::traces::TraceSink;
use local_cluster::{LocalCluster, NodeOptions, Options};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::reach::Reached;
use super::{Addresses, AdminPort, Environment, Observer, Provider, Run, Unavailable, stack};
use crate::cluster::Cluster;
use crate::cluster::facts::{must_get, rolled_out, why_not_ready};
use crate::cluster::kubernetes::Kubernetes;
use crate::expect::eventually::eventually;
use crate::programs::{self, Programs};
use crate::scenario::document::Ability;
use crate::tools::ToolUrl;

/// How long the gateway may take to be ready.
const PATIENCE: Duration = Duration::from_mins(1);
const PACE: Duration = Duration::from_millis(20);
/// Clusters at a time for each core: a few are mostly waiting, many would only wait for each other.
const SIDE_BY_SIDE: usize = 4;

/// Makes such clusters.
pub struct Local {
    /// The top of the repository.
    root: PathBuf,
    /// Where pods send their spans; to the cluster itself when absent.
    spans: Option<ToolUrl>,
    programs: OnceCell<Programs>,
}

impl Local {
    pub fn new(root: PathBuf, spans: Option<ToolUrl>) -> Local {
        Local { root, spans, programs: OnceCell::new() }
    }
}

#[async_trait]
impl Provider for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn abilities(&self) -> Vec<Ability> {
        let mut abilities = vec![Ability::LoadBalancer, Ability::Crash];
        // Spans that go elsewhere are not here to be asked for.
        abilities.extend(self.spans.is_none().then_some(Ability::Jaeger));
        if cfg!(target_os = "linux") {
            abilities.push(Ability::ClientAddresses);
        }
        abilities
    }

    fn side_by_side(&self) -> usize {
        SIDE_BY_SIDE * std::thread::available_parallelism().map_or(1, usize::from)
    }

    async fn prepare(&self, run: &Run) -> Result<(), Unavailable> {
        let programs = programs::ready(&self.root, &|text| run.tell(text)).await.map_err(Unavailable)?;
        // Prepared once is enough.
        let _ = self.programs.set(programs);
        Ok(())
    }

    async fn start(&self, folder: PathBuf) -> Result<Arc<dyn Environment>, Unavailable> {
        let programs =
            self.programs.get().ok_or_else(|| Unavailable("the programs are not built".to_owned()))?;
        let kubeconfig = folder.join("kubeconfig");
        let sink = match &self.spans {
            Some(_) => None,
            None => Some(
                TraceSink::start((Ipv4Addr::LOCALHOST, 0).into())
                    .map_err(|error| Unavailable(format!("failed to listen for spans: {error}")))?,
            ),
        };
        let jaeger = sink.as_ref().map(|sink| format!("http://{}", sink.address()));
        // Pods are told of it when they start.
        let spans =
            jaeger.clone().or_else(|| self.spans.as_ref().map(ToString::to_string)).unwrap_or_default();
        let options = Options {
            kubeconfig: Some(kubeconfig.clone()),
            node: Some(NodeOptions::new(folder.join("cluster"), images(programs, &spans))),
            ..Options::default()
        };
        let cluster = LocalCluster::start(options)
            .await
            .map_err(|error| Unavailable(format!("failed to start the cluster: {error}")))?;
        match self.install(&kubeconfig).await {
            Ok(reached) => {
                let running = Mutex::new(Some((cluster, sink)));
                Ok(Arc::new(LocalEnvironment { reached, jaeger, running }))
            }
            Err(error) => {
                cluster.stop().await;
                Err(Unavailable(format!("failed to install the gateway: {error}")))
            }
        }
    }
}

impl Local {
    async fn install(&self, kubeconfig: &Path) -> Result<Reached, String> {
        let cluster = Kubernetes::open(kubeconfig).await?;
        stack::install(&cluster, &self.root).await?;
        let ready = eventually(PATIENCE, PACE, || async {
            let deployment = must_get(&cluster, &stack::gateway()).await?;
            rolled_out(&deployment)
                .map_err(|missing| format!("{} is not rolled out: {missing}", stack::gateway()))?;
            super::reach::addresses(&cluster).await.map(drop)
        });
        if let Err(missed) = ready.await {
            let why = match must_get(&cluster, &stack::gateway()).await {
                Ok(deployment) => explained(&cluster, &deployment).await,
                Err(error) => error,
            };
            return Err(format!("{missed}; {why}"));
        }
        Reached::open(kubeconfig).await
    }
}

/// Why the gateway is not ready: what its pods say, and the last lines they wrote.
async fn explained(cluster: &dyn Cluster, deployment: &serde_json::Value) -> String {
    let mut why = why_not_ready(cluster, deployment).await;
    for pod in crate::cluster::facts::pods_of(cluster, deployment).await.unwrap_or_default() {
        let name = crate::manifest::name_of(&pod);
        let log = cluster.logs(&name.namespace, &name.name, "proxy", false).await.unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        for line in tail.into_iter().rev() {
            why = format!("{why}\n  {}: {line}", name.name);
        }
    }
    why
}

/// The programs that stand for images: the article's echo, the gateway, and the bin, which is the echo service in
/// another mode. The gateway and the echo send their spans to `spans`, each under the name that people know it by.
fn images(programs: &Programs, spans: &str) -> Images {
    let program = |path: &Path, service: &str| {
        let set = [("OTEL_EXPORTER_OTLP_ENDPOINT", spans), ("OTEL_SERVICE_NAME", service)];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Program { path: path.to_owned(), arguments: Vec::new(), environment }
    };
    let mut images = Images::default();
    images.insert("http-echo", program(&programs.echo_service, "http-echo"));
    images.insert("limen/echo-service", program(&programs.echo_service, "echo-service"));
    images.insert("limen/gateway", program(&programs.gateway, stack::GATEWAY));
    images
}

struct LocalEnvironment {
    reached: Reached,
    /// The URL of what takes spans and answers as Jaeger.
    jaeger: Option<String>,
    /// Until it is stopped.
    running: Mutex<Option<(LocalCluster, Option<TraceSink>)>>,
}

#[async_trait]
impl Environment for LocalEnvironment {
    fn kubeconfig(&self) -> &Path {
        self.reached.kubeconfig()
    }

    fn cluster(&self) -> &dyn Cluster {
        self.reached.cluster()
    }

    fn gateway(&self) -> Addresses {
        self.reached.gateway()
    }

    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String> {
        self.reached.admin_ports().await
    }

    async fn service_url(&self, namespace: &str, name: &str, port: u16) -> Result<String, String> {
        self.reached.service_url(namespace, name, port).await
    }

    async fn observer(&self, observer: Observer) -> Result<String, String> {
        match (observer, &self.jaeger) {
            (Observer::Jaeger, Some(url)) => Ok(url.clone()),
            _ => Err(format!("the environment local has no {observer}")),
        }
    }

    /// A container's id names the group of its processes; a signal that can't be caught ends them all.
    async fn crash(&self, namespace: &str, pod: &str) -> Result<(), String> {
        let name = crate::scenario::values::ObjectName {
            kind: "Pod".to_owned(),
            namespace: namespace.to_owned(),
            name: pod.to_owned(),
        };
        let object = must_get(self.reached.cluster(), &name).await?;
        let statuses = object.pointer("/status/containerStatuses").and_then(serde_json::Value::as_array);
        let groups: Vec<i32> = statuses
            .into_iter()
            .flatten()
            .filter_map(|status| status["containerID"].as_str()?.strip_prefix("process://")?.parse().ok())
            .collect();
        if groups.is_empty() {
            return Err(format!("{name} has no running process to kill"));
        }
        for group in groups {
            kill(group).map_err(|error| format!("failed to kill {name}: {error}"))?;
        }
        Ok(())
    }

    async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some((cluster, _sink)) = running {
            // Pods may have spans left to send while they stop.
            cluster.stop().await;
        }
    }
}

#[cfg(unix)]
fn kill(group: i32) -> Result<(), String> {
    use nix::sys::signal::{Signal, killpg};
    killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL).map_err(|error| error.to_string())
}

#[cfg(not(unix))]
fn kill(_group: i32) -> Result<(), String> {
    Err("this system has no signals".to_owned())
}
