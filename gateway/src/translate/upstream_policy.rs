//! `KongUpstreamPolicy`: balancing, hashing and health checks of the upstream behind a Service.
//!
//! A policy with a mistake is not used at all, so that half of an intention never runs.

use super::Context;
use super::annotation_values::Values;
use super::problems::{Problems, annotation};
use crate::model::upstream::{ActiveChecks, HealthRules, PassiveChecks, ProbeKind};
use crate::model::{Algorithm, HashOn, Upstream};
use crate::objects::{
    ActiveHealthcheck, Hash, HealthyRules, Kind, KongUpstreamPolicy, ObjectKey, PassiveHealthcheck,
    UnhealthyRules, UpstreamHealthchecks, UpstreamPolicySpec, annotations,
};

/// A field and what is wrong with it.
type Fault = (&'static str, String);

/// Applies the policy that the Service names, if any.
pub(super) fn apply(
    context: &Context<'_>,
    upstream: &mut Upstream,
    service: &ObjectKey,
    values: &Values<'_>,
    problems: &mut Problems,
) {
    let Some(name) = values.raw(annotations::UPSTREAM_POLICY).filter(|name| !name.is_empty()) else { return };
    let effect = "requests are spread round-robin, without health checks";
    let field = annotation(annotations::UPSTREAM_POLICY);
    let Some(policy) = context.store.get::<KongUpstreamPolicy>(&service.namespace, name) else {
        let message = format!("failed fetching KongUpstreamPolicy: there is no {}/{name}", service.namespace);
        problems.add(service, field, message, effect);
        return;
    };
    let key = ObjectKey::new(Kind::KongUpstreamPolicy, service.namespace.as_str(), name);
    let mut changed = upstream.clone();
    match overlay(&policy.spec, &mut changed) {
        Ok(()) => *upstream = changed,
        Err((fault, message)) => {
            problems.add(service, field, format!("{key} can't be used: {fault}: {message}"), effect);
            problems.add(&key, fault, message, effect);
        }
    }
}

fn overlay(spec: &UpstreamPolicySpec, upstream: &mut Upstream) -> Result<(), Fault> {
    if let Some(word) = &spec.algorithm {
        upstream.algorithm = algorithm(word)?;
    }
    if spec.sticky_sessions.is_some() {
        return Err(("spec.stickySessions", "sticky sessions are not supported".to_owned()));
    }
    if let Some(slots) = spec.slots {
        upstream.slots = bounded(slots, 10, 65536, "spec.slots")?;
    }
    if spec.hash_on.is_some() && upstream.algorithm != Algorithm::ConsistentHashing {
        return Err(("spec.hashOn", "needs algorithm consistent-hashing".to_owned()));
    }
    if let Some(hash) = &spec.hash_on {
        upstream.hash_on = hash_on(hash, "spec.hashOn")?;
    }
    if let Some(hash) = &spec.hash_on_fallback {
        if upstream.algorithm != Algorithm::ConsistentHashing {
            return Err(("spec.hashOnFallback", "needs algorithm consistent-hashing".to_owned()));
        }
        if matches!(upstream.hash_on, HashOn::Cookie(_)) {
            return Err(("spec.hashOnFallback", "must not be set when hashOn.cookie is".to_owned()));
        }
        upstream.hash_fallback = hash_on(hash, "spec.hashOnFallback")?;
    }
    let cookie_path = [&spec.hash_on, &spec.hash_on_fallback]
        .into_iter()
        .flatten()
        .find_map(|hash| hash.cookie_path.clone());
    if let Some(path) = cookie_path {
        upstream.hash_on_cookie_path = path;
    }
    match &spec.healthchecks {
        Some(checks) => healthchecks(checks, upstream),
        None => Ok(()),
    }
}

fn algorithm(word: &str) -> Result<Algorithm, Fault> {
    match word {
        "round-robin" => Ok(Algorithm::RoundRobin),
        "consistent-hashing" => Ok(Algorithm::ConsistentHashing),
        "least-connections" => Ok(Algorithm::LeastConnections),
        "latency" => Ok(Algorithm::Latency),
        "sticky-sessions" => Err((
            "spec.algorithm",
            "sticky-sessions is not supported; hashOn.cookie does much the same".to_owned(),
        )),
        other => Err((
            "spec.algorithm",
            format!(
                "expected one of: round-robin, consistent-hashing, least-connections, latency, got {other:?}"
            ),
        )),
    }
}

/// Exactly one source.
fn hash_on(hash: &Hash, field: &'static str) -> Result<HashOn, Fault> {
    let mut sources = Vec::new();
    if let Some(input) = &hash.input {
        sources.push(match input.as_str() {
            "none" => HashOn::None,
            "ip" => HashOn::Ip,
            "consumer" => HashOn::Consumer,
            "path" => HashOn::Path,
            other => {
                let message = format!("input: expected one of: ip, consumer, path, none, got {other:?}");
                return Err((field, message));
            }
        });
    }
    sources.extend(hash.header.clone().map(HashOn::Header));
    sources.extend(hash.cookie.clone().map(HashOn::Cookie));
    sources.extend(hash.query_arg.clone().map(HashOn::QueryArg));
    sources.extend(hash.uri_capture.clone().map(HashOn::UriCapture));
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => {
            Err((field, "exactly one of input, header, cookie, queryArg and uriCapture is needed".to_owned()))
        }
    }
}

