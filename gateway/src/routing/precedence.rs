//! Which of two matching routes wins: Kong's 64-bit priority, and the routes that are split because their paths
//! don't rank alike.
//!
//! Age plays no part. Whether a route matches is not decided here.

use std::cmp::Reverse;

use uuid::{Uuid, uuid};

use crate::model::{Route, RoutePath};

/// A route, or the part of one whose paths rank alike.
pub(super) struct Part<'r> {
    pub(super) priority: u64,
    /// Breaks ties: the greater one wins. The route's own, unless the route had to be split.
    pub(super) id: Uuid,
    pub(super) paths: Vec<&'r RoutePath>,
}

/// Ids of split routes are made in this namespace, as Kong makes them: they decide ties.
const SPLIT_ROUTES: Uuid = uuid!("7f145bf9-0dce-4f91-98eb-debbce4b9f6b");

const EXACT_HOSTS: u64 = 1 << 60;
const REGEX: u64 = 1 << 51;
const ATTRIBUTES_SHIFT: u32 = 29;
const HEADERS_SHIFT: u32 = 20;
const REGEX_PRIORITY_SHIFT: u32 = 19;
const MOST_HEADERS: usize = 255;
const LENGTH: u32 = (1 << 19) - 1;

impl<'r> Part<'r> {
    /// The parts of a route: one for all its regular expressions and one for each length of its prefixes.
    pub(super) fn of(route: &'r Route) -> Vec<Part<'r>> {
        let mut groups: Vec<(Option<usize>, Vec<&RoutePath>)> = Vec::new();
        for path in route.paths.iter().flatten() {
            let kind = prefix_length(path);
            match groups.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, paths)) => paths.push(path),
                None => groups.push((kind, vec![path])),
            }
        }
        if groups.len() < 2 {
            let paths = groups.pop().map(|(_, paths)| paths).unwrap_or_default();
            return vec![Part { priority: priority(route, &paths), id: route.id, paths }];
        }
        let part = |(index, (_, paths)): (usize, (_, Vec<&'r RoutePath>))| Part {
            priority: priority(route, &paths),
            id: Uuid::new_v5(&SPLIT_ROUTES, format!("{}#{}", route.id, index + 1).as_bytes()),
            paths,
        };
        groups.into_iter().enumerate().map(part).collect()
    }

    /// Sorts what is to be tried first to the front.
    pub(super) fn order(&self) -> impl Ord + use<> {
        Reverse((self.priority, self.id))
    }
}

fn prefix_length(path: &RoutePath) -> Option<usize> {
    match path {
        RoutePath::Prefix(prefix) => Some(prefix.len()),
        RoutePath::Regex(_) => None,
    }
}

/// Kong means the number of attributes to count most. But its shifts of plain numbers are shifts of 32 bits, and a
/// result that is negative as such becomes bit 63 alone when it is widened. Its users' routes are ranked by what comes
/// out, so this computes the same: exact hosts count most, then expressions, then the number of attributes, headers
/// and the priority of expressions, then the length of the prefix; and four attributes count more than anything.
fn priority(route: &Route, paths: &[&RoutePath]) -> u64 {
    let headers = route.headers.as_ref().map_or(0, |headers| headers.len().min(MOST_HEADERS)) as u32;
    let given = [
        is_given(route.methods.as_ref()),
        is_given(route.hosts.as_ref()),
        headers > 0,
        !paths.is_empty(),
        is_given(route.snis.as_ref()),
    ];
    let attributes = (given.into_iter().filter(|given| *given).count() as u32) << ATTRIBUTES_SHIFT;
    let headers = headers << HEADERS_SHIFT;
    let exact_hosts = route.hosts.as_ref().is_some_and(|hosts| !hosts.iter().any(|host| host.contains('*')));
    let (is_expression, length) = match paths.first().map(|path| prefix_length(path)) {
        Some(Some(length)) => (false, length as u32 & LENGTH),
        Some(None) => (true, 0),
        None => (false, 0),
    };
    if !exact_hosts && !is_expression {
        return widened(attributes | headers | length);
    }
    let regex_priority =
        if is_expression { (route.regex_priority as u32) << REGEX_PRIORITY_SHIFT } else { 0 };
    let kinds = if exact_hosts { EXACT_HOSTS } else { 0 } | if is_expression { REGEX } else { 0 };
    [attributes, headers, regex_priority, length].map(widened).into_iter().fold(kinds, |sum, part| sum | part)
}

/// A 32-bit number as Kong's become 64-bit ones.
fn widened(number: u32) -> u64 {
    if number >> 31 == 1 { 1 << 63 } else { u64::from(number) }
}

