//! Route drafts to routes: what the annotations of an Ingress say.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::annotation_values::Values;
use super::ingress::{RouteDraft, check_host};
use super::names;
use super::problems::{Problems, annotation};
use super::services::Services;
use crate::model::{Model, PathHandling, Protocol, Route};
use crate::objects::{ObjectKey, annotations};

/// A route that is in the model.
pub(super) struct BuiltRoute {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) ingress: ObjectKey,
    pub(super) protocols: Vec<Protocol>,
}

/// Finishes the drafts and puts them into the model.
pub(super) fn build(
    drafts: &[RouteDraft],
    services: &Services,
    model: &mut Model,
    problems: &mut Problems,
) -> Vec<BuiltRoute> {
    let mut built = Vec::new();
    for draft in drafts {
        let values = Values::of(&draft.key, &draft.ingress.metadata);
        let Some(route) = route(draft, &values, services, &model.routes, problems) else { continue };
        built.push(BuiltRoute {
            id: route.id,
            name: route.name.clone().unwrap_or_default(),
            ingress: draft.key.clone(),
            protocols: route.protocols.clone(),
        });
        model.routes.insert(route.id, route);
    }
    built
}

fn route(
    draft: &RouteDraft,
    values: &Values<'_>,
    services: &Services,
    known: &BTreeMap<Uuid, Route>,
    problems: &mut Problems,
) -> Option<Route> {
    let name = unique_name(draft, known);
    let meta = &draft.ingress.metadata;
    let mut route = Route::new(names::entity_id("routes", &name));
    route.name = Some(name);
    route.hosts = draft.host.clone().map(|host| vec![host]);
    route.paths = Some(draft.paths.clone());
    route.strip_path = values.flag(annotations::STRIP_PATH, problems).unwrap_or(false);
    route.preserve_host = values.flag(annotations::PRESERVE_HOST, problems).unwrap_or(true);
    route.request_buffering = values.flag(annotations::REQUEST_BUFFERING, problems).unwrap_or(true);
    route.response_buffering = values.flag(annotations::RESPONSE_BUFFERING, problems).unwrap_or(true);
    let priorities = 0..=i64::from(u32::MAX);
    route.regex_priority = values.number(annotations::REGEX_PRIORITY, priorities, problems).unwrap_or(0);
    route.path_handling = path_handling(values, problems);
    route.methods = methods(values, problems);
    route.snis = snis(values, problems);
    apply_protocols(&mut route, values, problems);
    apply_host_aliases(&mut route, values, problems);
    route.headers = headers(values, problems).ok()?;
    report_unserved(values, problems);
    route.tags = Some(names::tags(&draft.key, meta));
    route.service = services.id(&draft.backend);
    route.created_at = names::created(meta);
    route.updated_at = route.created_at;
    route.origin = Some(names::origin(&draft.key));
    Some(route)
}

/// Dots in an Ingress's name can make the names of two routes the same. Both serve; the younger gets a
/// longer one.
fn unique_name(draft: &RouteDraft, known: &BTreeMap<Uuid, Route>) -> String {
    let mut name = draft.name.clone();
    while known.contains_key(&names::entity_id("routes", &name)) {
        name.push_str(".again");
    }
    name
}

fn path_handling(values: &Values<'_>, problems: &mut Problems) -> PathHandling {
    match values.raw(annotations::PATH_HANDLING) {
        None | Some("v0") => PathHandling::V0,
        Some("v1") => PathHandling::V1,
        Some(other) => {
            values.drop_value(annotations::PATH_HANDLING, other, "expected \"v0\" or \"v1\"", problems);
            PathHandling::V0
        }
    }
}

/// One bad method spoils the list, as with Kong's controller.
fn methods(values: &Values<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let methods: Vec<String> =
        values.list(annotations::METHODS).iter().map(|method| method.to_ascii_uppercase()).collect();
    match methods.iter().find(|method| !method.bytes().all(|byte| byte.is_ascii_uppercase())) {
        None => (!methods.is_empty()).then_some(methods),
        Some(bad) => {
            values.drop_value(annotations::METHODS, bad, "expected names of methods in letters", problems);
            None
        }
    }
}

/// An empty annotation says that the server name doesn't matter.
fn snis(values: &Values<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let snis = values.list(annotations::SNIS);
    match snis.iter().find(|sni| sni.contains('*') || check_host(sni).is_err()) {
        None => (!snis.is_empty()).then_some(snis),
        Some(bad) => {
            values.drop_value(annotations::SNIS, bad, "expected host names without wildcards", problems);
            None
        }
    }
}

