//! All parts of a cluster, started in order and stopped so that nothing is made anew that has just been ended.

mod accounts;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::accounts::Accounts;
use crate::api::{self, Api, Documents, Faults, Webhooks};
use crate::controllers::{ControllerSettings, Controllers};
use crate::credentials::{Credentials, CredentialsError};
use crate::definitions;
use crate::failure::Failure;
use crate::node::{ApiAccess, Images, Keeper, Node, NodeError, NodeSettings};
use crate::objects::Objects;
use crate::traces::TraceSink;

/// How long pods have to end by themselves when the cluster stops.
const PODS_END: Duration = Duration::from_secs(5);

/// What a cluster is to be.
#[derive(Clone)]
pub struct Options {
    /// Where the API listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Written with mode 0600 when the API listens, removed when it stops. None is written without a path.
    pub kubeconfig: Option<PathBuf>,
    /// The administrator's bearer token; one is made when there is none.
    pub token: Option<String>,
    /// What runs pods; without it they stay pending.
    pub node: Option<NodeOptions>,
    /// Where spans are taken and questions about traces are answered; port 0 takes any free one. Nowhere without it.
    pub traces: Option<SocketAddr>,
}

/// What the node is to be.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Files of pods are kept below it, and are gone when the cluster has stopped.
    pub directory: PathBuf,
    /// Which program stands for which image.
    pub images: Images,
    /// The executable that watches over a pod's processes.
    pub keeper: Keeper,
}

impl NodeOptions {
    pub fn new(directory: PathBuf, images: Images) -> NodeOptions {
        NodeOptions { directory, images, keeper: Keeper::default() }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            kubeconfig: None,
            token: None,
            node: None,
            traces: None,
        }
    }
}

/// A running cluster. Dropping it stops everything too, without waiting for the end.
pub struct LocalCluster {
    api: Arc<Api>,
    kubeconfig: Option<WrittenFile>,
    server: JoinHandle<()>,
    definitions: JoinHandle<()>,
    traces: Option<TraceSink>,
    /// Taken when the cluster is stopped.
    running: Option<(Controllers, Option<Node>)>,
}

/// Why a cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to listen on {address}: {source}{}", hint(source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("failed to write the kubeconfig {}: {source}; name a new file in a folder that you may write to", path.display())]
    Kubeconfig { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Node(#[from] NodeError),
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
        let traces = options.traces.map(|address| {
            TraceSink::start(address).map_err(|source| StartError::Listen { address, source })
        });
        let traces = traces.transpose()?;
        let credentials = Arc::new(Credentials::new(address.ip(), options.token)?);
        let kubeconfig = match options.kubeconfig {
            None => None,
            Some(path) => match WrittenFile::write(&path, &credentials.kubeconfig(&url(address))) {
                Ok(written) => Some(written),
                Err(source) => return Err(StartError::Kubeconfig { path, source }),
            },
        };
        let objects = Objects::default();
        // Kinds must be known to those who watch all of them.
        let definitions = tokio::spawn(definitions::run(objects.clone()));
        let ca_certificate = credentials.ca_certificate.clone();
        let controllers = Controllers::start(&objects, ControllerSettings { ca_certificate });
        let node = match options.node {
            None => None,
            Some(node) => {
                let started = start_node(node, &objects, &credentials, address);
                // What runs already ends with the store.
                Some(started.inspect_err(|_| objects.store().close())?)
            }
        };
        let api = Arc::new(Api {
            documents: Documents::default(),
            faults: Faults::new(objects.store()),
            webhooks: Webhooks,
            logs: node.as_ref().map(Node::logs),
            address,
            started: jiff::Timestamp::now(),
            stopping: CancellationToken::new(),
            credentials: Arc::clone(&credentials),
            objects,
        });
        let weak = Arc::downgrade(&api);
        api.objects.set_client(Box::new(move |resource, object| {
            let (api, resource) = (weak.upgrade(), resource.clone());
            Box::pin(async move {
                let api = api.ok_or_else(|| Failure::internal("the cluster has stopped"))?;
                api.create(resource, object).await
            })
        }));
        let server = tokio::spawn(api::serve(Arc::clone(&api), listener));
        let running = Some((controllers, node));
        Ok(LocalCluster { api, kubeconfig, server, definitions, traces, running })
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

    /// Where spans are sent (OTLP) and traces are asked for (Jaeger's API), if that was wanted.
    #[must_use]
    pub fn traces(&self) -> Option<SocketAddr> {
        self.traces.as_ref().map(TraceSink::address)
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
        if let Some((controllers, node)) = self.running.take() {
            controllers.stop().await;
            if let Some(node) = node {
                node.stop(PODS_END).await;
            }
        }
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

fn start_node(
    options: NodeOptions,
    objects: &Objects,
    credentials: &Arc<Credentials>,
    address: SocketAddr,
) -> Result<Node, NodeError> {
    let access = ApiAccess { url: url(address), ca_certificate: credentials.ca_certificate.clone() };
    let accounts = Accounts { objects: objects.clone(), credentials: Arc::clone(credentials) };
    let mut settings = NodeSettings::new(options.directory, options.images, access, Arc::new(accounts));
    settings.keeper = options.keeper;
    Node::start(objects, settings)
}

fn url(address: SocketAddr) -> String {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("https://{reachable}")
}

/// How a kubeconfig that is ours begins.
const MARK: &str = "# Written by local-cluster, which removes it when it ends.\n";

/// A file that goes when its writer goes.
struct WrittenFile(PathBuf);

impl WrittenFile {
    /// Whole or not at all; only its owner may read it.
    fn write(path: &Path, text: &str) -> io::Result<WrittenFile> {
        // One that a cluster which broke down left behind is of no use to anybody; another is somebody's.
        if std::fs::read_to_string(path).is_ok_and(|found| !found.is_empty() && !found.starts_with(MARK)) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file is there that no local cluster wrote",
            ));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".kubeconfig").tempfile_in(folder)?;
        file.write_all(MARK.as_bytes())?;
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
