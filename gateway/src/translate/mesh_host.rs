//! Beside a sidecar the Host decides, not the address: a mesh looks up where a request goes by the name it is sent
//! under. What leaves under any other is passed on as it is, in clear and past every policy of the mesh, and a backend
//! that insists on mTLS refuses it. All that shows of this is a 503, so it is said beforehand.
//!
//! Known to a mesh are the names and addresses of Services. It may know others by its own kinds (`ServiceEntry`,
//! `VirtualService`); those aren't read here. Left alone is what goes to names outside of the cluster, and what goes out
//! as TLS, whose Host nobody sees.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Service as KubeService, ServiceSpec};
use uuid::Uuid;

use super::problems::{Problems, annotation};
use super::routes::BuiltRoute;
use super::services::{BuiltService, Services, is_sent_to_itself};
use super::{Context, names};
use crate::model::{Model, Route};
use crate::objects::{ObjectKey, annotations};
use crate::store::Store;

const EFFECT: &str = "its sidecar passes such requests on in clear, past the mesh's policies; a backend that insists on \
                      mTLS refuses them, seen as 503";
/// The domain of Services' names, unless the operator gives another.
const DOMAIN: &str = "cluster.local";

/// What a mesh knows.
struct Known<'a> {
    store: &'a Store,
    domain: &'a str,
    addresses: BTreeSet<&'a str>,
}

/// A Service inside of the mesh that is sent to in clear.
struct Destination<'a> {
    object: &'a ObjectKey,
    own: OwnHost,
}

/// The Host that requests leave under where the client's isn't kept.
enum OwnHost {
    Known,
    /// Written on the Service, and the name of none.
    Written(String),
    /// That of a pod.
    PodAddress,
}

/// Blames Ingresses that keep the client's Host, and Services whose own Host is no better.
pub(super) fn report(
    context: &Context<'_>,
    routes: &[BuiltRoute],
    services: &Services,
    model: &Model,
    problems: &mut Problems,
) {
    if !context.settings.beside_sidecar {
        return;
    }
    let known = Known::new(context);
    let destinations: BTreeMap<Uuid, Destination<'_>> = services
        .iter()
        .filter_map(|service| Some((service.id, Destination::of(service, context, model, &known)?)))
        .collect();
    for built in routes {
        let Some(route) = model.routes.get(&built.id) else { continue };
        let Some(to) = route.service.and_then(|id| destinations.get(&id)) else { continue };
        if !route.preserve_host {
            to.report(problems);
        } else if !known.all_hosts_of(route) {
            to.report_keeping(&built.ingress, problems);
        }
    }
}

impl<'a> Known<'a> {
    fn new(context: &Context<'a>) -> Known<'a> {
        let addresses = |spec: &'a ServiceSpec| {
            let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
            all.map(String::as_str).filter(|address| !matches!(*address, "" | "None"))
        };
        let services = context.store.all::<KubeService>();
        Known {
            store: context.store,
            domain: context
                .settings
                .cluster_domain
                .as_deref()
                .filter(|domain| !domain.is_empty())
                .unwrap_or(DOMAIN),
            addresses: services.filter_map(|service| service.spec.as_ref()).flat_map(addresses).collect(),
        }
    }

    /// `service.namespace`, with `.svc` and the cluster's domain or without, or a Service's address; with a port or
    /// without.
    fn host(&self, host: &str) -> bool {
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let name = host.strip_suffix('.').unwrap_or(&host);
        let name = name.strip_suffix(self.domain).map_or(name, |rest| rest.strip_suffix('.').unwrap_or(name));
        let name = name.strip_suffix(".svc").unwrap_or(name);
        let exists =
            |(service, namespace): (&str, &str)| self.store.get::<KubeService>(namespace, service).is_some();
        self.addresses.contains(host.as_str()) || name.split_once('.').is_some_and(exists)
    }

    /// A route without hosts takes any.
    fn all_hosts_of(&self, route: &Route) -> bool {
        route.hosts.as_ref().is_some_and(|hosts| hosts.iter().all(|host| self.host(host)))
    }
}

impl<'a> Destination<'a> {
    fn of(
        service: &'a BuiltService,
        context: &Context<'_>,
        model: &Model,
        known: &Known<'_>,
    ) -> Option<Destination<'a>> {
        let (key, object) = service.object.as_ref()?;
        let sent = model.services.get(&service.id).filter(|sent| !sent.protocol.is_tls())?;
        let external = object.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("ExternalName"));
        let in_mesh = |name: &String| known.host(name);
        let is_itself = is_sent_to_itself(context, object);
        if !is_itself && external.is_some_and(|spec| !spec.external_name.as_ref().is_some_and(in_mesh)) {
            return None;
        }
        let upstream = model.upstreams.get(&names::entity_id("upstreams", &sent.host))?;
        let own = match &upstream.host_header {
            Some(host) if known.host(host) => OwnHost::Known,
            Some(host) => OwnHost::Written(host.clone()),
            None if is_itself || external.is_some() => OwnHost::Known,
            None => OwnHost::PodAddress,
        };
        Some(Destination { object: key, own })
    }

    fn report(&self, problems: &mut Problems) {
        let Some(mend) = self.mend() else { return };
        let (at, host) = match &self.own {
            OwnHost::Known => return,
            OwnHost::Written(host) => {
                (annotations::HOST_HEADER, format!("Host {host}, the name of no Service"))
            }
            OwnHost::PodAddress => (annotations::SERVICE_UPSTREAM, "a pod's address as Host".to_owned()),
        };
        let message = format!(
            "the gateway runs in a mesh, and requests leave under {host}; {mend}, so that they are sent under a name \
             that the mesh knows"
        );
        problems.advise(self.object, annotation(at), message, EFFECT);
    }

    /// For a route that keeps the client's Host.
    fn report_keeping(&self, ingress: &ObjectKey, problems: &mut Problems) {
        let mend = self.mend().map_or(String::new(), |mend| format!(", and on {} {mend}", self.object));
        let message = format!(
            "the gateway runs in a mesh, which doesn't know the client's Host under which requests leave for {}; set \
             {}: \"false\"{mend}",
            self.object,
            annotations::PRESERVE_HOST,
        );
        problems.advise(ingress, annotation(annotations::PRESERVE_HOST), message, EFFECT);
    }

    /// What to do to the Service.
    fn mend(&self) -> Option<String> {
        match &self.own {
            OwnHost::Known => None,
            OwnHost::Written(_) => Some(format!(
                "let {} name a Service, as {}.{}",
                annotations::HOST_HEADER,
                self.object.name,
                self.object.namespace
            )),
            OwnHost::PodAddress => Some(format!("set {}: \"true\"", annotations::SERVICE_UPSTREAM)),
        }
    }
}
