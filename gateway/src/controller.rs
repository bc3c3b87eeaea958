//! What the control loop does, in one page.
//!
//! [`reconcile`] gathers changes from a source, translates everything there is, offers it to the data plane and
//! hands what became of it to two scribes that write to the API server when this replica is the [`leader`]:
//! [`status`] and [`kube_events`]. Nothing is offered before everything has been listed once ([`barrier`]).
//! The loop never waits for a scribe, and no scribe is in the way of the loop.

mod barrier;
mod kube_events;
mod leader;
mod reconcile;
mod status;

use std::sync::Arc;

use admin_api::ObjectVersion;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::model::{Model, Problem};
use crate::source::Feed;
use crate::translate::{Checks, TranslateSettings};

pub use leader::{Election, LeasePace};

/// The data plane's end: takes configurations, keeps their numbers.
pub trait Publish: Send + Sync {
    /// Makes a configuration serve. What can't serve comes back as problems; the rest serves all the same.
    fn publish(&self, offer: Offer) -> Published;

    /// What the first configuration still waits for; nothing once it has been offered.
    fn pending(&self, reasons: &[String]);
}

/// A configuration, and what it was made from.
#[derive(Debug, Clone)]
pub struct Offer {
    pub model: Model,
    pub problems: Vec<Problem>,
    /// Every object that has been taken in, in the version that has been, also those that changed nothing.
    pub objects: Vec<ObjectVersion>,
}

/// What became of an offer.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Number of the configuration that serves now.
    pub generation: u64,
    /// What could not be compiled. The origin names the object.
    pub problems: Vec<Problem>,
}

/// What an operator decides about the control loop.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    pub translate: TranslateSettings,
    /// Addresses for the status of Ingresses; win over the Service.
    pub publish_addresses: Vec<String>,
    /// Namespace and name of the Service whose addresses the status of Ingresses shows.
    pub publish_service: Option<(String, String)>,
    pub update_status: bool,
    pub emit_events: bool,
    /// Namespace and name of the pod this is.
    pub pod: Option<(String, String)>,
    /// How replicas agree on who writes; without it this one does.
    pub election: Option<Election>,
}

/// The control loop of one process.
pub struct Controller {
    pub settings: ControllerSettings,
    pub checks: Checks,
    pub publish: Arc<dyn Publish>,
    /// Where status and Events are written; nowhere when objects come from files.
    pub client: Option<Client>,
    /// Cancelled when this process is about to stop: it goes on following changes, but leaves writing to others.
    pub retire: CancellationToken,
}

impl Controller {
    /// Runs until told to stop, or until the source ends.
    pub async fn run(self, feed: Feed, stop: CancellationToken) {
        let Controller { settings, checks, publish, client, retire } = self;
        let stop = stop.child_token();
        let (status_plan, status_plans) = watch::channel(status::Plan::default());
        let (event_plan, event_plans) = watch::channel(kube_events::Plan::default());
        let (leading, leads) = watch::channel(settings.election.is_none());
        let mut scribes = JoinSet::new();
        if let Some(client) = client {
            if settings.update_status {
                let manager = status::field_manager(&settings.translate.ingress_class);
                let scribe = status::Scribe::new(client.clone(), manager, leads.clone());
                scribes.spawn(scribe.run(status_plans, stop.clone()));
            }
            if settings.emit_events {
                let scribe = kube_events::Scribe::new(client.clone(), settings.pod.clone(), leads);
                scribes.spawn(scribe.run(event_plans, stop.clone()));
            }
            if let Some(election) = settings.election.clone() {
                scribes.spawn(leader::run(client, election, leading, retire.clone()));
            }
        }
        let plans = reconcile::Plans { status: status_plan, events: event_plan };
        reconcile::Loop::new(settings, checks, publish, plans).run(feed, stop.clone()).await;
        stop.cancel();
        // The leader gives its lease back.
        retire.cancel();
        while scribes.join_next().await.is_some() {}
    }
}
