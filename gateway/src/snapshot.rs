//! The model compiled for traffic: immutable, numbered, shared by all workers. An exchange ends on the snapshot
//! it began with.

pub mod certificates;
pub mod compile;
pub mod publish;

use std::sync::Arc;

use self::certificates::Certificates;
use crate::exchange::{Exchange, Matched};
use crate::model::{Model, Problem, Route, Service};
use crate::plugins::{Chain, Plugins};
use crate::routing::{RouteRequest, Router};
use crate::telemetry::stats::RouteStats;
use crate::upstream::connect::UpstreamTls;
use crate::upstream::group::{Endpoint, Group};
use crate::upstream::retry_budget::RetryBudget;

/// One generation, ready to serve.
pub struct Snapshot {
    /// 0 is the empty one before the first.
    pub generation: u64,
    pub model: Arc<Model>,
    pub routes: Box<[CompiledRoute]>,
    pub certificates: Certificates,
    /// What could not be compiled, and what happens instead.
    pub problems: Vec<Problem>,
    router: Router,
    unmatched: Arc<Chain>,
    unmatched_stats: Arc<RouteStats>,
    /// Kept for the next generation to take over from.
    plugins: Plugins,
    groups: Vec<Arc<Group>>,
}

/// A route with everything its requests need.
pub struct CompiledRoute {
    pub route: Arc<Route>,
    pub service: Option<Arc<CompiledService>>,
    pub chain: Arc<Chain>,
    pub stats: Arc<RouteStats>,
}

/// Where a route leads.
pub struct CompiledService {
    pub service: Arc<Service>,
    pub place: Place,
    pub tls: Option<UpstreamTls>,
    pub budget: Arc<RetryBudget>,
}

/// The targets of a service.
pub enum Place {
    /// The service names one host itself.
    Direct(Endpoint),
    /// The service names an upstream.
    Group(Arc<Group>),
    /// The service can't be used: its settings are wrong.
    Broken(String),
}

impl Snapshot {
    /// The route that takes the request.
    pub fn find(&self, exchange: &Exchange) -> Option<Matched> {
        let request = &exchange.request;
        let found = self.router.find(&RouteRequest {
            method: request.method_bytes(),
            host: request.fields.get(crate::http::name::Name::Host),
            port: exchange.client.forwarded_port(),
            path: &exchange.path,
            server_name: exchange.client.tls.as_ref().and_then(|tls| tls.server_name.as_deref()),
            fields: &request.fields,
        })?;
        let service = self.routes[found.index].service.as_ref();
        Some(Matched {
            route: Arc::clone(found.route),
            service: service.map(|service| Arc::clone(&service.service)),
            index: found.index,
            path: found.matched,
            captures: found.captures,
            named_captures: found.named_captures,
        })
    }

    /// The matched route.
    pub fn route(&self, exchange: &Exchange) -> Option<&CompiledRoute> {
        exchange.matched.as_ref().map(|matched| &self.routes[matched.index])
    }

    /// Whether any exchange may have a trace.
    pub fn is_traced(&self) -> bool {
        self.plugins.is_traced()
    }

    /// The plugins that run for an exchange; without a route those that apply everywhere.
    pub fn chain(&self, exchange: &Exchange) -> &Chain {
        self.route(exchange).map_or(&self.unmatched, |route| &route.chain)
    }

    /// Where the exchange is counted.
    pub fn stats(&self, exchange: &Exchange) -> &RouteStats {
        self.route(exchange).map_or(&self.unmatched_stats, |route| &route.stats)
    }

    /// Upstreams with their targets.
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }
}
