//! Environments in clusters of others: one made by kind or k3d for the run, or one that is there. All scenarios of a run share
//! it, one after the other; what a scenario changes is taken back before the next one.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use admin_api::FeedMessage;
use admin_api::client::AdminClient;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::docker::{Docker, Engine};
use super::maker::{Maker, PREFIX, Site};
use super::progress::wait_for;
use super::records::{Held, Record, Records};
use super::stack::{self, Ground, istio};
use super::{
    Addresses, AdminPort, Environment, Provider, Run, Tell, Told, Unavailable, images, kubeconfig, reach,
};
use crate::cli::EnvironmentArgs;
use crate::cluster::Cluster;
use crate::cluster::changes::Changes;
use crate::cluster::facts::{condition, is_ready, must_get, pods_of, runs, why_not_ready};
use crate::cluster::forward::{Forwards, Goal};
use crate::cluster::kubernetes::Kubernetes;
use crate::http_client::{Outgoing, Target, once};
use crate::process::Caller;
use crate::scenario::document::Ability;
use crate::scenario::values::ObjectName;
use crate::versions::{Istio, Versions};

/// How long a cluster that was made may take to be usable.
const USABLE: Duration = Duration::from_mins(5);
/// How long the gateway may take to answer from outside when it runs.
const REACHED: Duration = Duration::from_mins(2);
/// How long pods of scenarios may take: sidecars come first, machines are small.
const PODS: Duration = Duration::from_mins(5);

/// Makes such environments.
pub struct Real {
    /// Nothing for a cluster that is there.
    maker: Option<Maker>,
    asked: EnvironmentArgs,
    /// The top of the repository.
    root: PathBuf,
    begun: Mutex<Option<Begun>>,
    ready: Mutex<Option<Ready>>,
}

/// What has to be taken down again.
struct Begun {
    run: Run,
    caller: Arc<Caller>,
    engine: Engine,
    held: Held,
    seed: Option<PathBuf>,
    /// What was installed, as soon as something may have been.
    stack: Option<Arc<Changes>>,
    /// Everything is installed.
    whole: bool,
}

/// What every scenario gets.
#[derive(Clone)]
struct Ready {
    kubeconfig: PathBuf,
    cluster: Arc<Kubernetes>,
    forwards: Arc<Forwards>,
    gateway: Addresses,
    client: Option<IpAddr>,
    images: Vec<(String, String)>,
    abilities: Vec<Ability>,
    node: Option<Node>,
    tell: Tell,
}

/// The one node, where containers can be ended.
#[derive(Clone)]
struct Node {
    maker: Maker,
    caller: Arc<Caller>,
    engine: Engine,
    name: String,
}

impl Real {
    pub fn new(maker: Option<Maker>, asked: EnvironmentArgs, root: PathBuf) -> Real {
        Real { maker, asked, root, begun: Mutex::default(), ready: Mutex::default() }
    }

