//! One watch for every kind and namespace, each on its own: what one of them meets never stops the others.
//!
//! The API server may be away, at the start or later: what was read stays, and the watch goes on trying, with
//! growing pauses. A kind that the server doesn't know counts as empty until it does.

mod client;
mod pace;
mod raw;
mod trouble;

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Change, Changes, Feed, Listing, Scope, channel};
use crate::objects::Kind;
use pace::Pauses;
use raw::Raw;
use trouble::Trouble;

pub use client::{Access, ConnectError, connect};
pub use pace::Pace;

/// A server that takes longer between two pages of a list is taken to be stuck.
const LIST_STEP: Duration = Duration::from_mins(1);

/// What to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchSettings {
    /// Only these namespaces; all when empty.
    pub namespaces: Vec<String>,
    /// The Service whose address is published, if it may be outside of them.
    pub publish_service: Option<(String, String)>,
    /// Only Secrets with these labels; all when absent.
    pub secret_selector: Option<String>,
    /// How long to wait after a failure.
    pub pace: Pace,
}

/// Watches an API server until told to stop.
pub struct Kubernetes {
    client: Client,
    settings: WatchSettings,
    scopes: Vec<Scope>,
    changes: Changes,
}

/// A source that reads from an API server. Nothing is asked of it before [`Kubernetes::run`].
pub fn open(client: Client, settings: WatchSettings) -> (Kubernetes, Feed) {
    let scopes = scopes(&settings);
    let (changes, feed) = channel(scopes.clone());
    (Kubernetes { client, settings, scopes, changes }, feed)
}

impl Kubernetes {
    pub async fn run(self, stop: CancellationToken) {
        let mut watches = JoinSet::new();
        for scope in self.scopes {
            let mut config = watcher::Config::default();
            if scope.kind == Kind::Secret {
                config.label_selector.clone_from(&self.settings.secret_selector);
            }
            if let Some(name) = &scope.name {
                config = config.fields(&format!("metadata.name={name}"));
            }
            let watch = Watch {
                api: api(&self.client, &scope),
                optional: is_optional(&scope, &self.settings),
                scope,
                config,
                changes: self.changes.clone(),
                pace: self.settings.pace,
            };
            watches.spawn(watch.run());
        }
        stop.cancelled().await;
        watches.shutdown().await;
    }
}

/// Every kind in every namespace that is watched, cluster-scoped kinds once.
fn scopes(settings: &WatchSettings) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        if settings.namespaces.is_empty() || !kind.is_namespaced() {
            scopes.push(Scope::everywhere(kind));
        } else {
            scopes.extend(settings.namespaces.iter().map(|namespace| Scope {
                kind,
                namespace: Some(namespace.clone()),
                name: None,
            }));
        }
    }
    if let Some((namespace, name)) = &settings.publish_service
        && !settings.namespaces.is_empty()
        && !settings.namespaces.contains(namespace)
    {
        let (namespace, name) = (Some(namespace.clone()), Some(name.clone()));
        scopes.push(Scope { kind: Kind::Service, namespace, name });
    }
    scopes
}

/// Whether the gateway does its work without being allowed to read it. Cluster-scoped kinds can't be read by
/// one that has rights in some namespaces only.
fn is_optional(scope: &Scope, settings: &WatchSettings) -> bool {
    match scope.kind {
        Kind::IngressClass | Kind::IngressClassParameters | Kind::KongUpstreamPolicy => true,
        Kind::KongClusterPlugin => !settings.namespaces.is_empty(),
        Kind::Service => scope.name.is_some(),
        _ => false,
    }
}

fn api(client: &Client, scope: &Scope) -> Api<Raw> {
    match &scope.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &scope.kind),
        None => Api::all_with(client.clone(), &scope.kind),
    }
}

/// One watch.
struct Watch {
    api: Api<Raw>,
    scope: Scope,
    optional: bool,
    config: watcher::Config,
    changes: Changes,
    pace: Pace,
}

/// How far it is.
#[derive(Default)]
struct Progress {
    /// Gathered until the list is complete, so that what is known is replaced in one step.
    list: Option<Listing>,
    was_listed: bool,
    /// What the controller was last told.
    trouble: Option<String>,
}

impl Progress {
    /// How long to wait for the next event. A watch may be silent for ever: the watcher itself notices when
    /// the connection is dead.
    fn patience(&self, pace: Pace) -> Duration {
        match (&self.list, &self.trouble) {
            (Some(_), _) => LIST_STEP,
            (None, Some(_)) => pace.settled,
            (None, None) => Duration::MAX,
        }
    }
}

