//! The life of one pod: its place, its volumes, its containers in their order, its end.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::addresses::{Addresses, Use};
use super::container;
use super::log_file::LogFile;
use super::pod_status::{self, Role, Seen, Whole};
use super::pods::Shared;
use super::port_map::{ANNOTATION, PortMap};
use super::runtime::PodPlace;
use super::volumes::Volumes;
use crate::events::About;
use crate::kinds::{self, is_going};
use crate::objects::{Deletion, Object, Part};

/// The first and the last wait for volumes that can't be made yet.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(20);

/// What the tasks of one pod share.
pub(super) struct Pod {
    pub(super) node: Arc<Shared>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) spec: PodSpec,
    pub(super) volumes: Volumes,
    /// Told when ConfigMaps, Secrets or service accounts have changed.
    pub(super) refreshed: Notify,
    /// Told when something about a container has been noted.
    changed: Notify,
    folder: PathBuf,
    newest: watch::Receiver<Object>,
    place: Mutex<Arc<PodPlace>>,
    seen: Mutex<(Vec<Seen>, Whole)>,
    logs: Mutex<BTreeMap<String, Runs>>,
    stop: watch::Sender<Option<Instant>>,
}

/// The logs of a container.
#[derive(Default)]
struct Runs {
    count: u32,
    /// The last two, the newest last.
    logs: Vec<Arc<LogFile>>,
}

/// Until when something is to have stopped; nothing yet, at first.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    pub(super) fn at(deadline: Instant) -> Stop {
        Stop(watch::Sender::new(Some(deadline)).subscribe())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits until it is asked for.
    pub(super) async fn asked(&mut self) {
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the deadline is another one.
    async fn moved(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the deadline, wherever that is moved to.
    pub(super) async fn passed(&mut self) {
        loop {
            let deadline = *self.0.borrow_and_update();
            let reached = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = reached => return,
                changed = self.0.changed() => if changed.is_err() {
                    // Nobody can move it any more.
                    if let Some(deadline) = deadline { sleep_until(deadline).await; }
                    return;
                },
            }
        }
    }
}

impl Pod {
    pub(super) fn new(node: Arc<Shared>, spec: PodSpec, newest: watch::Receiver<Object>) -> Pod {
        let object = newest.borrow().clone();
        let folder = node.settings.directory.join("pods").join(kinds::uid(&object));
        let settings = &node.settings;
        let volumes = Volumes::new(
            folder.join("volumes"),
            Arc::clone(&settings.credentials),
            settings.api.ca_certificate.clone(),
        );
        let init = spec.init_containers.iter().flatten().map(|one| {
            let role =
                if one.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
            (one, role)
        });
        let all = init.chain(spec.containers.iter().map(|one| (one, Role::Main)));
        let initialising = spec.init_containers.as_ref().is_some_and(|init| !init.is_empty());
        let seen = all.map(|(container, role)| {
            let mut seen = Seen::new(&container.name, role, container.image.as_deref().unwrap_or_default());
            if initialising && role == Role::Main {
                seen.wait("PodInitializing", None);
            }
            seen
        });
        let whole = Whole {
            host: node.addresses.node().to_string(),
            started: Some(Timestamp::now()),
            ..Whole::default()
        };
        Pod {
            namespace: kinds::namespace(&object).to_owned(),
            name: kinds::name(&object).to_owned(),
            uid: kinds::uid(&object).to_owned(),
            volumes,
            refreshed: Notify::new(),
            changed: Notify::new(),
            folder,
            place: Mutex::default(),
            seen: Mutex::new((seen.collect(), whole)),
            logs: Mutex::default(),
            stop: watch::Sender::new(None),
            spec,
            newest,
            node,
        }
    }

    pub(super) fn object(&self) -> Object {
        self.newest.borrow().clone()
    }

    pub(super) fn place(&self) -> Arc<PodPlace> {
        Arc::clone(&self.place.lock())
    }

