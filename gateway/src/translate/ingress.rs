//! Ingress rules to route drafts: one for every combination of Ingress, host, Service and port, as Kong's
//! controller makes them, since plugins, metrics and logs go by route.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressRule};

use super::Context;
use super::annotation_values::Values;
use super::paths::{CheckedPaths, Markers, kong_paths};
use super::ports::PortRef;
use super::problems::Problems;
use crate::model::RoutePath;
use crate::objects::{ObjectKey, annotations};

/// A route before annotations have their say.
#[derive(Debug)]
pub(super) struct RouteDraft {
    pub(super) name: String,
    pub(super) ingress: Arc<Ingress>,
    pub(super) key: ObjectKey,
    pub(super) host: Option<String>,
    pub(super) paths: Vec<RoutePath>,
    pub(super) backend: Backend,
    /// Serves what nothing else matches.
    pub(super) is_default: bool,
}

/// A port of a Service; whether it exists is seen later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Backend {
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) port: PortRef,
}

/// Drafts of all routes, those of older Ingresses first. Of all default backends only the oldest counts.
pub(super) fn drafts(
    context: &Context<'_>,
    ingresses: &[&Arc<Ingress>],
    checked: &mut CheckedPaths<'_>,
    problems: &mut Problems,
) -> Vec<RouteDraft> {
    let mut drafts = Vec::new();
    let mut default_of: Option<ObjectKey> = None;
    for ingress in ingresses {
        let key = ObjectKey::of_object(&***ingress);
        Values::of(&key, &ingress.metadata).report_strays(problems);
        drafts.extend(rules(context, ingress, &key, checked, problems));
        let Some(draft) = default_backend(ingress, &key, problems) else { continue };
        match &default_of {
            None => {
                default_of = Some(key);
                drafts.push(draft);
            }
            Some(older) => problems.add(
                &key,
                "spec.defaultBackend",
                format!("{older} is older and has a default backend too; only one can serve"),
                "this default backend is not used",
            ),
        }
    }
    drafts
}

/// All paths to the same port of the same Service under one host share a route.
fn rules(
    context: &Context<'_>,
    ingress: &Arc<Ingress>,
    key: &ObjectKey,
    checked: &mut CheckedPaths<'_>,
    problems: &mut Problems,
) -> Vec<RouteDraft> {
    let markers =
        Markers { regex: regex_marker(ingress), guess: context.parameters.enable_legacy_regex_detection };
    let mut order = Vec::new();
    let mut found: BTreeMap<(Option<String>, Backend), Vec<RoutePath>> = BTreeMap::new();
    for (index, rule) in ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten()).enumerate() {
        let field = format!("spec.rules[{index}]");
        let Ok(host) = host(rule, &field, key, problems) else { continue };
        for (index, path) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
            let field = format!("{field}.http.paths[{index}]");
            let Some(backend) = backend(&path.backend, key, &format!("{field}.backend"), problems) else {
                continue;
            };
            let paths = usable_paths(path, markers, key, &field, checked, problems);
            if paths.is_empty() {
                continue;
            }
            let slot = (host.clone(), backend);
            if !found.contains_key(&slot) {
                order.push(slot.clone());
            }
            let all = found.entry(slot).or_default();
            all.extend(paths.into_iter().filter(|path| !all.contains(path)).collect::<Vec<_>>());
        }
    }
    order
        .into_iter()
        .filter_map(|slot| {
            let paths = found.remove(&slot)?;
            let (host, backend) = slot;
            let name = route_name(key, host.as_deref(), &backend);
            Some(RouteDraft {
                name,
                ingress: Arc::clone(ingress),
                key: key.clone(),
                host,
                paths,
                backend,
                is_default: false,
            })
        })
        .collect()
}

/// What is said has been said: the problem is already noted.
struct LeftOut;

