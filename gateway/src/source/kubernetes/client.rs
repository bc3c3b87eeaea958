//! How to reach the API server: a kubeconfig, or the service account of the pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A server that doesn't take the connection by then is away.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than any watch stays silent: the server ends each within 290 s.
const SILENCE: Duration = Duration::from_mins(5);

/// A way to the API server.
#[derive(Clone)]
pub struct Access {
    pub client: Client,
    /// Where it leads, for logs.
    pub server: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("failed to read the kubeconfig {path}: {cause}")]
    Kubeconfig { path: PathBuf, cause: String },
    #[error(
        "failed to find an API server: {0}; name a kubeconfig, set KUBECONFIG, or run in a pod with a service account"
    )]
    Nowhere(String),
    #[error("failed to prepare a client for {server}: {cause}")]
    Client { server: String, cause: String },
}

/// Reads where the server is. It needn't be there yet.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Access, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let wrong = |cause: String| ConnectError::Kubeconfig { path: path.to_owned(), cause };
            let file = Kubeconfig::read_from(path).map_err(|error| wrong(error.to_string()))?;
            let options =
                KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| wrong(error.to_string()))?
        }
        None => Config::infer().await.map_err(|error| ConnectError::Nowhere(error.to_string()))?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // Failures are shown and paced by whoever asked, not hidden in the client.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config)
        .map_err(|error| ConnectError::Client { server: server.clone(), cause: error.to_string() })?;
    Ok(Access { client, server })
}
