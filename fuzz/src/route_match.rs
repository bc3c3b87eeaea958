//! Any request against any table: the one route that is found is the one that wins against each other route alone, and
//! what it matched is there.
//!
//! The first line is a request, `METHOD host target`; every further one a route, `METHOD host path`, with `-` for what
//! it doesn't demand. Routes that no source would let pass are left out.

use std::sync::Arc;

use gateway::http::fields::Fields;
use gateway::model::{Route, RoutePath};
use gateway::routing::{self, RouteRequest, Router, Target};
use uuid::Uuid;

const MOST_ROUTES: usize = 12;

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        target(bytes);
        return;
    };
    let mut lines = text.split('\n');
    let [method, host, asked] = words(lines.next().unwrap_or_default());
    let Some(path) = target(asked.as_bytes()) else { return };
    let routes: Vec<Arc<Route>> =
        (1..).zip(lines).filter_map(|(id, line)| route(id, line)).take(MOST_ROUTES).collect();
    let fields = Fields::default();
    let request = RouteRequest {
        method: method.as_bytes(),
        host: Some(host.as_bytes()),
        port: 80,
        path: &path,
        server_name: None,
        fields: &fields,
    };
    let router = Router::new(routes.clone());
    let found = winner(&router, &request);
    assert_eq!(winner(&router.next(routes.iter().rev().cloned()), &request), found, "the order says nothing");
    let matching: Vec<_> =
        routes.iter().filter(|route| winner(&Router::new([Arc::clone(route)]), &request).is_some()).collect();
    let Some(found) = found else {
        assert!(matching.is_empty(), "one that matches alone is overlooked among others");
        return;
    };
    let best = matching.iter().find(|route| route.id == found.id).expect("the one found matches alone");
    assert_eq!(winner(&Router::new([Arc::clone(best)]), &request), Some(found.clone()));
    for other in &matching {
        let two = Router::new([Arc::clone(other), Arc::clone(best)]);
        assert_eq!(
            winner(&two, &request).map(|found| found.id),
            Some(found.id),
            "it wins against each other"
        );
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Found {
    id: Uuid,
    matched: Option<std::ops::Range<usize>>,
    captures: Vec<String>,
}

fn winner(router: &Router, request: &RouteRequest<'_>) -> Option<Found> {
    let found = router.find(request)?;
    if let Some(matched) = &found.matched {
        // Only the first branch of an expression is bound to the beginning, as in Kong.
        assert!(request.path.get(matched.clone()).is_some());
    }
    let mut upstream = Vec::new();
    found.upstream_path(Some("/service"), request.path, Some(b"q")).write(&mut upstream);
    assert!(upstream.starts_with(b"/service"));
    assert!(upstream.iter().all(u8::is_ascii_graphic), "{}", upstream.escape_ascii());
    let prefix = found.stripped_prefix(request.path);
    assert!(prefix.is_none_or(|prefix| request.path.contains(prefix)));
    Some(Found { id: found.route.id, matched: found.matched.clone(), captures: found.captures.clone() })
}

/// The normalised path of a request target, if it has one that can be routed.
fn target(target: &[u8]) -> Option<String> {
    let target = Target::parse(target)?;
    let path = routing::normalise(target.path).ok()?.into_owned();
    assert!(!path.split('/').any(|segment| segment == "." || segment == ".."), "{path}");
    assert!(!path.contains("//"), "{path}");
    assert_eq!(
        routing::normalise(path.as_bytes()).as_deref(),
        Ok(&*path),
        "normalising twice changes something"
    );
    Some(path)
}

fn route(id: u128, line: &str) -> Option<Arc<Route>> {
    let [method, host, path] = words(line);
    let mut route = Route::new(Uuid::from_u128(id));
    if method != "-" {
        route.methods = Some(vec![method.to_owned()]);
    }
    if host != "-" {
        let name = host.strip_prefix("*.").or_else(|| host.strip_suffix(".*")).unwrap_or(host);
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        route.hosts = Some(vec![host.to_owned()]);
    }
    if path != "-" {
        let path = RoutePath::parse(path);
        match &path {
            RoutePath::Prefix(prefix) if !prefix.starts_with('/') => return None,
            RoutePath::Regex(source)
                if !source.starts_with('/') || routing::check_path_expression(source).is_err() =>
            {
                return None;
            }
            _ => {}
        }
        route.paths = Some(vec![path]);
    }
    Some(Arc::new(route))
}

fn words(line: &str) -> [&str; 3] {
    let mut words = line.splitn(3, ' ');
    [words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default()]
}
