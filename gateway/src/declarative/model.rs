//! From checked entities to the model.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::entities::{certificates, consumers, plugins, routes, services, upstreams};
use super::entity::{Entities, Entity};
use crate::model::{Model, Protocol, Target};

/// Nothing is judged here: a file with faults doesn't get this far.
pub(super) fn build(entities: &Entities, now: i64) -> Model {
    let mut model = Model::default();
    let mut targets: BTreeMap<Uuid, Vec<Target>> = BTreeMap::new();
    for entity in of(entities, "targets") {
        if let (Some(upstream), Some(target)) = (entity.reference("upstream"), upstreams::target(entity)) {
            targets.entry(upstream).or_default().push(target);
        }
    }
    for entity in &entities.all {
        let id = entity.id;
        match entity.section.name {
            "services" => drop(model.services.insert(id, services::to_model(entity, now))),
            "routes" => drop(model.routes.insert(id, routes::to_model(entity, now))),
            "plugins" => drop(model.plugins.insert(id, plugins::to_model(entity))),
            "consumers" => drop(model.consumers.insert(id, consumers::to_model(entity, now))),
            "certificates" => drop(model.certificates.insert(id, certificates::to_model(entity))),
            "ca_certificates" => drop(model.ca_certificates.insert(id, certificates::authority(entity))),
            "upstreams" => {
                let targets = targets.remove(&id).unwrap_or_default();
                model.upstreams.insert(id, upstreams::to_model(entity, targets, now));
            }
            _ => {}
        }
    }
    for entity in &entities.all {
        attach(entity, &mut model);
    }
    leave_out_streams(&mut model);
    for consumer in model.consumers.values_mut() {
        // Whether they were nested, and how the lists were ordered, makes no difference.
        consumer.credentials.sort_by_key(|credential| credential.id);
    }
    model
}

/// Routes of TCP, TLS and UDP, and what applies to them. They say nothing about HTTP, so as routes of HTTP they
/// would take every request.
fn leave_out_streams(model: &mut Model) {
    let http = |protocol: &Protocol| {
        !matches!(protocol, Protocol::Tcp | Protocol::Tls | Protocol::TlsPassthrough | Protocol::Udp)
    };
    model.routes.retain(|_, route| route.protocols.iter().any(http));
    let routes = &model.routes;
    model.plugins.retain(|_, plugin| plugin.scope.route.is_none_or(|route| routes.contains_key(&route)));
}

/// Gives what is an entity of its own only in a file to the entity it belongs to.
fn attach(entity: &Entity, model: &mut Model) {
    if let Some(consumer) = entity.reference("consumer").and_then(|id| model.consumers.get_mut(&id)) {
        consumer.credentials.extend(consumers::credential(entity));
        if entity.section.name == "acls" {
            consumer.groups.extend(consumers::group(entity));
        }
    }
    if entity.section.name == "snis"
        && let Some(certificate) =
            entity.reference("certificate").and_then(|id| model.certificates.get_mut(&id))
    {
        certificate.snis.extend(certificates::server_name(entity));
    }
}

fn of<'e>(entities: &'e Entities, section: &'static str) -> impl Iterator<Item = &'e Entity> {
    entities.all.iter().filter(move |entity| entity.section.name == section)
}
