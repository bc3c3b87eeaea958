//! `GET /status`.

use admin_api::Status;
use admin_api::feed::Totals;
use admin_api::status::{Deliveries, Problem, TargetHealth};
use axum::Json;
use axum::extract::State;

use super::Admin;
use crate::model;
use crate::plugins::outbox::OutboxTotals;
use crate::plugins::registry::Registry;
use crate::schema::PluginSchemas;
use crate::telemetry::stats::RouteLabel;

pub(super) async fn show(State(admin): State<Admin>) -> Json<Status> {
    let published = admin.publisher.subscribe().borrow().clone();
    let snapshot = admin.publisher.live().load_full();
    let targets = snapshot.groups().iter().flat_map(|group| {
        group.health().into_iter().map(|(address, health)| TargetHealth {
            upstream: group.upstream.name.clone(),
            address,
            health: health.to_owned(),
        })
    });
    Json(Status {
        instance: admin.instance.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: published.generation,
        generation_since_ms: published.since_ms,
        source: admin.source.to_owned(),
        pending: admin.readiness.missing(),
        listeners: admin.listeners.to_vec(),
        problems: published.problems.iter().map(problem).collect(),
        objects: published.objects.clone(),
        targets: targets.collect(),
        log_entries: deliveries(&admin.environment.log_totals()),
        spans: deliveries(&admin.environment.span_totals()),
    })
}

fn deliveries(totals: &OutboxTotals) -> Deliveries {
    Deliveries {
        sent: totals.sent,
        waiting: totals.waiting + totals.sending,
        lost: totals.lost(),
        failed_attempts: totals.failed_attempts,
    }
}

impl Admin {
    /// All numbers, with the names of what serves.
    pub(super) fn totals(&self) -> Totals {
        let snapshot = self.publisher.live().load_full();
        let labels: Vec<RouteLabel<'_>> = snapshot
            .routes
            .iter()
            .map(|compiled| RouteLabel {
                id: compiled.route.id,
                name: compiled.route.name.as_deref().unwrap_or("unnamed"),
                service: compiled
                    .service
                    .as_ref()
                    .and_then(|service| service.service.name.as_deref())
                    .unwrap_or_default(),
                plugins: compiled.chain.names().collect(),
            })
            .collect();
        let mut totals = self.stats.totals(self.clock.unix(), &labels, &Registry.names());
        totals.generation = snapshot.generation;
        totals.events_dropped = self.access_log.as_ref().map_or(0, |log| log.dropped());
        totals.log_entries_dropped = self.environment.log_totals().lost();
        totals.spans_dropped = self.environment.span_totals().lost();
        for group in snapshot.groups() {
            for (address, health) in group.health() {
                if let Some(target) = totals.targets.get_mut(&address) {
                    health.clone_into(&mut target.health);
                }
            }
        }
        totals
    }
}

/// A problem in the admin port's words.
pub(super) fn problem(problem: &model::Problem) -> Problem {
    Problem {
        object: problem.origin.to_string(),
        field: problem.field.clone(),
        message: problem.message.clone(),
        effect: problem.effect.clone(),
        advice: problem.advice,
    }
}
