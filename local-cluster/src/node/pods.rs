//! The pods of the node: places new ones on it, starts them, passes on what changes, and ends them all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod as PodObject;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::NodeSettings;
use super::addresses::Addresses;
use super::pod::{Pod, live, refresh};
use super::routes::Routes;
use super::runtime::Runtime;
use crate::events::Events;
use crate::kinds::{self, is_going, name, namespace, stamp, text, typed, uid};
use crate::labels::map;
use crate::objects::{Change, Object, Objects, Part};

/// Tokens in volumes are looked after this often, besides every change of a ConfigMap or Secret.
const REFRESH: Duration = Duration::from_mins(1);

/// How long a pod waits until no Service leads to it, how often it looks, and how long others then have.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
const ROUTES_PACE: Duration = Duration::from_millis(5);
const FOLLOWERS: Duration = Duration::from_millis(100);

/// What everything on the node shares.
pub(crate) struct Shared {
    pub(super) objects: Objects,
    pub(super) events: Events,
    pub(super) settings: NodeSettings,
    pub(super) addresses: Arc<Addresses>,
    pub(super) runtime: Box<dyn Runtime>,
    pub(super) stopping: CancellationToken,
    pub(super) routes: Arc<Routes>,
    pods: Mutex<HashMap<String, Running>>,
}

struct Running {
    pod: Arc<Pod>,
    newest: watch::Sender<Object>,
    task: JoinHandle<()>,
}

impl Shared {
    pub(super) fn new(
        objects: &Objects,
        settings: NodeSettings,
        addresses: Arc<Addresses>,
        runtime: Box<dyn Runtime>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            objects: objects.clone(),
            events: Events::new(objects, "kubelet"),
            settings,
            addresses,
            runtime,
            stopping: CancellationToken::new(),
            routes: Arc::default(),
            pods: Mutex::default(),
        })
    }

    /// The pod of a name, if it is on this node.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let pods = self.pods.lock();
        // Of two with one name the older is on its way out.
        let newest = pods
            .values()
            .filter(|one| one.pod.namespace == namespace && one.pod.name == name)
            .max_by_key(|one| text(&one.newest.borrow(), "/metadata/creationTimestamp").to_owned());
        newest.map(|one| Arc::clone(&one.pod))
    }
}

/// Follows the pods until dropped.
pub(super) async fn run(node: Arc<Shared>) {
    let scheduler = Events::new(&node.objects, "default-scheduler");
    let mut pods = node.objects.watch(&kinds::pods());
    let mut config_maps = node.objects.watch(&kinds::config_maps());
    let mut secrets = node.objects.watch(&kinds::secrets());
    let mut accounts = node.objects.watch(&kinds::service_accounts());
    let mut refreshes = interval(REFRESH);
    loop {
        tokio::select! {
            change = pods.next() => match change {
                Some(change) => see(&node, &scheduler, change),
                None => return,
            },
            change = config_maps.next() => if !refresh_near(&node, change) { return },
            change = secrets.next() => if !refresh_near(&node, change) { return },
            change = accounts.next() => if !refresh_near(&node, change) { return },
            _ = refreshes.tick() => refresh_all(&node, |_| true),
        }
    }
}

fn see(node: &Arc<Shared>, scheduler: &Events, change: Change) {
    match change {
        Change::Added(pod) | Change::Modified(pod) => {
            if text(&pod, "/spec/nodeName").is_empty() {
                place(node, scheduler, &pod);
            } else if text(&pod, "/spec/nodeName") == node.settings.name {
                update(node, pod);
            }
        }
        Change::Deleted(pod) => {
            // Deleted without waiting for its processes.
            let pods = node.pods.lock();
            if let Some(running) = pods.get(uid(&pod)) {
                running.pod.stop_by(Instant::now());
                let gone = json!(stamp(Timestamp::now()));
                running.newest.send_modify(|object| {
                    if !is_going(object) {
                        Arc::make_mut(object)["metadata"]["deletionTimestamp"] = gone;
                    }
                });
            }
        }
    }
}

/// The scheduler of a cluster with one node.
fn place(node: &Arc<Shared>, scheduler: &Events, pod: &Object) {
    if is_going(pod) {
        return;
    }
    if let Some(why) = unfit(node, pod) {
        let message = format!("0/1 nodes are available: 1 {why}.");
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": stamp(Timestamp::now()),
        });
        let known = pod["status"]["conditions"][0]["message"] == message.as_str();
        if !known {
            scheduler.warning(&**pod, "FailedScheduling", &message);
            let _ = node.objects.modify(&kinds::pods(), namespace(pod), name(pod), Part::Status, |pod| {
                pod["status"]["phase"] = json!("Pending");
                pod["status"]["conditions"] = json!([condition]);
            });
        }
        return;
    }
    let here = json!(node.settings.name);
    let placed =
        node.objects.modify(&kinds::pods(), namespace(pod), name(pod), Part::AllButStatus, |object| {
            if uid(object) == uid(pod) {
                object["spec"]["nodeName"] = here;
            }
        });
    match placed {
        Ok(_) => {
            let where_to =
                format!("Successfully assigned {}/{} to {}", namespace(pod), name(pod), node.settings.name);
            scheduler.normal(&**pod, "Scheduled", &where_to);
        }
        Err(failure) if failure.code == 404 => {}
        Err(failure) => tracing::warn!("failed to place pod {}/{}: {failure}", namespace(pod), name(pod)),
    }
}