fn apply_protocols(route: &mut Route, values: &Values<'_>, problems: &mut Problems) {
    if let Some(protocols) = protocols(values, problems) {
        route.protocols = protocols;
    }
    let code = redirect_code(values, problems);
    if values.raw(annotations::FORCE_SSL_REDIRECT) == Some("true") {
        route.protocols = encrypted(&route.protocols);
        route.https_redirect_status_code = 302;
    }
    if let Some(code) = code {
        route.https_redirect_status_code = code;
    }
    let grpc = |protocol: &Protocol| matches!(protocol, Protocol::Grpc | Protocol::Grpcs);
    if route.protocols.iter().any(grpc) {
        if route.protocols.iter().all(grpc) {
            route.strip_path = false;
        } else {
            route.protocols = vec![Protocol::Http, Protocol::Https];
        }
    }
}

/// One bad protocol spoils the list, as with Kong's controller.
fn protocols(values: &Values<'_>, problems: &mut Problems) -> Option<Vec<Protocol>> {
    let words = values.list(annotations::PROTOCOLS);
    let mut protocols = Vec::new();
    for word in &words {
        match Protocol::parse(word) {
            Some(protocol) if protocols.contains(&protocol) => {}
            Some(
                protocol @ (Protocol::Http
                | Protocol::Https
                | Protocol::Grpc
                | Protocol::Grpcs
                | Protocol::Ws
                | Protocol::Wss),
            ) => protocols.push(protocol),
            _ => {
                let expected = "expected a list of http, https, grpc, grpcs, ws and wss";
                values.drop_value(annotations::PROTOCOLS, word, expected, problems);
                return None;
            }
        }
    }
    (!protocols.is_empty()).then_some(protocols)
}

fn encrypted(protocols: &[Protocol]) -> Vec<Protocol> {
    let grpc = protocols.iter().any(|protocol| matches!(protocol, Protocol::Grpc | Protocol::Grpcs));
    let http = protocols.iter().any(|protocol| matches!(protocol, Protocol::Http | Protocol::Https));
    match (grpc, http) {
        (true, true) => vec![Protocol::Grpcs, Protocol::Https],
        (true, false) => vec![Protocol::Grpcs],
        _ => vec![Protocol::Https],
    }
}

fn redirect_code(values: &Values<'_>, problems: &mut Problems) -> Option<u16> {
    let name = annotations::HTTPS_REDIRECT_STATUS_CODE;
    let written = values.raw(name)?;
    let code = written.trim().parse().ok().filter(|code| [426, 301, 302, 307, 308].contains(code));
    if code.is_none() {
        values.drop_value(name, written, "expected 426, 301, 302, 307 or 308", problems);
    }
    code
}

/// One bad host spoils the list, as with Kong's controller.
fn apply_host_aliases(route: &mut Route, values: &Values<'_>, problems: &mut Problems) {
    let aliases = values.list(annotations::HOST_ALIASES);
    if let Some(bad) = aliases.iter().find(|alias| check_host(alias).is_err()) {
        values.drop_value(annotations::HOST_ALIASES, bad, "expected host names", problems);
        return;
    }
    for alias in aliases {
        let hosts = route.hosts.get_or_insert_default();
        if !hosts.contains(&alias) {
            hosts.push(alias);
        }
    }
}

/// `Err` when the route can't be had: a match that is left out would let in more than was asked for.
fn headers(
    values: &Values<'_>,
    problems: &mut Problems,
) -> Result<Option<BTreeMap<String, Vec<String>>>, ()> {
    let separator = values.raw(annotations::HEADERS_SEPARATOR).filter(|text| !text.is_empty()).unwrap_or(",");
    let mut headers = BTreeMap::new();
    for (header, value) in values.with_prefix(annotations::HEADERS) {
        if header.is_empty() || value.is_empty() {
            let name = format!("{}{header}", annotations::HEADERS);
            values.drop_value(&name, value, "expected the name of a header and a value", problems);
            continue;
        }
        if header.eq_ignore_ascii_case("host") {
            problems.add(
                values.key(),
                annotation(&format!("{}{header}", annotations::HEADERS)),
                "cannot contain 'host' header, which must be specified in the 'hosts' attribute; write the host \
                 into the rule",
                "the route is left out",
            );
            return Err(());
        }
        let list = value.split(separator).map(|item| item.trim().to_owned()).collect();
        headers.insert(header.to_owned(), list);
    }
    Ok((!headers.is_empty()).then_some(headers))
}

/// Annotations that are understood and can't be served.
fn report_unserved(values: &Values<'_>, problems: &mut Problems) {
    if values.raw(annotations::REWRITE).is_some() {
        problems.add(
            values.key(),
            annotation(annotations::REWRITE),
            "konghq.com/rewrite annotation not supported when rewrite uris disabled; use the request-transformer \
             plugin with replace.uri",
            "the path is forwarded as it is",
        );
    }
    if let Some(name) = values.raw(annotations::OVERRIDE) {
        problems.add(
            values.key(),
            annotation(annotations::OVERRIDE),
            format!("KongIngress {name:?} is not read; use the annotations of Ingress instead"),
            "the annotation is ignored",
        );
    }
}