    async fn make(&self, run: &Run) -> Result<Ready, String> {
        let versions = Versions::new(&self.asked.uses, &self.asked.mirror)?;
        let records = Records::open()?;
        let held = self.held(run, &records)?;
        let reused = held.record.kept;
        let kubeconfig = held.record.kubeconfig.clone();
        // In a cluster of the user's, what it takes to log in is at home.
        let home = self.maker.map(|_| run.folder.join("home"));
        let caller = Caller::new(&run.folder.join("programs.log"), home.as_deref(), Arc::clone(&run.tell))?;
        let caller = Arc::new(caller.with("KUBECONFIG", kubeconfig.as_os_str()));
        let (folder, name) = (held.folder().to_owned(), held.record.name.clone());
        *self.begun.lock() = Some(Begun {
            run: run.clone(),
            caller: Arc::clone(&caller),
            engine: Engine::default(),
            held,
            seed: None,
            stack: None,
            whole: false,
        });
        let mut istio = None;
        if !self.asked.no_mesh && self.maker.is_some() {
            istio = Some(istio::images(&caller, &versions).await?);
        }
        let (mut ports, mut node) = (None, None);
        if let Some(maker) = self.maker {
            let engine = Docker(&caller).engine().await?;
            self.with_begun(|begun| begun.engine = engine.clone());
            let site = Site {
                maker,
                caller: &caller,
                engine: &engine,
                name: name.clone(),
                folder: run.folder.clone(),
                kubeconfig: kubeconfig.clone(),
                seed: None,
            };
            ports = Some(self.cluster_with_images(run, site, &versions, istio.as_ref(), reused).await?);
            node = Some(Node { maker, caller: Arc::clone(&caller), engine, name: name.clone() });
        } else {
            kubeconfig::copy(self.asked.context.as_deref(), &kubeconfig)?;
        }
        let cluster = Arc::new(Kubernetes::open(&kubeconfig).await?);
        usable(run, &cluster, self.maker.is_some()).await?;
        let images = images::instead(&versions);
        let labels = vec![("limen/run".to_owned(), name)];
        let changes = Arc::new(Changes::new(Arc::clone(&cluster), images.clone(), labels));
        changes.record_to(&folder.join("changes"))?;
        self.with_begun(|begun| begun.stack = Some(Arc::clone(&changes)));
        let there = istio.is_none() && !self.asked.no_mesh && istio::is_there(&*cluster).await?;
        if self.maker.is_none() && !there && !self.asked.no_mesh && istio::version(&caller).await.is_ok() {
            istio = Some(istio::images(&caller, &versions).await?);
        }
        let abilities = self.abilities_of(run, &cluster, istio.is_some(), there).await;
        let ground = Ground {
            run,
            caller: &caller,
            changes: &changes,
            kubeconfig: &kubeconfig,
            root: &self.root,
            versions: &versions,
            helm: which::which("helm").is_ok(),
            mesh: abilities.contains(&Ability::Mesh),
            traced: abilities.contains(&Ability::Jaeger),
            node_ports: self.maker.is_some(),
            refresh: reused,
        };
        stack::raise(&ground, istio.as_ref()).await?;
        let forwards = Arc::new(Forwards::new(Arc::clone(&cluster)));
        let (gateway, balanced) = gateway(run, &cluster, &forwards, ports).await?;
        let mut abilities = abilities;
        if balanced && !abilities.contains(&Ability::LoadBalancer) {
            abilities.push(Ability::LoadBalancer);
        }
        let client = Some(client(run, &cluster, &forwards, gateway.http).await?);
        self.with_begun(|begun| begun.whole = true);
        let tell = Arc::clone(&run.tell);
        Ok(Ready { kubeconfig, cluster, forwards, gateway, client, images, abilities, node, tell })
    }