impl Watch {
    /// Ends only when nobody listens any more.
    async fn run(self) {
        let mut progress = Progress::default();
        let mut pauses = Pauses::new(self.pace);
        loop {
            let mut stream = pin!(watcher::watcher(self.api.clone(), self.config.clone()));
            let stuck = loop {
                let patience = progress.patience(self.pace);
                let next = tokio::time::timeout(patience, stream.next()).await;
                let told = match next {
                    Err(_) if progress.list.is_some() => break Trouble::stuck(&self.scope, LIST_STEP),
                    // An attempt that fails does so sooner: the watch is on again.
                    Err(_) => self.tell_restored(&mut progress).await,
                    Ok(None) => return,
                    Ok(Some(Ok(event))) => {
                        if !matches!(event, Event::Init | Event::InitApply(_)) {
                            pauses.reset();
                        }
                        self.tell_event(event, &mut progress).await
                    }
                    Ok(Some(Err(error))) => {
                        let trouble = Trouble::of(&self.scope, &error);
                        let pause = if trouble.is_missing() { self.pace.missing } else { pauses.next() };
                        let told = self.tell_trouble(trouble, &mut progress).await;
                        tokio::time::sleep(pause).await;
                        told
                    }
                };
                if told.is_err() {
                    return;
                }
            };
            if self.tell_trouble(stuck, &mut progress).await.is_err() {
                return;
            }
        }
    }

    async fn tell_event(&self, event: Event<Raw>, progress: &mut Progress) -> Result<(), NobodyListens> {
        match event {
            Event::Init => {
                let scope = self.scope.clone();
                progress.list = Some(Listing { scope, objects: Vec::new(), unreadable: Vec::new() });
                return Ok(());
            }
            Event::InitApply(raw) => {
                let list = progress.list.get_or_insert_with(|| Listing {
                    scope: self.scope.clone(),
                    objects: Vec::new(),
                    unreadable: Vec::new(),
                });
                match raw.read(self.scope.kind) {
                    Ok(object) => list.objects.push(object),
                    Err(unreadable) => list.unreadable.push(unreadable),
                }
                return Ok(());
            }
            Event::InitDone => {
                let Some(list) = progress.list.take() else { return Ok(()) };
                debug!(scope = %self.scope, objects = list.objects.len(), "listed");
                progress.was_listed = true;
                self.tell(Change::Listed(vec![list])).await?;
            }
            Event::Apply(raw) => {
                let change = match raw.read(self.scope.kind) {
                    Ok(object) => Change::Applied(object),
                    Err(unreadable) => Change::Unreadable(unreadable),
                };
                self.tell(change).await?;
            }
            Event::Delete(raw) => self.tell(Change::Deleted(raw.key(self.scope.kind))).await?,
        }
        self.tell_restored(progress).await
    }

    async fn tell_restored(&self, progress: &mut Progress) -> Result<(), NobodyListens> {
        if progress.trouble.take().is_some() {
            self.tell(Change::Restored(self.scope.clone())).await?;
        }
        Ok(())
    }

    /// Says what is wrong, once as long as it stays the same.
    async fn tell_trouble(&self, trouble: Trouble, progress: &mut Progress) -> Result<(), NobodyListens> {
        progress.list = None;
        if trouble.is_passing() {
            debug!(scope = %self.scope, reason = trouble.text(), "watch starts over");
            return Ok(());
        }
        if progress.trouble.as_deref() != Some(trouble.text()) {
            warn!(scope = %self.scope, reason = trouble.text(), "can't watch; trying again");
            progress.trouble = Some(trouble.text().to_owned());
            self.tell(Change::Trouble(self.scope.clone(), trouble.text().to_owned())).await?;
        }
        let counts_as_empty = trouble.is_missing() || (trouble.is_forbidden() && self.optional);
        if counts_as_empty && !progress.was_listed {
            progress.was_listed = true;
            let (objects, unreadable) = (Vec::new(), Vec::new());
            let empty = Listing { scope: self.scope.clone(), objects, unreadable };
            self.tell(Change::Listed(vec![empty])).await?;
        }
        Ok(())
    }

    async fn tell(&self, change: Change) -> Result<(), NobodyListens> {
        self.changes.send(change).await.map_err(|_| NobodyListens)
    }
}

/// The controller is gone.
struct NobodyListens;
