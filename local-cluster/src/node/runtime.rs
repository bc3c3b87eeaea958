//! The contract between the life of a pod and the way its containers are run.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::log_file::LogFile;
use super::port_map::PortMap;

/// A way to run containers.
pub(crate) trait Runtime: Send + Sync + 'static {
    /// Makes sure that the image is there; gives its id.
    ///
    /// # Errors
    /// Says why the image can't be had, and what to do.
    fn image(&self, image: &str) -> Result<String, String>;

    fn start(&self, start: &ContainerStart) -> Result<Started, String>;

    /// Runs one more command as if in the container, for at most that time: exit code and output.
    fn execute(
        &self,
        start: &ContainerStart,
        command: &[String],
        limit: Duration,
    ) -> BoxFuture<'static, Result<(i32, String), String>>;
}

/// What a container is started with, however it is run.
pub(crate) struct ContainerStart {
    /// `namespace/pod/container`, for lists of processes.
    pub(crate) title: String,
    pub(crate) image: String,
    /// In place of the image's own program, when not empty.
    pub(crate) command: Vec<String>,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_folder: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) pod: Arc<PodPlace>,
    pub(crate) log: Arc<LogFile>,
}

/// A path in the container, and what is found there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mount {
    pub(crate) container_path: String,
    pub(crate) path: PathBuf,
}

/// What a pod's containers have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct PodPlace {
    pub(crate) folder: PathBuf,
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) ports: PortMap,
    pub(crate) hostname: String,
    /// A file with which the pod's service account speaks to the API.
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// A container that runs. It is killed when `exit` is dropped.
pub(crate) struct Started {
    pub(crate) id: String,
    pub(crate) signals: Box<dyn Signals>,
    /// The exit code; 128 and the signal's number when a signal ended it.
    pub(crate) exit: BoxFuture<'static, i32>,
}

pub(crate) trait Signals: Send + Sync {
    /// Asks to end.
    fn terminate(&self);
    /// Ends.
    fn kill(&self);
}
