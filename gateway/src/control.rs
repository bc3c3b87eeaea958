//! Starts what feeds the data plane: a watch on Kubernetes, a directory of objects, or a declarative file. Joins
//! the control plane's contracts to the data plane that meets them.

mod checks;
mod declarative_file;

use std::sync::Arc;

use kube::Client;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::checks::checks;
pub use self::declarative_file::read as read_declarative;
use crate::admin::Declarative;
use crate::args::{self, KubernetesArgs};
use crate::controller::{Controller, ControllerSettings, Election, LeasePace, Offer, Publish, Published};
use crate::readiness::{Pending, Readiness};
use crate::settings::{Settings, SourceSettings};
use crate::snapshot::publish::{self, Publisher};
use crate::source::kubernetes::WatchSettings;
use crate::source::{directory, kubernetes};
use crate::translate::TranslateSettings;

/// The lease that Kong's controller uses, so that the two never write status side by side.
const LEASE: &str = "5b374a9e.konghq.com";

/// A running source.
pub struct Source {
    /// Takes `POST /config`, if configurations come that way.
    pub declarative: Option<Arc<dyn Declarative>>,
    tasks: Vec<JoinHandle<()>>,
    retire: CancellationToken,
}

impl Source {
    /// Leaves the writing of status and Events to other replicas from now on.
    pub fn retire(&self) {
        self.retire.cancel();
    }

    /// Waits until what the source started has ended.
    pub async fn finish(self) {
        for task in self.tasks {
            // A task that panicked has said so.
            let _ = task.await;
        }
    }
}

/// Starts the source that the settings name. `configured` is let go of when the first configuration serves.
///
/// # Errors
/// What can't be used, in words.
pub async fn start(
    settings: &Settings,
    publisher: &Arc<Publisher>,
    readiness: &Readiness,
    configured: Pending,
    stop: &CancellationToken,
) -> Result<Source, String> {
    let publish = Arc::new(ToPublisher {
        publisher: Arc::clone(publisher),
        readiness: readiness.clone(),
        waiting: Mutex::new(vec![configured]),
    });
    let retire = CancellationToken::new();
    match &settings.source {
        SourceSettings::Declarative(path) => {
            let file = declarative_file::start(path, publisher)?;
            publish.waiting.lock().clear();
            Ok(Source { declarative: Some(file), tasks: Vec::new(), retire })
        }
        SourceSettings::Directory { path, kubernetes } => {
            let (source, feed) = directory::open(path).map_err(|error| error.to_string())?;
            let controller = controller(kubernetes, publish, None, retire.clone());
            let tasks = vec![
                tokio::spawn(source.run(stop.clone())),
                tokio::spawn(controller.run(feed, stop.clone())),
            ];
            Ok(Source { declarative: None, tasks, retire })
        }
        SourceSettings::Kubernetes(args) => {
            let access = kubernetes::connect(args.kubeconfig.as_deref(), None).await;
            let client = access.map_err(|error| format!("{error}; or give --objects or --config"))?.client;
            let publish_service = args.publish_service.as_deref().and_then(split);
            let watch = WatchSettings {
                namespaces: args.watch_namespace.clone(),
                publish_service,
                ..WatchSettings::default()
            };
            let (source, feed) = kubernetes::open(client.clone(), watch);
            let controller = controller(args, publish, Some(client), retire.clone());
            let tasks = vec![
                tokio::spawn(source.run(stop.clone())),
                tokio::spawn(controller.run(feed, stop.clone())),
            ];
            Ok(Source { declarative: None, tasks, retire })
        }
    }
}

fn controller(
    args: &KubernetesArgs,
    publish: Arc<dyn Publish>,
    client: Option<Client>,
    retire: CancellationToken,
) -> Controller {
    let domain = args.cluster_domain.as_str();
    let pod = args::pod();
    let election = pod.clone().filter(|_| client.is_some()).map(|(namespace, identity)| Election {
        namespace,
        name: LEASE.to_owned(),
        identity,
        pace: LeasePace::default(),
    });
    Controller {
        settings: ControllerSettings {
            translate: TranslateSettings {
                ingress_class: args.ingress_class.clone(),
                cluster_domain: (!domain.is_empty()).then(|| domain.to_owned()),
                drain_support: false,
                beside_sidecar: args.sidecar,
            },
            publish_addresses: args.publish_status_address.clone(),
            publish_service: args.publish_service.as_deref().and_then(split),
            update_status: args.update_status,
            emit_events: args.update_status,
            pod,
            election,
        },
        checks: checks(),
        publish,
        client,
        retire,
    }
}

/// `namespace/name`.
fn split(text: &str) -> Option<(String, String)> {
    let (namespace, name) = text.split_once('/')?;
    Some((namespace.to_owned(), name.to_owned()))
}

/// Hands the controller's offers to the publisher, and what it waits for to readiness.
struct ToPublisher {
    publisher: Arc<Publisher>,
    readiness: Readiness,
    /// What readiness waits for.
    waiting: Mutex<Vec<Pending>>,
}

impl Publish for ToPublisher {
    fn publish(&self, offer: Offer) -> Published {
        let Offer { model, problems, objects } = offer;
        let (published, compiled) = self.publisher.publish(publish::Offer { model, problems, objects });
        self.waiting.lock().clear();
        Published { generation: published.generation, problems: compiled }
    }

    fn pending(&self, reasons: &[String]) {
        let next = reasons.iter().map(|reason| self.readiness.pending(reason.clone())).collect();
        // The new ones are there before the old ones go, so that readiness doesn't flicker.
        let _before = std::mem::replace(&mut *self.waiting.lock(), next);
    }
}
