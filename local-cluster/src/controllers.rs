//! The controllers: each brings the objects of one kind to what they say they want to be.
//!
//! A controller reads the store itself, never a copy, so it always sees its own last write and needs none of
//! the bookkeeping that controllers elsewhere need against stale caches.

mod backends;
mod daemon_set;
mod deployment;
mod disruption_budget;
mod endpoint_slice;
mod endpoints;
mod event_expiry;
mod garbage;
mod job;
mod namespace;
mod ownership;
mod pod_control;
pub(crate) mod reconciler;
mod replica_set;
mod service_account;
mod stateful_set;
mod template_revision;

use tokio::task::JoinSet;

use crate::objects::Objects;

/// The running controllers. They end when this is stopped or dropped.
pub struct Controllers {
    tasks: JoinSet<()>,
}

/// What controllers need to know of the cluster.
#[derive(Debug, Clone, Default)]
pub struct ControllerSettings {
    /// The certificate, in PEM, that clients in pods check the API server against; empty when it speaks without TLS.
    pub ca_certificate: String,
}

impl Controllers {
    /// Must be called within a tokio runtime.
    pub fn start(objects: &Objects, settings: ControllerSettings) -> Controllers {
        let mut tasks = JoinSet::new();
        let mut run = |reconciler: Box<dyn reconciler::Reconciler>| {
            tasks.spawn(reconciler::run(objects.clone(), reconciler));
        };
        run(Box::new(deployment::Deployments::new(objects)));
        run(Box::new(replica_set::ReplicaSets::new(objects)));
        run(Box::new(stateful_set::StatefulSets::new(objects)));
        run(Box::new(daemon_set::DaemonSets::new(objects)));
        run(Box::new(job::Jobs::new(objects)));
        run(Box::new(endpoint_slice::EndpointSlices));
        run(Box::new(endpoints::AllEndpoints));
        run(Box::new(disruption_budget::DisruptionBudgets));
        run(Box::new(service_account::NamespaceDefaults { ca_certificate: settings.ca_certificate }));
        run(Box::new(namespace::Namespaces));
        run(Box::new(event_expiry::EventExpiry));
        tasks.spawn(garbage::run(objects.clone()));
        Controllers { tasks }
    }

    /// Stops all; none writes anything afterwards.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