/// Why the node is not for this pod.
fn unfit(node: &Shared, pod: &Value) -> Option<String> {
    let object = node.objects.get(&kinds::nodes(), "", &node.settings.name)?;
    let labels = map(&object, "/metadata/labels");
    let wanted = map(pod, "/spec/nodeSelector");
    if wanted.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    (object["spec"]["unschedulable"] == true).then(|| "node(s) were unschedulable".to_owned())
}

fn update(node: &Arc<Shared>, object: Object) {
    let mut pods = node.pods.lock();
    if !pods.contains_key(uid(&object)) {
        if node.stopping.is_cancelled() {
            return;
        }
        let Some(spec) = typed::<PodObject>(&object).and_then(|pod| pod.spec) else { return };
        let (newest, seen) = watch::channel(Arc::clone(&object));
        let pod = Arc::new(Pod::new(Arc::clone(node), spec, seen));
        let task = tokio::spawn(live_and_leave(Arc::clone(node), Arc::clone(&pod)));
        pods.insert(uid(&object).to_owned(), Running { pod, newest, task });
    }
    let Some(running) = pods.get(uid(&object)) else { return };
    if is_going(&object) {
        let seconds = object["metadata"]["deletionGracePeriodSeconds"].as_u64();
        let grace = seconds.map_or_else(|| running.pod.grace(), Duration::from_secs);
        let deadline = Instant::now() + grace;
        if is_going(&running.newest.borrow()) {
            // Asked again, with less time.
            running.pod.stop_by(deadline);
        } else {
            tokio::spawn(stop_out_of_service(Arc::clone(node), Arc::clone(&running.pod), deadline));
        }
    }
    running.newest.send_replace(object);
}

/// Asks a pod to stop when no Service leads to it any more, and whoever else follows the endpoints, such as a
/// gateway, has had a moment. Elsewhere this is a race that pods must win with a `preStop` hook.
async fn stop_out_of_service(node: Arc<Shared>, pod: Arc<Pod>, deadline: Instant) {
    let grace = deadline.saturating_duration_since(Instant::now());
    let leave = async {
        let mut pace = interval(ROUTES_PACE);
        let mut led = false;
        while node.routes.lead_to(&pod.place()) {
            led = true;
            pace.tick().await;
        }
        if led {
            sleep(FOLLOWERS).await;
        }
    };
    let _ = timeout(LEAVE_LIMIT.min(grace / 2), leave).await;
    pod.stop_by(deadline);
}

async fn live_and_leave(node: Arc<Shared>, pod: Arc<Pod>) {
    Box::pin(live(Arc::clone(&pod))).await;
    node.pods.lock().remove(&pod.uid);
}

fn refresh_near(node: &Shared, change: Option<Change>) -> bool {
    let Some(Change::Added(object) | Change::Modified(object) | Change::Deleted(object)) = change else {
        return false;
    };
    refresh_all(node, |pod| pod.namespace == namespace(&object));
    true
}

fn refresh_all(node: &Shared, of: impl Fn(&Pod) -> bool) {
    let pods: Vec<Arc<Pod>> = node.pods.lock().values().map(|running| Arc::clone(&running.pod)).collect();
    pods.iter().filter(|pod| of(pod)).for_each(|pod| refresh(pod));
}

/// Ends all pods: each has its grace period, but no longer than `bound`.
pub(super) async fn end_all(node: &Arc<Shared>, bound: Duration) {
    node.stopping.cancel();
    let mut tasks = JoinSet::new();
    for (_, running) in node.pods.lock().drain() {
        running.pod.stop_by(Instant::now() + bound.min(running.pod.grace()));
        tasks.spawn(async move {
            // Killed at its deadline; what then still lives is dropped, and its keepers end it.
            let mut task = running.task;
            if timeout(bound + Duration::from_secs(2), &mut task).await.is_err() {
                task.abort();
            }
        });
    }
    tasks.join_all().await;
}

/// Lets go of all pods at once: their processes are killed.
pub(super) fn abandon(node: &Shared) {
    node.stopping.cancel();
    node.pods.lock().drain().for_each(|(_, running)| running.task.abort());
}

/// Removes everything in the node's folder that it made.
pub(super) fn clear(directory: &Path) {
    let pods = directory.join("pods");
    if let Err(error) = std::fs::remove_dir_all(&pods)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("failed to remove {}: {error}", pods.display());
    }
}