    /// A record of an earlier run's cluster where that shall be used, else a new one.
    fn held(&self, run: &Run, records: &Records) -> Result<Held, String> {
        if self.asked.reuse && self.maker.is_some() {
            let fits = |record: &Record| record.kept && record.environment == self.name();
            let mut kept =
                records.all().into_iter().filter(|(record, _)| fits(record)).filter_map(|(_, held)| held);
            if let Some(held) = kept.next_back() {
                run.tell(format!("using cluster {}, made {}", held.record.name, held.record.since));
                return Ok(held);
            }
        }
        let name = format!("{PREFIX}{}", run.id);
        let kubeconfig = records.folder(&name).join("kubeconfig");
        records.begin(Record {
            name,
            environment: self.name().to_owned(),
            kubeconfig,
            kept: false,
            since: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    }

    /// Makes the cluster, unless it is there, and gives it all images; where its gateway ports are then.
    async fn cluster_with_images(
        &self,
        run: &Run,
        mut site: Site<'_>,
        versions: &Versions,
        istio: Option<&Istio>,
        reused: bool,
    ) -> Result<(SocketAddr, SocketAddr), String> {
        let (docker, maker) = (Docker(site.caller), site.maker);
        let needed = Needed::of(maker, site.caller, site.engine, versions, istio).await?;
        if let Some(bundle) = &self.asked.bundle {
            run.tell(format!("images of {}", bundle.display()));
            docker.load(bundle).await?;
        }
        let ours = images::ready(
            site.caller,
            versions,
            &self.root,
            &run.folder.join("images"),
            self.asked.bundle.is_none(),
        )
        .await?;
        for image in needed.node.iter().chain(&needed.helpers).chain(&needed.stack) {
            let there = docker.has(image).await?;
            if let Some(bundle) = self.asked.bundle.as_ref().filter(|_| !there) {
                return Err(format!(
                    "image {image} is not in {}; make it anew with the same flags: `harness bundle`",
                    bundle.display()
                ));
            }
            docker.need(image).await?;
        }
        if !reused {
            if maker == Maker::K3d && self.asked.bundle.is_some() {
                site.seed = self.seed(&docker, site.engine, &site.folder).await?;
                let seed = site.seed.clone();
                self.with_begun(|begun| begun.seed = seed);
            }
            run.tell(format!("{} makes cluster {}", maker.name(), site.name));
            site.create(needed.node.as_deref(), &needed.helpers).await?;
        }
        let ports = site.published().await?;
        let all: Vec<String> = ours.into_iter().chain(needed.stack).collect();
        run.tell(format!("{} images into the node", all.len()));
        let archive = run.folder.join("images.tar");
        docker.save(&all, &site.engine.platform(), &archive).await?;
        site.load(&archive, &all).await?;
        // It is as large as all of them.
        let _ = std::fs::remove_file(&archive);
        Ok(ports)
    }

    /// What k3s wants at its start, of what the bundle brought.
    async fn seed(
        &self,
        docker: &Docker<'_>,
        engine: &Engine,
        folder: &Path,
    ) -> Result<Option<PathBuf>, String> {
        let wanted: Vec<String> =
            docker.all("rancher/*").await?.into_iter().filter(|name| !name.contains("/k3s:")).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let seed = folder.join("seed.tar");
        docker.save(&wanted, &engine.platform(), &seed).await?;
        Ok(Some(seed))
    }

    async fn abilities_of(
        &self,
        run: &Run,
        cluster: &Kubernetes,
        installed: bool,
        there: bool,
    ) -> Vec<Ability> {
        let mut abilities = Vec::new();
        if self.maker.is_some() {
            abilities.extend([Ability::Crash, Ability::LoadBalancer]);
        }
        if installed {
            abilities.extend([Ability::Mesh, Ability::Jaeger, Ability::Prometheus, Ability::Kiali]);
        } else if there {
            run.tell("the cluster has a mesh, which is used as it is");
            abilities.push(Ability::Mesh);
            let observers = [
                ("tracing", Ability::Jaeger),
                ("prometheus", Ability::Prometheus),
                ("kiali", Ability::Kiali),
            ];
            for (service, ability) in observers {
                let name = object("Service", stack::MESH_NAMESPACE, service);
                if matches!(cluster.get(&name).await, Ok(Some(_))) {
                    abilities.push(ability);
                }
            }
        }
        abilities
    }

    fn with_begun(&self, change: impl FnOnce(&mut Begun)) {
        if let Some(begun) = &mut *self.begun.lock() {
            change(begun);
        }
    }
}

/// Images that a cluster needs beside ours.
pub struct Needed {
    pub node: Option<String>,
    /// Beside the node, in Docker.
    pub helpers: Vec<String>,
    /// In the node.
    pub stack: Vec<String>,
}

impl Needed {
    /// # Errors
    /// A program is missing, or its images are not known.
    pub async fn of(
        maker: Maker,
        caller: &Caller,
        engine: &Engine,
        versions: &Versions,
        istio: Option<&Istio>,
    ) -> Result<Needed, String> {
        let mut stack: Vec<String> = istio.iter().flat_map(|istio| istio.images()).collect();
        if istio.is_some() {
            let addons = [crate::versions::PROMETHEUS, crate::versions::KIALI, crate::versions::JAEGER];
            stack.extend(addons.iter().filter_map(|name| versions.image(name)));
        }
        Ok(Needed {
            node: maker.node(caller, engine, versions).await?,
            helpers: maker.helpers(caller, versions).await?,
            stack,
        })
    }
}

fn object(kind: &str, namespace: &str, name: &str) -> ObjectName {
    ObjectName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Waits until a cluster takes pods: makers return before that, and some of them when they gave up waiting.
async fn usable(run: &Run, cluster: &Arc<Kubernetes>, made: bool) -> Result<(), String> {
    let patience = if made { USABLE } else { Duration::from_secs(20) };
    wait_for(run, "a cluster that can be used", patience, || async {
        let nodes = cluster.list("Node", "", "").await?;
        let ready = |node: &&Value| condition(node, "Ready").is_some_and(|ready| ready["status"] == "True");
        if let Some(node) = nodes.iter().find(|node| !ready(node)) {
            let why = condition(node, "Ready")
                .map_or("it says nothing yet", |ready| ready["message"].as_str().unwrap_or_default());
            return Err(format!(
                "node {} is not ready: {why}",
                node["metadata"]["name"].as_str().unwrap_or_default()
            ));
        }
        if nodes.is_empty() {
            return Err("it has no node".to_owned());
        }
        if made {
            must_get(&**cluster, &object("ServiceAccount", "default", "default")).await?;
            let dns = must_get(&**cluster, &object("Deployment", "kube-system", "coredns")).await?;
            if let Err(missing) = runs(&**cluster, &dns).await {
                let why = why_not_ready(&**cluster, &dns).await;
                return Err(format!("its name server does not run: {missing}; {why}"));
            }
        }
        Ok(())
    })
    .await
}

/// Where the gateway is reached: at published ports of the node, at its load balancer, or through the API server; and whether it sees
/// clients there.
async fn gateway(
    run: &Run,
    cluster: &Arc<Kubernetes>,
    forwards: &Forwards,
    ports: Option<(SocketAddr, SocketAddr)>,
) -> Result<(Addresses, bool), String> {
    let service = stack::proxy_service();
    let answers = |address: SocketAddr| async move {
        tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| format!("{address}: {error}"))
    };
    if let Some((http, https)) = ports {
        lead_balancer(cluster, &service).await?;
        wait_for(run, "an answer of the gateway", REACHED, || answers_http(http)).await?;
        return Ok((Addresses { http, https }, true));
    }
    let balanced = wait_for(run, "the gateway's load balancer", Duration::from_mins(1), || async {
        let addresses = reach::addresses(&**cluster).await?;
        answers(addresses.http).await?;
        Ok(addresses)
    });
    if let Ok(addresses) = balanced.await {
        return Ok((addresses, true));
    }
    run.tell(
        "the gateway has no load balancer that is reached from here; it is reached through the API server",
    );
    let at =
        |port: u16| Goal::Service { namespace: service.namespace.clone(), name: service.name.clone(), port };
    let (http, https) = (at(stack::HTTP_PORT), at(stack::HTTPS_PORT));
    let addresses = Addresses { http: forwards.address(http).await?, https: forwards.address(https).await? };
    wait_for(run, "an answer of the gateway", REACHED, || answers_http(addresses.http)).await?;
    Ok((addresses, false))
}

async fn answers_http(http: SocketAddr) -> Result<(), String> {
    once(&target(http), &probe("/"), Duration::from_secs(5)).await.map(drop)
}

fn target(to: SocketAddr) -> Target {
    Target { to, from: None, tls: None, http2: false }
}

fn probe(path: &str) -> Outgoing {
    Outgoing {
        method: "GET".to_owned(),
        path: path.to_owned(),
        host: "gateway.invalid".to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

/// Gives a Service the node's address where no load balancer does: the node takes what is sent to it then.
async fn lead_balancer(cluster: &Arc<Kubernetes>, service: &ObjectName) -> Result<(), String> {
    let now = must_get(&**cluster, service).await?;
    if now.pointer("/status/loadBalancer/ingress/0/ip").is_some() {
        return Ok(());
    }
    let nodes = cluster.list("Node", "", "").await?;
    let addresses = nodes.first().and_then(|node| node["status"]["addresses"].as_array());
    let internal = addresses.into_iter().flatten().find(|address| address["type"] == "InternalIP");
    let ip = internal.and_then(|address| address["address"].as_str()).ok_or("the node has no address")?;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
    cluster.merge_status(service, &status).await
}

/// The address at which the gateway sees requests from here, as its feed tells it.
async fn client(
    run: &Run,
    cluster: &Arc<Kubernetes>,
    forwards: &Forwards,
    http: SocketAddr,
) -> Result<IpAddr, String> {
    let path = format!("/who-am-i-{:08x}", fastrand::u32(..));
    wait_for(run, "the gateway's word about our address", Duration::from_secs(30), || async {
        let ports = admin_ports(cluster, forwards).await?;
        let mut feeds = Vec::new();
        for port in &ports {
            let client = AdminClient::new(&port.url).map_err(|error| error.to_string())?;
            let mut feed =
                client.feed().await.map_err(|error| format!("gateway pod {}: {error}", port.pod))?;
            // From its first totals on everything is told.
            while let Some(message) = feed.next().await {
                if matches!(message, Ok(FeedMessage::Totals(_)) | Err(_)) {
                    break;
                }
            }
            feeds.push(feed);
        }
        once(&target(http), &probe(&path), Duration::from_secs(5)).await?;
        let told = futures_util::stream::select_all(feeds).filter_map(|message| {
            let found = match message {
                Ok(FeedMessage::Sample(sample)) => {
                    sample.exchanges.into_iter().find(|exchange| exchange.target == path)
                }
                _ => None,
            };
            std::future::ready(found)
        });
        let mut told = std::pin::pin!(told);
        let exchange = tokio::time::timeout(Duration::from_secs(5), told.next()).await.ok().flatten();
        let client = exchange.ok_or("its feed does not tell of our request")?.client;
        let ip =
            client.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| client.parse::<IpAddr>());
        ip.map_err(|_| format!("`{client}` is no address"))
    })
    .await
}

pub(super) async fn admin_ports(
    cluster: &Arc<Kubernetes>,
    forwards: &Forwards,
) -> Result<Vec<AdminPort>, String> {
    let deployment = must_get(&**cluster, &stack::gateway()).await?;
    let mut ports = Vec::new();
    for pod in pods_of(&**cluster, &deployment).await?.iter().filter(|pod| is_ready(pod)) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let goal =
            Goal::Pod { namespace: stack::NAMESPACE.to_owned(), name: name.clone(), port: stack::ADMIN_PORT };
        let address = forwards.address(goal).await?;
        ports.push(AdminPort { pod: name, url: format!("http://{address}") });
    }
    Ok(ports)
}

#[async_trait]
impl Provider for Real {
    fn name(&self) -> &'static str {
        self.maker.map_or("kubeconfig", Maker::name)
    }

    fn abilities(&self) -> Vec<Ability> {
        self.ready.lock().as_ref().map(|ready| ready.abilities.clone()).unwrap_or_default()
    }

    fn side_by_side(&self) -> usize {
        1
    }

    async fn prepare(&self, run: &Run) -> Result<(), Unavailable> {
        let ready = self.make(run).await.map_err(Unavailable)?;
        *self.ready.lock() = Some(ready);
        Ok(())
    }

    async fn start(&self, folder: PathBuf) -> Result<Arc<dyn Environment>, Unavailable> {
        let ready = self.ready.lock().clone();
        let ready = ready.ok_or_else(|| Unavailable("the cluster is not there".to_owned()))?;
        let label = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let labels = vec![("limen/scenario".to_owned(), label)];
        let changes = Changes::new(Arc::clone(&ready.cluster), ready.images.clone(), labels);
        let file = self.begun.lock().as_ref().map(|begun| begun.held.folder().join("changes"));
        if let Some(file) = file {
            changes.record_to(&file).map_err(Unavailable)?;
        }
        Ok(Arc::new(Shared { ready, changes }))
    }

    async fn finish(&self) -> Vec<String> {
        self.ready.lock().take();
        let Some(begun) = self.begun.lock().take() else { return Vec::new() };
        let Begun { run, caller, engine, held, seed, stack, whole } = begun;
        let name = held.record.name.clone();
        let Some(maker) = self.maker else {
            if let Some(changes) = stack {
                run.tell("taking back what was installed");
                let left = stack::raze(&caller, &changes, &held.record.kubeconfig).await;
                if !left.is_empty() {
                    let told = left.into_iter().map(|left| format!("{left}; `harness gc` tries once more"));
                    return told.collect();
                }
            }
            held.forget();
            return Vec::new();
        };
        let site = Site {
            maker,
            caller: &caller,
            engine: &engine,
            name,
            folder: run.folder.clone(),
            kubeconfig: held.record.kubeconfig.clone(),
            seed,
        };
        if whole && (run.keep || self.asked.reuse) {
            run.tell(format!(
                "cluster {} is kept; to use it: export KUBECONFIG={}; to remove it: {} or `harness gc --all`",
                site.name,
                site.kubeconfig.display(),
                site.removal()
            ));
            return held.keep().err().into_iter().collect();
        }
        // Nothing was made where Docker never answered.
        if engine == Engine::default() {
            held.forget();
            return Vec::new();
        }
        run.tell(format!("removing cluster {}", site.name));
        match site.delete().await {
            Ok(()) => {
                held.forget();
                Vec::new()
            }
            Err(error) => vec![error],
        }
    }
}

/// The cluster, for one scenario.
struct Shared {
    ready: Ready,
    changes: Changes,
}

#[async_trait]
impl Environment for Shared {
    fn kubeconfig(&self) -> &Path {
        &self.ready.kubeconfig
    }

