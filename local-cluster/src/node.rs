//! The node: it starts pods, stops them, and tells their addresses, health and logs. Nothing outside this folder
//! knows how a pod is run; inside, only `processes` does (see `runtime` for that contract).

mod addresses;
mod api_service;
mod container;
mod environment;
mod expansion;
mod forwarder;
mod heartbeat;
mod images;
pub mod keeper;
mod log_file;
mod logs;
mod name_server;
mod pod;
mod pod_fields;
mod pod_status;
mod pods;
pub mod port_map;
mod probe;
mod processes;
mod published_files;
mod routes;
mod runtime;
mod service_address;
mod settings_data;
mod volumes;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::addresses::Addresses;
pub use self::addresses::Sharing;
pub use self::images::{Images, Program};
pub use self::keeper::Keeper;
use self::logs::NodeLogs;
use self::name_server::NameServer;
use self::pods::Shared;
use self::processes::Processes;
use self::service_address::ServiceAddresses;
use crate::controllers::reconciler;
use crate::failure::Failure;
use crate::objects::Objects;

/// What `kubectl logs` asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogOptions {
    /// Empty for the pod's only container.
    pub container: String,
    pub follow: bool,
    /// The run before the last restart.
    pub previous: bool,
    pub since_seconds: Option<u64>,
    pub tail_lines: Option<usize>,
    pub limit_bytes: Option<usize>,
    /// Each line begins with its time in RFC 3339.
    pub timestamps: bool,
}

/// Where the API finds the logs of pods.
pub trait Logs: Send + Sync + 'static {
    /// Ends when what there is has been sent, or with `follow` when the container has ended.
    fn logs(
        &self,
        namespace: &str,
        pod: &str,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Failure>;
}

/// What a token is wanted for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    pub namespace: String,
    pub service_account: String,
    /// The API server itself when there is none.
    pub audience: Option<String>,
    pub life: Duration,
    pub pod_name: String,
    pub pod_uid: String,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub token: String,
    /// When another should be asked for: some time before it ends.
    pub renew_at: Timestamp,
}

/// Who vouches for service accounts.
pub trait Credentials: Send + Sync + 'static {
    fn token(&self, request: &TokenRequest) -> Result<Token, Failure>;
}

/// Where pods find the API.
#[derive(Debug, Clone, Default)]
pub struct ApiAccess {
    /// `https://127.0.0.1:6443`
    pub url: String,
    /// In PEM; empty when it speaks without TLS.
    pub ca_certificate: String,
}

/// What a node is to be.
#[derive(Clone)]
pub struct NodeSettings {
    /// The name of the Node object.
    pub name: String,
    /// Files of pods are kept below it, and are gone when the node has stopped.
    pub directory: PathBuf,
    pub images: Images,
    pub api: ApiAccess,
    pub credentials: Arc<dyn Credentials>,
    pub keeper: Keeper,
    pub sharing: Sharing,
    /// The first wait before a container is started again; the kubelet's is 10 s. It doubles up to five minutes.
    pub restart_delay: Duration,
    /// How much of the output of one run of a container is kept.
    pub log_bytes: u64,
}

impl NodeSettings {
    /// With what suits a cluster that lives for minutes: short waits, 16 MiB of each log.
    pub fn new(
        directory: PathBuf,
        images: Images,
        api: ApiAccess,
        credentials: Arc<dyn Credentials>,
    ) -> NodeSettings {
        NodeSettings {
            name: "local-cluster".to_owned(),
            directory,
            images,
            api,
            credentials,
            keeper: Keeper::default(),
            sharing: Sharing::default(),
            restart_delay: Duration::from_secs(1),
            log_bytes: 16 << 20,
        }
    }
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("failed to start the node: {0}")]
    Keeper(String),
    #[error("failed to claim addresses for pods: {0}")]
    Addresses(io::Error),
    #[error("failed to start the name server at {0}: {1}")]
    NameServer(IpAddr, io::Error),
    #[error("failed to make {path}: {error}", path = path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("failed to register the node and the API's Service: {0}")]
    Register(Failure),
}

/// A running node. Dropped without being stopped, its pods are killed.
pub struct Node {
    shared: Arc<Shared>,
    name_server: NameServer,
    tasks: JoinSet<()>,
    /// Connections that are passed on to pods end with it.
    _connections: DropGuard,
}

impl Node {
    /// Starts to run the pods there are and those to come. Must be called within a tokio runtime.
    pub fn start(objects: &Objects, settings: NodeSettings) -> Result<Node, NodeError> {
        settings.keeper.check().map_err(NodeError::Keeper)?;
        let addresses = Addresses::claim(settings.sharing).map_err(NodeError::Addresses)?;
        let path = settings.directory.join("pods");
        // Tokens and Secrets are in there.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| NodeError::Folder { path, error })?;
        heartbeat::register(objects, &settings.name, addresses.node()).map_err(NodeError::Register)?;
        api_service::register(objects, &settings.api).map_err(NodeError::Register)?;
        let address = addresses.name_server().into();
        let name_server =
            NameServer::start(objects, address).map_err(|error| NodeError::NameServer(address, error))?;
        let runtime = Processes {
            images: settings.images.clone(),
            keeper: settings.keeper.clone(),
            name_server: Some(name_server.address),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat::run(objects.clone(), settings.name.clone()));
        let addresses = Arc::new(addresses);
        let shared = Shared::new(objects, settings, Arc::clone(&addresses), Box::new(runtime));
        tasks.spawn(pods::run(Arc::clone(&shared)));
        let connections = CancellationToken::new();
        let services =
            ServiceAddresses::new(objects, addresses, Arc::clone(&shared.routes), connections.clone());
        tasks.spawn(reconciler::run(objects.clone(), Box::new(services)));
        Ok(Node { shared, name_server, tasks, _connections: connections.drop_guard() })
    }

    /// Where the API finds the logs of pods.
    pub fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(NodeLogs(Arc::clone(&self.shared)))
    }

    /// Where the cluster's name server listens.
    pub fn name_server(&self) -> SocketAddr {
        self.name_server.address
    }

    /// Ends all pods, each within its grace period but no later than `bound`, and removes their files.
    pub async fn stop(mut self, bound: Duration) {
        pods::end_all(&self.shared, bound).await;
        self.tasks.shutdown().await;
        pods::clear(&self.shared.settings.directory);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        pods::abandon(&self.shared);
    }
}

impl ApiAccess {
    fn host_and_port(&self) -> Option<(&str, u16)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let authority = rest.split('/').next()?;
        match authority.rsplit_once(':') {
            Some((host, port)) => Some((host.trim_matches(['[', ']']), port.parse().ok()?)),
            None => Some((authority, if scheme == "http" { 80 } else { 443 })),
        }
    }

    /// A kubeconfig that takes its token from a file, so that it stays good when the token is renewed.
    fn kubeconfig(&self, namespace: &str, token: &Path) -> String {
        let mut cluster = json!({"server": self.url});
        if !self.ca_certificate.is_empty() {
            cluster["certificate-authority-data"] = json!(STANDARD.encode(&self.ca_certificate));
        }
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": token}}],
            "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "pod", "namespace": namespace}}],
            "current-context": "pod",
        });
        config.to_string()
    }
}

/// Writes a file that nobody else may read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