fn healthchecks(checks: &UpstreamHealthchecks, upstream: &mut Upstream) -> Result<(), Fault> {
    if let Some(threshold) = checks.threshold {
        if !(0.0..=100.0).contains(&threshold) {
            return Err(("spec.healthchecks.threshold", "expected percent, from 0 to 100".to_owned()));
        }
        upstream.healthchecks.threshold = threshold;
    }
    if let Some(active) = &checks.active {
        overlay_active(active, &mut upstream.healthchecks.active)?;
    }
    if let Some(passive) = &checks.passive {
        overlay_passive(passive, &mut upstream.healthchecks.passive)?;
    }
    Ok(())
}

fn overlay_active(from: &ActiveHealthcheck, to: &mut ActiveChecks) -> Result<(), Fault> {
    const FIELD: &str = "spec.healthchecks.active";
    to.kind = probe_kind(from.kind.as_deref(), FIELD)?.unwrap_or(to.kind);
    if let Some(path) = &from.http_path {
        if !path.starts_with('/') {
            return Err((FIELD, format!("httpPath must start with /, got {path:?}")));
        }
        to.http_path.clone_from(path);
    }
    to.https_sni.clone_from(&from.https_sni);
    to.https_verify_certificate = from.https_verify_certificate.unwrap_or(to.https_verify_certificate);
    to.headers.clone_from(&from.headers);
    if let Some(timeout) = from.timeout {
        to.timeout = seconds(timeout, "timeout", FIELD)?;
    }
    if let Some(concurrency) = from.concurrency {
        to.concurrency = bounded(concurrency, 1, i64::from(i32::MAX), FIELD)?;
    }
    if let Some(healthy) = &from.healthy {
        to.healthy_interval = seconds(healthy.interval.unwrap_or(to.healthy_interval), "interval", FIELD)?;
        overlay_healthy(healthy, &mut to.rules, FIELD)?;
    }
    if let Some(unhealthy) = &from.unhealthy {
        to.unhealthy_interval =
            seconds(unhealthy.interval.unwrap_or(to.unhealthy_interval), "interval", FIELD)?;
        overlay_unhealthy(unhealthy, &mut to.rules, FIELD)?;
    }
    Ok(())
}

fn overlay_passive(from: &PassiveHealthcheck, to: &mut PassiveChecks) -> Result<(), Fault> {
    const FIELD: &str = "spec.healthchecks.passive";
    let intervals =
        [from.healthy.as_ref().and_then(|h| h.interval), from.unhealthy.as_ref().and_then(|u| u.interval)];
    if intervals.iter().flatten().any(|interval| *interval != 0.0) {
        return Err((FIELD, "passive checks have no interval".to_owned()));
    }
    to.kind = probe_kind(from.kind.as_deref(), FIELD)?.unwrap_or(to.kind);
    if let Some(healthy) = &from.healthy {
        overlay_healthy(healthy, &mut to.rules, FIELD)?;
    }
    if let Some(unhealthy) = &from.unhealthy {
        overlay_unhealthy(unhealthy, &mut to.rules, FIELD)?;
    }
    Ok(())
}

fn overlay_healthy(from: &HealthyRules, to: &mut HealthRules, field: &'static str) -> Result<(), Fault> {
    if let Some(list) = &from.http_statuses {
        to.healthy_statuses = statuses(list, field)?;
    }
    if let Some(successes) = from.successes {
        to.successes = bounded(successes, 0, 255, field)?;
    }
    Ok(())
}

fn overlay_unhealthy(from: &UnhealthyRules, to: &mut HealthRules, field: &'static str) -> Result<(), Fault> {
    if let Some(list) = &from.http_statuses {
        to.unhealthy_statuses = statuses(list, field)?;
    }
    if let Some(count) = from.http_failures {
        to.http_failures = bounded(count, 0, 255, field)?;
    }
    if let Some(count) = from.tcp_failures {
        to.tcp_failures = bounded(count, 0, 255, field)?;
    }
    if let Some(count) = from.timeouts {
        to.timeouts = bounded(count, 0, 255, field)?;
    }
    Ok(())
}

fn probe_kind(word: Option<&str>, field: &'static str) -> Result<Option<ProbeKind>, Fault> {
    Ok(Some(match word {
        None => return Ok(None),
        Some("http") => ProbeKind::Http,
        Some("https") => ProbeKind::Https,
        Some("tcp") => ProbeKind::Tcp,
        Some("grpc") => ProbeKind::Grpc,
        Some("grpcs") => ProbeKind::Grpcs,
        Some(other) => {
            let message = format!("type: expected one of: http, https, tcp, grpc, grpcs, got {other:?}");
            return Err((field, message));
        }
    }))
}

fn statuses(list: &[i64], field: &'static str) -> Result<Vec<u16>, Fault> {
    list.iter().map(|status| bounded(*status, 100, 999, field)).collect()
}

fn seconds(value: f64, name: &str, field: &'static str) -> Result<f64, Fault> {
    if (0.0..=65535.0).contains(&value) {
        return Ok(value);
    }
    Err((field, format!("{name}: expected seconds from 0 to 65535, got {value}")))
}

fn bounded<T: TryFrom<i64>>(value: i64, low: i64, high: i64, field: &'static str) -> Result<T, Fault> {
    let fault = || (field, format!("expected a whole number from {low} to {high}, got {value}"));
    if !(low..=high).contains(&value) {
        return Err(fault());
    }
    T::try_from(value).map_err(|_| fault())
}
