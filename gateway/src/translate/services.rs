//! Services to Kong's services and upstreams: one pair for every port that a route leads to.
//!
//! A Service that isn't there still gets its pair, without targets: its routes answer 503.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service as KubeService;
use uuid::Uuid;

use super::annotation_values::Values;
use super::certificates::Pairs;
use super::endpoints::WEIGHT;
use super::ingress::{Backend, RouteDraft, check_host};
use super::ports::Port;
use super::problems::{Problems, annotation};
use super::{Context, names, service_tls, upstream_policy};
use crate::model::{Model, Protocol, Service, Target, Upstream};
use crate::objects::{Kind, ObjectKey, annotations};

/// The services of the model, by what led to them.
#[derive(Default)]
pub(super) struct Services(BTreeMap<Backend, BuiltService>);

/// A service that is in the model.
pub(super) struct BuiltService {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// The Service behind it, if there is one.
    pub(super) object: Option<(ObjectKey, Arc<KubeService>)>,
}

/// Where the answer to "who is to blame" is taken from.
struct Users<'a> {
    ingresses: BTreeSet<&'a ObjectKey>,
    /// Only default backends lead here.
    only_default: bool,
}

impl Services {
    pub(super) fn id(&self, backend: &Backend) -> Option<Uuid> {
        self.0.get(backend).map(|service| service.id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &BuiltService> {
        self.0.values()
    }
}

/// Builds what the drafts lead to.
pub(super) fn build(
    context: &Context<'_>,
    drafts: &[RouteDraft],
    pairs: &mut Pairs<'_>,
    model: &mut Model,
    problems: &mut Problems,
) -> Services {
    let mut users: BTreeMap<&Backend, Users<'_>> = BTreeMap::new();
    for draft in drafts {
        let user = users
            .entry(&draft.backend)
            .or_insert_with(|| Users { ingresses: BTreeSet::new(), only_default: true });
        user.ingresses.insert(&draft.key);
        user.only_default &= draft.is_default;
    }
    let mut services = Services::default();
    for (backend, user) in users {
        let built = build_one(context, backend, &user, pairs, model, problems);
        services.0.insert(backend.clone(), built);
    }
    services
}

fn build_one(
    context: &Context<'_>,
    backend: &Backend,
    users: &Users<'_>,
    pairs: &mut Pairs<'_>,
    model: &mut Model,
    problems: &mut Problems,
) -> BuiltService {
    let name = format!("{}.{}.{}", backend.namespace, backend.service, backend.port);
    let host = format!("{}.{}.{}.svc", backend.service, backend.namespace, backend.port);
    let mut service = Service::new(names::entity_id("services", &name), host.as_str());
    service.name = Some(name.clone());
    service.path = (!users.only_default).then(|| "/".to_owned());
    let mut upstream = Upstream::new(names::entity_id("upstreams", &host), host);

    let object = context.store.get::<KubeService>(&backend.namespace, &backend.service);
    let key = ObjectKey::new(Kind::Service, backend.namespace.as_str(), backend.service.as_str());
    if let Some(object) = object {
        describe(context, object, &key, &mut service, &mut upstream, pairs, model, problems);
        match backend.port.find(object) {
            Ok(port) => {
                service.port = port.number;
                upstream.targets = targets(context, object, &key, &port);
            }
            Err(fault) => {
                let message = format!("can't find port for backend kubernetes service: {fault}");
                for user in users.ingresses.iter().copied().chain([&key]) {
                    problems.add(user, "", message.clone(), "requests to it are answered 503");
                }
            }
        }
    } else {
        let message =
            format!("can't add target for backend {}: no kubernetes service found", backend.service);
        for user in &users.ingresses {
            problems.add(user, "", message.clone(), "requests to it are answered 503");
        }
    }
    let built = BuiltService { id: service.id, name, object: object.map(|object| (key, Arc::clone(object))) };
    model.upstreams.insert(upstream.id, upstream);
    model.services.insert(service.id, service);
    built
}

/// What the Service itself says of how to talk to it.
#[expect(clippy::too_many_arguments, reason = "one step of build_one, named")]
fn describe(
    context: &Context<'_>,
    object: &KubeService,
    key: &ObjectKey,
    service: &mut Service,
    upstream: &mut Upstream,
    pairs: &mut Pairs<'_>,
    model: &mut Model,
    problems: &mut Problems,
) {
    let meta = &object.metadata;
    let values = Values::of(key, meta);
    values.report_strays(problems);
    service.tags = Some(names::tags(key, meta));
    upstream.tags.clone_from(&service.tags);
    service.created_at = names::created(meta);
    service.updated_at = service.created_at;
    upstream.created_at = service.created_at;
    service.origin = Some(names::origin(key));
    upstream.origin.clone_from(&service.origin);

    apply_protocol(service, &values, problems);
    let millis = 1..=i64::from(i32::MAX - 1);
    let mut time_limit = |name| {
        let limit = values.number(name, millis.clone(), problems)?;
        u32::try_from(limit).ok()
    };
    service.connect_timeout = time_limit(annotations::CONNECT_TIMEOUT).unwrap_or(service.connect_timeout);
    service.read_timeout = time_limit(annotations::READ_TIMEOUT).unwrap_or(service.read_timeout);
    service.write_timeout = time_limit(annotations::WRITE_TIMEOUT).unwrap_or(service.write_timeout);
    let retries = values.number(annotations::RETRIES, 0..=32767, problems);
    service.retries = retries.and_then(|retries| u16::try_from(retries).ok()).unwrap_or(service.retries);
    upstream.host_header = host_header(&values, problems);
    service_tls::apply(context, service, key, &values, pairs, model, problems);
    upstream_policy::apply(context, upstream, key, &values, problems);
    if let Some(name) = values.raw(annotations::OVERRIDE) {
        problems.add(
            key,
            annotation(annotations::OVERRIDE),
            format!(
                "KongIngress {name:?} is not read; use konghq.com/upstream-policy and KongUpstreamPolicy"
            ),
            "the annotation is ignored",
        );
    }
}

fn apply_protocol(service: &mut Service, values: &Values<'_>, problems: &mut Problems) {
    if let Some(word) = values.raw(annotations::PROTOCOL).filter(|word| !word.is_empty()) {
        match Protocol::parse(word) {
            Some(
                protocol @ (Protocol::Http
                | Protocol::Https
                | Protocol::Grpc
                | Protocol::Grpcs
                | Protocol::Ws
                | Protocol::Wss),
            ) => service.protocol = protocol,
            _ => problems.add(
                values.key(),
                annotation(annotations::PROTOCOL),
                format!(
                    "{} annotation has invalid value: {word}; expected http, https, grpc, grpcs, ws or wss",
                    annotations::PROTOCOL
                ),
                "http is spoken",
            ),
        }
    }
    if let Some(path) = values.raw(annotations::PATH).filter(|path| !path.is_empty()) {
        if path.starts_with('/') {
            service.path = Some(path.to_owned());
        } else {
            values.drop_value(annotations::PATH, path, "expected a path that starts with /", problems);
        }
    }
    if matches!(service.protocol, Protocol::Grpc | Protocol::Grpcs) {
        service.path = None;
    }
}

fn host_header(values: &Values<'_>, problems: &mut Problems) -> Option<String> {
    let host = values.raw(annotations::HOST_HEADER).filter(|host| !host.is_empty())?;
    let name = host.rsplit_once(':').map_or(
        host,
        |(name, port)| {
            if port.parse::<u16>().is_ok() { name } else { host }
        },
    );
    if name.contains('*') || check_host(name).is_err() {
        values.drop_value(annotations::HOST_HEADER, host, "expected a host name", problems);
        return None;
    }
    Some(host.to_owned())
}

/// Whether it is the Service's own name that is sent to, not its pods.
pub(super) fn is_sent_to_itself(context: &Context<'_>, object: &KubeService) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let asked = annotations.and_then(|all| all.get(annotations::SERVICE_UPSTREAM));
    context.parameters.service_upstream || asked.is_some_and(|value| value == "true")
}

fn targets(context: &Context<'_>, object: &KubeService, key: &ObjectKey, port: &Port) -> Vec<Target> {
    let one = |host: String| vec![Target { host, port: port.number, weight: WEIGHT }];
    if is_sent_to_itself(context, object) {
        let domain = context.settings.cluster_domain.as_ref().filter(|domain| !domain.is_empty());
        let domain = domain.map_or(String::new(), |domain| format!(".{domain}"));
        return one(format!("{}.{}.svc{domain}", key.name, key.namespace));
    }
    let spec = object.spec.as_ref();
    if let Some(spec) = spec.filter(|spec| spec.type_.as_deref() == Some("ExternalName")) {
        return spec.external_name.clone().filter(|name| !name.is_empty()).map(one).unwrap_or_default();
    }
    context.slices.targets(&key.namespace, &key.name, port, context.settings.drain_support)
}
