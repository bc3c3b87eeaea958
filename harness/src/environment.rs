//! The contract of an environment: a cluster with the gateway in it, whatever it is made of. Nothing outside
//! this folder knows which one it has.

pub mod local;
pub mod reach;
pub mod stack;
pub mod up;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::cluster::Cluster;
use crate::scenario::document::Ability;

/// Why an environment can't be had; what to do stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

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

    /// Ends the containers of a pod as if they had crashed.
    async fn crash(&self, namespace: &str, pod: &str) -> Result<(), String>;

    /// Stops everything and waits until it is gone.
    async fn stop(&self);
}

/// Makes environments.
#[async_trait]
pub trait Provider: Send + Sync {
    /// `local`, as in `--env`.
    fn name(&self) -> &'static str;

    /// What its environments will be able to do.
    fn abilities(&self) -> Vec<Ability>;

    /// How many environments may run side by side; with more than one each scenario gets its own.
    fn side_by_side(&self) -> usize;

    /// Whatever must be there before the first environment: programs, images.
    ///
    /// # Errors
    /// What is missing and how to get it.
    async fn prepare(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Result<(), Unavailable>;

    /// Starts a cluster with the gateway in it. `folder` takes its files.
    ///
    /// # Errors
    /// What didn't start, with what was seen last.
    async fn start(&self, folder: PathBuf) -> Result<std::sync::Arc<dyn Environment>, Unavailable>;
}
