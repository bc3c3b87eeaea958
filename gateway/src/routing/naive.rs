//! The router as its rules read: every route is asked, the best that says yes wins. Slow and obviously right; the
//! yardstick for [`Router`](super::Router) in tests.
//!
//! Shares with the router only the ranking, which has tests of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use regex::Regex;
use uuid::Uuid;

use super::RouteRequest;
use super::precedence::Part;
use crate::model::{Route, RoutePath};

/// What a search finds: the place of the route, what its path matched, the groups of the expression.
pub(super) type Found = (usize, Option<Range<usize>>, Vec<String>);

pub(super) fn find(routes: &[Arc<Route>], request: &RouteRequest<'_>) -> Option<Found> {
    let mut best: Option<((u64, Uuid), Found)> = None;
    for (index, route) in routes.iter().enumerate() {
        for part in Part::of(route) {
            let rank = (part.priority, part.id);
            if best.as_ref().is_some_and(|(other, _)| *other > rank) || !admits(route, request) {
                continue;
            }
            if part.paths.is_empty() {
                best = Some((rank, (index, None, vec![])));
            } else if let Some((range, groups)) =
                part.paths.iter().find_map(|path| match_path(path, request.path))
            {
                best = Some((rank, (index, Some(range), groups)));
            }
        }
    }
    best.map(|(_, found)| found)
}

fn match_path(path: &RoutePath, request: &str) -> Option<(Range<usize>, Vec<String>)> {
    match path {
        RoutePath::Prefix(prefix) => request.starts_with(prefix).then(|| (0..prefix.len(), vec![])),
        RoutePath::Regex(source) => {
            let expression = regex(&format!("^{source}"));
            let captures = expression.captures(request)?;
            let groups: Vec<String> =
                captures.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect();
            let range = captures.get(0).unwrap().range();
            Some((range, if groups.len() > 1 { groups } else { vec![] }))
        }
    }
}

fn admits(route: &Route, request: &RouteRequest<'_>) -> bool {
    let methods = route.methods.clone().unwrap_or_default();
    let hosts = route.hosts.clone().unwrap_or_default();
    let snis = route.snis.clone().unwrap_or_default();
    (methods.is_empty() || methods.iter().any(|method| method.as_bytes() == request.method))
        && (hosts.is_empty() || hosts.iter().any(|host| admits_host(host, request)))
        && (snis.is_empty()
            || request
                .server_name
                .is_none_or(|name| snis.iter().any(|sni| covers(sni.trim_end_matches('.'), name))))
        && route.headers.iter().flatten().all(|(name, values)| {
            request.fields.iter().filter(|field| fold(field.name) == fold(name.as_bytes())).any(|field| {
                let value = String::from_utf8_lossy(field.value).to_lowercase();
                values.iter().any(|welcome| match welcome.to_lowercase().strip_prefix("~*") {
                    Some(expression) => regex(expression).is_match(&value),
                    None => welcome.to_lowercase() == value,
                })
            })
        })
}

/// Compiling again and again is the one slowness that would show.
fn regex(source: &str) -> Regex {
    thread_local!(static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default());
    COMPILED.with_borrow_mut(|compiled| {
        compiled.entry(source.to_owned()).or_insert_with(|| Regex::new(source).unwrap()).clone()
    })
}

fn fold(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_lowercase().replace('-', "_")
}

fn admits_host(host: &str, request: &RouteRequest<'_>) -> bool {
    let Some(given) = request.host.map(|host| std::str::from_utf8(host).unwrap()) else { return false };
    let (given, given_port) = split(given);
    let (host, port) = split(host);
    covers(host, given) && port.is_none_or(|port| port == given_port.unwrap_or(u64::from(request.port)))
}

fn split(host: &str) -> (&str, Option<u64>) {
    match host.split_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, port.parse().ok())
        }
        _ => (host, None),
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => name == pattern,
    }
}