    fn cluster(&self) -> &dyn Cluster {
        &self.changes
    }

    fn gateway(&self) -> Addresses {
        self.ready.gateway
    }

    async fn admin_ports(&self) -> Result<Vec<AdminPort>, String> {
        admin_ports(&self.ready.cluster, &self.ready.forwards).await
    }

    async fn service_url(&self, namespace: &str, name: &str, port: u16) -> Result<String, String> {
        let goal = Goal::Service { namespace: namespace.to_owned(), name: name.to_owned(), port };
        Ok(format!("http://{}", self.ready.forwards.address(goal).await?))
    }

    async fn crash(&self, namespace: &str, pod: &str) -> Result<(), String> {
        let node = self.ready.node.as_ref().ok_or("containers of this cluster can't be ended from here")?;
        let site = Site {
            maker: node.maker,
            caller: &node.caller,
            engine: &node.engine,
            name: node.name.clone(),
            folder: PathBuf::new(),
            kubeconfig: self.ready.kubeconfig.clone(),
            seed: None,
        };
        site.crash(namespace, pod).await
    }

    fn patience(&self) -> Duration {
        PODS
    }

    fn client(&self) -> Option<IpAddr> {
        self.ready.client
    }

    async fn stop(&self) {
        for left in self.changes.take_back().await {
            (self.ready.tell)(Told::Step(format!("the scenario left something behind: {left}")));
        }
    }
}
