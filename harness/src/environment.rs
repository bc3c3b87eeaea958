//! The contract of an environment: a cluster with the gateway in it, whatever it is made of. Nothing outside
//! this folder knows which one it has.

pub mod attached;
pub mod docker;
pub mod images;
pub mod k3d;
pub mod kind;
pub mod kubeconfig;
pub mod local;
pub mod maker;
pub mod progress;
pub mod reach;
pub mod real;
pub mod records;
pub mod stack;
pub mod up;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::scenario::document::Ability;

/// Why an environment can't be had; what to do stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What is told while environments are made and taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What is done, or waited for.
    Step(String),
    /// A program was called; no exit code when it was ended.
    Call { line: String, code: Option<i32>, took_ms: u64 },
}

/// Who is told.
pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// The run that environments are made for.
#[derive(Clone)]
pub struct Run {
    pub id: String,
    /// Takes everything the run writes.
    pub folder: PathBuf,
    pub tell: Tell,
    /// Cancelled when somebody wants the run to stop.
    pub stop: CancellationToken,
    /// Leave what was made running.
    pub keep: bool,
}

impl Run {
    pub fn tell(&self, text: impl Into<String>) {
        (self.tell)(Told::Step(text.into()));
    }
}

/// Where the gateway is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub https: SocketAddr,
}

/// The admin port of one gateway pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPort {
    pub pod: String,
    /// Such as `http://127.0.0.1:8001`.
    pub url: String,
}

/// What watches a cluster, and answers questions about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observer {
    Jaeger,
    Kiali,
    Prometheus,
}

impl std::fmt::Display for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A running environment.
#[async_trait]
pub trait Environment: Send + Sync {
    /// The kubeconfig file, for people.
    fn kubeconfig(&self) -> &Path;

    fn cluster(&self) -> &dyn Cluster;

    fn gateway(&self) -> Addresses;

    /// The admin ports of the gateway pods that are ready now.
    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String>;

    /// The URL at which a port of a Service is reached from here.
    async fn service_url(&self, namespace: &str, name: &str, port: u16) -> Result<String, String>;

    /// What the paths of an observer's API are put behind, such as `http://127.0.0.1:20001/kiali`; there where the
    /// environment has the ability of that name.
    async fn observer(&self, observer: Observer) -> Result<String, String> {
        let (service, port, path) = match observer {
            Observer::Jaeger => ("tracing", 16_686, ""),
            Observer::Kiali => ("kiali", 20_001, "/kiali"),
            Observer::Prometheus => ("prometheus", 9_090, ""),
        };
        let url = self.service_url(stack::MESH_NAMESPACE, service, port).await?;
        Ok(format!("{url}{path}"))
    }

    /// Ends the containers of a pod as if they had crashed.
    async fn crash(&self, namespace: &str, pod: &str) -> Result<(), String>;

    /// How long pods may take to be ready.
    fn patience(&self) -> Duration {
        Duration::from_mins(1)
    }

    /// The address at which the gateway sees requests from here, where that is known.
    fn client(&self) -> Option<std::net::IpAddr> {
        None
    }

    /// Takes back whatever was made or changed in it, and waits until that is gone.
    async fn stop(&self);
}

/// Makes environments.
#[async_trait]
pub trait Provider: Send + Sync {
    /// `local`, as in `--env`.
    fn name(&self) -> &'static str;

    /// What its environments will be able to do; known when it is prepared.
    fn abilities(&self) -> Vec<Ability>;

    /// How many environments may run side by side; with more than one each scenario gets its own.
    fn side_by_side(&self) -> usize;

    /// Whatever must be there before the first environment: programs, images, a cluster that all of them share.
    ///
    /// # Errors
    /// What is missing and how to get it.
    async fn prepare(&self, run: &Run) -> Result<(), Unavailable>;

    /// Starts an environment: a cluster with the gateway in it. `folder` takes its files.
    ///
    /// # Errors
    /// What didn't start, with what was seen last.
    async fn start(&self, folder: PathBuf) -> Result<Arc<dyn Environment>, Unavailable>;

    /// Takes down what `prepare` made, also when that did not get to its end. Gives what is left, and how to remove
    /// it.
    async fn finish(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Writes a file that nobody else may read: a kubeconfig holds keys.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write {}: {error}", path.display());
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}
