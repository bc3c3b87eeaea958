//! Model plus previous snapshot to next snapshot. What can't be compiled costs itself, visibly.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::certificates::Certificates;
use super::{CompiledRoute, CompiledService, Place, Snapshot};
use crate::model::{Certificate, Model, Origin, Problem, Service};
use crate::plugins::{Environment, Plugins};
use crate::routing::Router;
use crate::telemetry::stats::Stats;
use crate::upstream::connect::{TlsWishes, UpstreamTls};
use crate::upstream::group::{Endpoint, Group};
use crate::upstream::retry_budget::RetryBudget;

/// Compiles models; has what outlives them.
pub struct Compiler {
    pub environment: Environment,
    pub stats: Arc<Stats>,
}

impl Compiler {
    /// What serves before the first configuration: nothing.
    pub fn empty(&self) -> Snapshot {
        self.compile(Arc::default(), 0, None)
    }

    /// Compiles a model. State is taken over from the previous snapshot by key.
    pub fn compile(&self, model: Arc<Model>, generation: u64, previous: Option<&Snapshot>) -> Snapshot {
        let previous_plugins = previous.map(|snapshot| &snapshot.plugins);
        let (plugins, mut problems) = Plugins::compile(&model, &self.environment, previous_plugins);
        let (certificates, refused) = Certificates::new(model.certificates.values());
        problems.extend(refused.into_iter().map(|(certificate, cause)| refusal(certificate, cause)));
        let groups = self.groups(&model, previous);
        let by_name: HashMap<&str, &Arc<Group>> =
            groups.iter().map(|group| (group.upstream.name.as_str(), group)).collect();
        let known = previous.into_iter().flat_map(|snapshot| &snapshot.routes);
        let budgets: HashMap<Uuid, &Arc<RetryBudget>> = known
            .filter_map(|route| route.service.as_ref())
            .map(|known| (known.service.id, &known.budget))
            .collect();
        let services: HashMap<Uuid, Arc<CompiledService>> = model
            .services
            .values()
            .filter(|service| service.enabled)
            .map(|service| {
                let (place, tls) = place(service, &model, &by_name, &mut problems);
                let budget = budgets.get(&service.id).map_or_else(
                    || Arc::new(RetryBudget::new(self.stats.workers())),
                    |budget| Arc::clone(budget),
                );
                let service = Arc::new(service.clone());
                (service.id, Arc::new(CompiledService { service, place, tls, budget }))
            })
            .collect();
        // Routes of a disabled service do not exist, as in Kong.
        let enabled = |id: &Uuid| services.contains_key(id);
        let routes: Box<[CompiledRoute]> = model
            .routes
            .values()
            .filter(|route| route.service.as_ref().is_none_or(enabled))
            .map(|route| CompiledRoute {
                service: route.service.and_then(|id| services.get(&id).cloned()),
                chain: plugins.of_route(route.id),
                stats: self.stats.route(route.id),
                route: Arc::new(route.clone()),
            })
            .collect();
        let list = routes.iter().map(|compiled| Arc::clone(&compiled.route));
        let router = match previous {
            Some(previous) => previous.router.next(list),
            None => Router::new(list),
        };
        Snapshot {
            generation,
            routes,
            certificates,
            problems,
            router,
            unmatched: plugins.unmatched(),
            unmatched_stats: self.stats.unmatched(),
            plugins,
            groups,
            model,
        }
    }

    fn groups(&self, model: &Model, previous: Option<&Snapshot>) -> Vec<Arc<Group>> {
        let before: HashMap<Uuid, &Arc<Group>> = previous
            .into_iter()
            .flat_map(|snapshot| &snapshot.groups)
            .map(|group| (group.upstream.id, group))
            .collect();
        model
            .upstreams
            .values()
            .map(|upstream| match before.get(&upstream.id) {
                Some(group) if group.upstream == *upstream => Arc::clone(group),
                known => Arc::new(Group::new(upstream, &self.stats, known.map(|group| &***group))),
            })
            .collect()
    }
}

fn place(
    service: &Service,
    model: &Model,
    groups: &HashMap<&str, &Arc<Group>>,
    problems: &mut Vec<Problem>,
) -> (Place, Option<UpstreamTls>) {
    let mut place = match groups.get(service.host.as_str()) {
        Some(group) => Place::Group(Arc::clone(group)),
        None => Place::Direct(Endpoint::new(&service.host, service.port)),
    };
    let mut tls = None;
    if service.protocol.is_tls() {
        match upstream_tls(service, model, &place) {
            Ok(made) => tls = Some(made),
            Err(cause) => {
                problems.push(Problem {
                    origin: service
                        .origin
                        .clone()
                        .unwrap_or_else(|| Origin::new(format!("service {}", service.id))),
                    field: String::new(),
                    message: cause.clone(),
                    effect: "requests to the service are answered with 502".to_owned(),
                    advice: false,
                });
                place = Place::Broken(cause);
            }
        }
    }
    (place, tls)
}

fn upstream_tls(service: &Service, model: &Model, place: &Place) -> Result<UpstreamTls, String> {
    let certificate =
        |id: &Uuid| model.certificates.get(id).ok_or_else(|| format!("certificate {id} does not exist"));
    let authorities = service
        .ca_certificates
        .iter()
        .flatten()
        .map(|id| certificate(id).map(|certificate| certificate.cert.as_str()))
        .collect::<Result<Vec<_>, _>>()?;
    let client = service.client_certificate.as_ref().map(certificate).transpose()?;
    let name = match place {
        Place::Group(group) => group.server_name(),
        _ => &service.host,
    };
    UpstreamTls::new(&TlsWishes {
        name,
        verify: service.tls_verify.unwrap_or(false),
        http2: service.protocol.is_grpc(),
        authorities: &authorities,
        client: client.map(|certificate| (certificate.cert.as_str(), certificate.key.expose())),
    })
}

fn refusal(certificate: &Certificate, cause: String) -> Problem {
    Problem {
        origin: certificate
            .origin
            .clone()
            .unwrap_or_else(|| Origin::new(format!("certificate {}", certificate.id))),
        field: String::new(),
        message: cause,
        effect: "its server names get another certificate".to_owned(),
        advice: false,
    }
}