    /// How long its containers have to end by themselves.
    pub(super) fn grace(&self) -> Duration {
        let seconds =
            self.spec.termination_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(seconds.unwrap_or(30))
    }

    /// Asks to stop; an earlier deadline than one that was given holds.
    pub(super) fn stop_by(&self, deadline: Instant) {
        self.stop.send_if_modified(|current| {
            let earlier = current.is_none_or(|current| deadline < current);
            if earlier {
                *current = Some(deadline);
            }
            earlier
        });
    }

    fn stopping(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Notes something about a container, and writes the pod's status.
    pub(super) fn see(&self, container: &str, note: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.seen.lock().0.iter_mut().find(|seen| seen.name == container) {
            note(seen);
        }
        self.write_status();
        self.changed.notify_waiters();
    }

    pub(super) fn seen<T>(&self, container: &str, read: impl FnOnce(&Seen) -> T) -> Option<T> {
        self.seen.lock().0.iter().find(|seen| seen.name == container).map(read)
    }

    fn note(&self, note: impl FnOnce(&mut Whole)) {
        note(&mut self.seen.lock().1);
        self.write_status();
    }

    /// Must not be called with `seen` locked.
    fn write_status(&self) {
        let now = Timestamp::now();
        let written =
            self.node.objects.modify(&kinds::pods(), &self.namespace, &self.name, Part::Status, |pod| {
                // Another pod of the same name may have taken its place. What is written is read only now, so that of
                // two writers the later one writes the newer state.
                if kinds::uid(pod) == self.uid {
                    let (seen, whole) = &*self.seen.lock();
                    pod_status::write(pod, seen, whole, now);
                }
            });
        if let Err(failure) = written
            && failure.code != 404
        {
            tracing::warn!("failed to write the status of pod {}/{}: {failure}", self.namespace, self.name);
        }
    }

    pub(super) fn normal(&self, container: &str, reason: &str, message: &str) {
        self.node.events.normal(
            About { object: &self.object(), part: Some(&self.part(container)) },
            reason,
            message,
        );
    }

    pub(super) fn warning(&self, container: &str, reason: &str, message: &str) {
        self.node.events.warning(
            About { object: &self.object(), part: Some(&self.part(container)) },
            reason,
            message,
        );
    }

    fn part(&self, container: &str) -> String {
        let init = self.spec.init_containers.iter().flatten().any(|one| one.name == container);
        format!("spec.{}{{{container}}}", if init { "initContainers" } else { "containers" })
    }

    /// A log for a new run of a container; the one before the last is forgotten.
    pub(super) fn new_log(&self, container: &str) -> io::Result<Arc<LogFile>> {
        let folder = self.folder.join("logs").join(container);
        std::fs::create_dir_all(&folder)?;
        let mut logs = self.logs.lock();
        let runs = logs.entry(container.to_owned()).or_default();
        let path = folder.join(format!("{}.log", runs.count));
        let log = LogFile::create(&path, self.node.settings.log_bytes)?;
        runs.count += 1;
        runs.logs.push(Arc::clone(&log));
        if runs.logs.len() > 2 {
            runs.logs.remove(0).remove();
        }
        Ok(log)
    }

    /// The log of a container's newest run, or of the one before.
    pub(super) fn log(&self, container: &str, previous: bool) -> Option<Arc<LogFile>> {
        let logs = self.logs.lock();
        let runs = &logs.get(container)?.logs;
        let at = runs.len().checked_sub(if previous { 2 } else { 1 })?;
        runs.get(at).cloned()
    }

    fn init_containers(&self) -> Vec<Container> {
        self.spec.init_containers.clone().unwrap_or_default()
    }
}

/// Runs a pod to its end, and removes what it left. The object goes when its deletion was asked for.
pub(super) async fn live(pod: Arc<Pod>) {
    let mut stop = pod.stopping();
    let ready = tokio::select! {
        ready = prepare(&pod) => ready,
        () = stop.asked() => false,
    };
    if ready {
        let late = async {
            match pod.spec.active_deadline_seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
                Some(seconds) => sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let run = run(&pod);
        tokio::pin!(run);
        tokio::select! {
            () = &mut run => {}
            () = late => {
                let message = "Pod was active on the node longer than the specified deadline";
                pod.node.events.warning(&*pod.object(), "DeadlineExceeded", message);
                pod.note(|whole| whole.ended = Some(("DeadlineExceeded", message.to_owned())));
                pod.stop_by(Instant::now() + pod.grace());
                run.await;
            }
        }
    }
    release_place(&pod);
    pod.note(|whole| whole.prepared = false);
    // A pod that has ended stays, with its logs, until it is deleted or the node stops.
    let mut newest = pod.newest.clone();
    tokio::select! {
        _ = newest.wait_for(|object| is_going(object)) => {}
        () = pod.node.stopping.cancelled() => {}
    }
    if let Err(error) = std::fs::remove_dir_all(&pod.folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("failed to remove {}: {error}", pod.folder.display());
    }
    if is_going(&pod.object()) {
        let deletion = Deletion { grace_seconds: Some(0), uid: Some(pod.uid.clone()), ..Deletion::default() };
        match pod.node.objects.delete(&kinds::pods(), &pod.namespace, &pod.name, &deletion) {
            Err(failure) if !matches!(failure.code, 404 | 409) => {
                tracing::warn!("failed to remove pod {}/{}: {failure}", pod.namespace, pod.name);
            }
            _ => {}
        }
    }
}

/// Gives the pod its address, folder and volumes; false when it can have no address.
async fn prepare(pod: &Arc<Pod>) -> bool {
    let mut wait = FIRST_LOOK;
    loop {
        let refreshed = pod.refreshed.notified();
        let prepared = take_place(pod).and_then(|()| write_volumes(pod));
        match prepared {
            Ok(()) => {
                pod.note(|whole| whole.prepared = true);
                return true;
            }
            // In a namespace just made, the service account comes a moment later: no need to tell of that.
            Err(_) if wait == FIRST_LOOK => pod.note(|_| ()),
            Err(why) => pod.node.events.warning(&*pod.object(), "FailedMount", &why),
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = refreshed => {}
        }
        wait = (wait * 2).min(LAST_LOOK);
    }
}

fn take_place(pod: &Pod) -> Result<(), String> {
    if pod.place.lock().address.is_some() {
        return Ok(());
    }
    let addresses = &pod.node.addresses;
    let on_host = pod.spec.host_network == Some(true);
    let address = if on_host { Some(Ipv4Addr::LOCALHOST) } else { addresses.take(Use::Pod) };
    let address = address.ok_or("every pod address of this cluster is taken")?;
    let ports = if addresses.is_shared() && !on_host { find_ports(pod)? } else { PortMap::default() };
    std::fs::create_dir_all(&pod.folder)
        .map_err(|error| format!("failed to make {}: {error}", pod.folder.display()))?;
    if !ports.is_empty() {
        let annotation = json!(ports.to_annotation());
        let annotate = |object: &mut Value| object["metadata"]["annotations"][ANNOTATION] = annotation;
        pod.node
            .objects
            .modify(&kinds::pods(), &pod.namespace, &pod.name, Part::AllButStatus, annotate)
            .map_err(|failure| failure.to_string())?;
    }
    let hostname =
        pod.spec.hostname.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| pod.name.clone());
    *pod.place.lock() = Arc::new(PodPlace {
        folder: pod.folder.clone(),
        address: Some(address),
        ports,
        hostname,
        kubeconfig: None,
    });
    pod.note(|whole| whole.address = Some(address.to_string()));
    Ok(())
}

/// A free port for each port that the pod's containers name.
fn find_ports(pod: &Pod) -> Result<PortMap, String> {
    let init = pod.spec.init_containers.iter().flatten();
    let ports = pod.spec.containers.iter().chain(init).flat_map(|one| one.ports.iter().flatten());
    let found = ports.map(|port| {
        let free = Addresses::free_port(Ipv4Addr::LOCALHOST)
            .map_err(|error| format!("no free port for port {}: {error}", port.container_port))?;
        Ok((port.container_port, i32::from(free)))
    });
    found.collect::<Result<Vec<_>, String>>().map(PortMap::new)
}

fn write_volumes(pod: &Pod) -> Result<(), String> {
    let object = pod.object();
    let objects = &pod.node.objects;
    pod.volumes.write(objects, &object, &pod.spec).map_err(|missing| missing.to_string())?;
    let Some(token) = pod.volumes.account_token(objects, &object) else { return Ok(()) };
    let path = pod.folder.join("kubeconfig");
    let kubeconfig = pod.node.settings.api.kubeconfig(&pod.namespace, &token);
    super::write_private(&path, &kubeconfig)
        .map_err(|error| format!("failed to write {}: {error}", path.display()))?;
    let mut place = pod.place.lock();
    *place = Arc::new(PodPlace { kubeconfig: Some(path), ..(**place).clone() });
    Ok(())
}

/// Brings the files of volumes to what their objects say now; a pod that has started keeps its old ones when an
/// object has gone.
pub(super) fn refresh(pod: &Pod) {
    if pod.seen.lock().1.prepared
        && let Err(missing) = pod.volumes.write(&pod.node.objects, &pod.object(), &pod.spec)
    {
        pod.node.events.warning(&*pod.object(), "FailedMount", &missing.to_string());
    }
    pod.refreshed.notify_waiters();
}

fn release_place(pod: &Pod) {
    let address = pod.place.lock().address;
    if let Some(address) = address.filter(|_| pod.spec.host_network != Some(true)) {
        pod.node.addresses.release(address);
    }
}

/// Runs all containers until none is left to run.
async fn run(pod: &Arc<Pod>) {
    let mut stop = pod.stopping();
    let sidecars_end = watch::Sender::new(None);
    let mut sidecars = JoinSet::new();
    let mut initialised = true;
    for container in pod.init_containers() {
        let name = container.name.clone();
        if pod.seen(&name, |seen| seen.role) == Some(Role::Sidecar) {
            let end = Stop(sidecars_end.subscribe());
            sidecars.spawn(container::live(Arc::clone(pod), container, Role::Sidecar, end));
            if !started(pod, &name, &mut stop).await {
                initialised = false;
                break;
            }
        } else {
            let code = container::live(Arc::clone(pod), container, Role::Init, pod.stopping()).await;
            if stop.deadline().is_some() || code != Some(0) {
                initialised = false;
                break;
            }
        }
    }
    if initialised {
        let mut mains = JoinSet::new();
        for container in pod.spec.containers.clone() {
            pod.see(&container.name, |seen| seen.wait("ContainerCreating", None));
            mains.spawn(container::live(Arc::clone(pod), container, Role::Main, pod.stopping()));
        }
        while mains.join_next().await.is_some() {}
    }
    // Sidecars end last, with what is left of the time; a deadline that is moved meanwhile holds for them too.
    let deadline = stop.deadline().unwrap_or_else(|| Instant::now() + pod.grace());
    sidecars_end.send_replace(Some(deadline));
    loop {
        tokio::select! {
            ended = sidecars.join_next() => if ended.is_none() { return },
            () = stop.moved() => {
                sidecars_end.send_replace(stop.deadline());
            }
        }
    }
}

/// Waits until a sidecar has started; false when the pod is to stop before that.
async fn started(pod: &Pod, name: &str, stop: &mut Stop) -> bool {
    loop {
        // Listened for before looking, so that no change is missed.
        let changed = pod.changed.notified();
        if pod.seen(name, |seen| seen.started) == Some(true) {
            return true;
        }
        tokio::select! {
            () = changed => {}
            () = stop.asked() => return false,
        }
    }
}
