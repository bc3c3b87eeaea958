//! All parts of a cluster, started in order and stopped in the reverse order.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, Faults, Webhooks};
use crate::credentials::{Credentials, CredentialsError};
use crate::definitions;
use crate::objects::Objects;

/// What a cluster is to be.
#[derive(Clone)]
pub struct Options {
    /// Where the API listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Written with mode 0600 when the API listens, removed when it stops. None is written without a path.
    pub kubeconfig: Option<PathBuf>,
    /// The administrator's bearer token; one is made when there is none.
    pub token: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options { listen: (Ipv4Addr::LOCALHOST, 0).into(), kubeconfig: None, token: None }
    }
}

/// A running cluster. Dropping it stops everything too, without waiting for the end.
pub struct LocalCluster {
    api: Arc<Api>,
    kubeconfig: Option<WrittenFile>,
    server: JoinHandle<()>,
    definitions: JoinHandle<()>,
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to listen on {address}: {source}{}", hint(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("failed to write the kubeconfig {}: {source}; name a file in a folder that you may write to", path.display())]
    Kubeconfig { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; end the program that listens there, or choose another address",
        io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
        io::ErrorKind::PermissionDenied => "; choose a port above 1023",
        _ => "",
    }
}

impl LocalCluster {
    /// Must be called within a tokio runtime. When it returns, the API answers.
    pub async fn start(options: Options) -> Result<LocalCluster, StartError> {
        let failed = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let credentials = Arc::new(Credentials::new(address.ip(), options.token)?);
        let objects = Objects::default();
        let api = Arc::new(Api {
            faults: Faults::new(objects.store()),
            webhooks: Webhooks,
            logs: None,
            address,
            started: jiff::Timestamp::now(),
            stopping: CancellationToken::new(),
            credentials: Arc::clone(&credentials),
            objects: objects.clone(),
        });
        let kubeconfig = match options.kubeconfig {
            None => None,
            Some(path) => match WrittenFile::write(&path, &credentials.kubeconfig(&url(address))) {
                Ok(written) => Some(written),
                Err(source) => return Err(StartError::Kubeconfig { path, source }),
            },
        };
        let definitions = tokio::spawn(definitions::run(objects));
        let server = tokio::spawn(api::serve(Arc::clone(&api), listener));
        Ok(LocalCluster { api, kubeconfig, server, definitions })
    }

    /// `https://127.0.0.1:6443`
    #[must_use]
    pub fn url(&self) -> String {
        url(self.api.address)
    }

    /// What a client needs: address, certificate, token. In YAML.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.api.credentials.kubeconfig(&self.url())
    }

    /// The objects themselves, without HTTP in between.
    #[must_use]
    pub fn objects(&self) -> Objects {
        self.api.objects.clone()
    }

    #[must_use]
    pub fn faults(&self) -> Faults {
        self.api.faults.clone()
    }

    /// Ends all that runs, and removes all that was written.
    pub async fn stop(mut self) {
        self.api.stopping.cancel();
        self.api.objects.store().close();
        for task in [&mut self.server, &mut self.definitions] {
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!("a part of the cluster broke down: {error}");
            }
        }
        drop(self.kubeconfig.take());
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.api.stopping.cancel();
        self.api.objects.store().close();
    }
}

fn url(address: SocketAddr) -> String {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("https://{reachable}")
}

/// A file that goes when its writer goes.
struct WrittenFile(PathBuf);

impl WrittenFile {
    /// Whole or not at all; only its owner may read it.
    fn write(path: &Path, text: &str) -> io::Result<WrittenFile> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".kubeconfig").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(WrittenFile(path.to_owned()))
    }
}

impl Drop for WrittenFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("failed to remove {}: {error}", self.0.display());
        }
    }
}