fn is_given<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn route(change: impl FnOnce(&mut Route)) -> Route {
        let mut route = Route::new(Uuid::from_u128(7));
        change(&mut route);
        route
    }

    fn strings(list: &[&str]) -> Option<Vec<String>> {
        (!list.is_empty()).then(|| list.iter().map(ToString::to_string).collect())
    }

    fn paths(list: &[&str]) -> Option<Vec<RoutePath>> {
        (!list.is_empty()).then(|| list.iter().map(|path| RoutePath::parse(path)).collect())
    }

    /// The priority of a route that need not be split.
    fn priority_of(change: impl FnOnce(&mut Route)) -> u64 {
        let route = route(change);
        let parts = Part::of(&route);
        assert_eq!(parts.len(), 1);
        parts[0].priority
    }

    fn headers(count: usize) -> Option<BTreeMap<String, Vec<String>>> {
        (count > 0).then(|| (0..count).map(|i| (format!("x{i}"), vec!["1".to_owned()])).collect())
    }

    #[test]
    fn each_field_has_its_bits() {
        assert_eq!(priority_of(|_| ()), 0);
        assert_eq!(priority_of(|r| r.methods = strings(&["GET"])), 1 << 29);
        assert_eq!(priority_of(|r| r.snis = strings(&["a"])), 1 << 29);
        assert_eq!(priority_of(|r| r.hosts = strings(&["a.test"])), 1 << 60 | 1 << 29);
        assert_eq!(priority_of(|r| r.hosts = strings(&["a.test", "*.b.test"])), 1 << 29);
        assert_eq!(priority_of(|r| r.paths = paths(&["/abc", "/def"])), 1 << 29 | 4);
        assert_eq!(priority_of(|r| r.paths = paths(&["~/abc", "~/d"])), 1 << 51 | 1 << 29);
        assert_eq!(priority_of(|r| r.headers = headers(3)), 1 << 29 | 3 << 20);
        assert_eq!(priority_of(|r| r.headers = headers(300)), 1 << 29 | 255 << 20);
    }

    /// The numbers are those that Kong's arithmetic gives in its own interpreter.
    #[test]
    fn priorities_are_those_that_kong_computes() {
        let exact: &[&str] = &["a.test"];
        let wild: &[&str] = &["*.test"];
        for (hosts, methods, sni, headers_count, path, regex_priority, expected) in [
            (exact, false, false, 0, "", 0, 0x1000_0000_2000_0000),
            (wild, false, false, 0, "/a", 0, 0x0000_0000_4000_0002),
            (wild, true, false, 0, "/a", 0, 0x0000_0000_6000_0002),
            (wild, true, false, 1, "/abcd", 0, 0x8000_0000_0000_0000),
            (exact, true, true, 255, "~/", 0, 0x9008_0000_0ff0_0000),
            (exact, true, false, 3, "/12345678", 0, 0x9000_0000_0030_0009),
            (&[], false, false, 0, "~/", 5, 0x0008_0000_2028_0000),
            (&[], false, false, 0, "~/", -1, 0x8008_0000_2000_0000),
            (&[], false, false, 0, "~/", 4096, 0x8008_0000_2000_0000),
            (&[], false, false, 0, "~/", 8192, 0x0008_0000_2000_0000),
            (&[], false, false, 3, "~/", 6, 0x0008_0000_4030_0000),
            (&[], false, false, 0, "/a", 7, 0x0000_0000_2000_0002),
        ] {
            let priority = priority_of(|r| {
                r.hosts = strings(hosts);
                r.methods = strings(&["GET"]).filter(|_| methods);
                r.snis = strings(&["a"]).filter(|_| sni);
                r.headers = headers(headers_count);
                r.paths = paths(&[path]).filter(|_| !path.is_empty());
                r.regex_priority = regex_priority;
            });
            assert_eq!(priority, expected, "{hosts:?} {path} {regex_priority}: {priority:#x}");
        }
    }

    #[test]
    fn paths_that_rank_differently_split_a_route() {
        let route = route(|r| r.paths = paths(&["/aa", "~/x", "/bbbb", "/cc", "~/y"]));
        let parts = Part::of(&route);
        let texts: Vec<Vec<String>> =
            parts.iter().map(|part| part.paths.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(texts, [vec!["/aa", "/cc"], vec!["~/x", "~/y"], vec!["/bbbb"]]);
        assert_eq!(parts[0].id, Uuid::new_v5(&SPLIT_ROUTES, format!("{}#1", route.id).as_bytes()));
        assert!(parts.iter().all(|part| part.id != route.id));
    }
}