/// The rule's host; without one every host matches.
fn host(
    rule: &IngressRule,
    field: &str,
    key: &ObjectKey,
    problems: &mut Problems,
) -> Result<Option<String>, LeftOut> {
    let Some(host) = rule.host.as_ref().filter(|host| !host.is_empty()) else { return Ok(None) };
    check_host(host).map_err(|fault| {
        let message = format!("{fault}: {host:?}");
        problems.add(key, format!("{field}.host"), message, "the rule is left out");
        LeftOut
    })?;
    Ok(Some(host.clone()))
}

fn usable_paths(
    path: &HTTPIngressPath,
    markers: Markers<'_>,
    key: &ObjectKey,
    field: &str,
    checked: &mut CheckedPaths<'_>,
    problems: &mut Problems,
) -> Vec<RoutePath> {
    let text = path.path.as_deref().unwrap_or_default();
    let paths = kong_paths(text, &path.path_type, markers, checked);
    for fault in paths.faults {
        problems.add(key, format!("{field}.path"), fault, "the path is left out");
    }
    for doubt in paths.doubts {
        problems.add(key, format!("{field}.pathType"), doubt, "the pair serves as it is");
    }
    paths.usable
}

fn default_backend(ingress: &Arc<Ingress>, key: &ObjectKey, problems: &mut Problems) -> Option<RouteDraft> {
    let written = ingress.spec.as_ref()?.default_backend.as_ref()?;
    let backend = backend(written, key, "spec.defaultBackend", problems)?;
    Some(RouteDraft {
        name: format!("{}.{}", key.namespace, key.name),
        ingress: Arc::clone(ingress),
        key: key.clone(),
        host: None,
        paths: vec![RoutePath::Prefix("/".to_owned())],
        backend,
        is_default: true,
    })
}

fn backend(
    written: &IngressBackend,
    key: &ObjectKey,
    field: &str,
    problems: &mut Problems,
) -> Option<Backend> {
    if let Some(service) = &written.service {
        return Some(Backend {
            namespace: key.namespace.clone(),
            service: service.name.clone(),
            port: PortRef::of(service.port.as_ref()),
        });
    }
    let message = match &written.resource {
        Some(resource) => {
            let group = resource.api_group.as_ref().map_or(String::new(), |group| format!("{group}/"));
            format!("unknown resource type {group}{}; name a Service", resource.kind)
        }
        None => "no Service is named".to_owned(),
    };
    problems.add(key, field, message, "it is left out");
    None
}

fn route_name(key: &ObjectKey, host: Option<&str>, backend: &Backend) -> String {
    let host = host.unwrap_or_default().replace('*', "_");
    format!("{}.{}.{}.{host}.{}", key.namespace, key.name, backend.service, backend.port)
}

fn regex_marker(ingress: &Ingress) -> &str {
    let annotations = ingress.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(annotations::REGEX_PREFIX))
        .map_or(Markers::default().regex, String::as_str)
}

/// A DNS name, with one wildcard label at either end at most, in Kong's words if not.
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let labels: Vec<&str> = host.split('.').collect();
    match host.matches('*').count() {
        0 => {}
        1 if labels.len() > 1 && (labels.first() == Some(&"*") || labels.last() == Some(&"*")) => {}
        1 => return Err("invalid wildcard: must be placed at leftmost or rightmost label".to_owned()),
        _ => return Err("invalid wildcard: must have at most one wildcard".to_owned()),
    }
    let good = |label: &&str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        *label == "*"
            || (label.len() <= 63
                && edge(label.chars().next())
                && edge(label.chars().last())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
    };
    if host.len() > 253 || !labels.iter().all(good) {
        return Err("invalid value".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["a.com", "*.a.com", "a.*", "localhost", "xn--bcher-kva.example", "1.2.3.4", "a_b.c"] {
            assert_eq!(check_host(good), Ok(()), "{good}");
        }
        for bad in ["*", "a.*.com", "*.a.*", "-a.com", "a..b", "a.com/", "a b", "é.com", "a.com:80"] {
            assert!(check_host(bad).is_err(), "{bad}");
        }
    }
}
