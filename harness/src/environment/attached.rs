//! An environment in a cluster of others that another process keeps up: what is changed in it stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::real::admin_ports;
use super::{Addresses, AdminPort, Environment};
use crate::cluster::Cluster;
use crate::cluster::forward::{Forwards, Goal};
use crate::cluster::kubernetes::Kubernetes;

/// Something to reach it by.
pub struct Attached {
    kubeconfig: PathBuf,
    cluster: Arc<Kubernetes>,
    forwards: Forwards,
    gateway: Addresses,
}

impl Attached {
    /// # Errors
    /// The kubeconfig can't be used.
    pub async fn open(kubeconfig: &Path, gateway: Addresses) -> Result<Attached, String> {
        let cluster = Arc::new(Kubernetes::open(kubeconfig).await?);
        let forwards = Forwards::new(Arc::clone(&cluster));
        Ok(Attached { kubeconfig: kubeconfig.to_owned(), cluster, forwards, gateway })
    }
}

#[async_trait]
impl Environment for Attached {
    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    fn gateway(&self) -> Addresses {
        self.gateway
    }

    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String> {
        admin_ports(&self.cluster, &self.forwards).await
    }

    async fn service_url(&self, namespace: &str, name: &str, port: u16) -> Result<String, String> {
        let goal = Goal::Service { namespace: namespace.to_owned(), name: name.to_owned(), port };
        Ok(format!("http://{}", self.forwards.address(goal).await?))
    }

    async fn crash(&self, _namespace: &str, _pod: &str) -> Result<(), String> {
        Err("a container can only be crashed by the process that keeps the environment".to_owned())
    }

    async fn stop(&self) {}
}
