//! From routes to the index that [`Router`] searches.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use hashbrown::HashMap;

use super::{ByHeader, ByInnerText, ByServerName, Candidate, Candidates, Entry, Paths, Router};
use crate::model::{Route, RoutePath};
use crate::routing::header::{HeaderRule, is_same_name};
use crate::routing::names::{NamePattern, Names, split_port};
use crate::routing::pattern::Pattern;
use crate::routing::precedence::Part;
use crate::routing::prefixes::Prefixes;

/// Expressions by their text.
type Patterns = HashMap<Box<str>, Arc<Pattern>>;

/// The ranks that are there for a host, each with the port that the host was given with.
type Ranks = Vec<(u32, Option<u16>)>;

/// A path's text for the index, and the candidates under it.
type ByPath<'a> = HashMap<&'a [u8], Vec<Candidate>>;

/// Something that a request has, and the candidates that demand it.
type ByText = HashMap<Box<[u8]>, Vec<Candidate>>;

const FEW_EXPRESSIONS: usize = 4;

pub(super) fn compile(routes: Box<[Arc<Route>]>, known: &Patterns) -> Router {
    let mut parts: Vec<(usize, Part<'_>)> = routes
        .iter()
        .enumerate()
        .flat_map(|(index, route)| Part::of(route).into_iter().map(move |part| (index, part)))
        .collect();
    parts.sort_by_cached_key(|(_, part)| part.order());

    let mut patterns = Patterns::new();
    let entries: Box<[Entry]> = parts
        .iter()
        .map(|(index, part)| entry(*index, &routes[*index], part, |text| pattern(&mut patterns, known, text)))
        .collect();

    let mut groups = Groups { parts: &parts, entries: &entries, made: Vec::new(), places: HashMap::new() };
    let (by_host, any_host) = ranks_by_host(&routes, &parts);
    let hosts = by_host.map(|ranks| groups.place(ranks));
    let any_host = (!any_host.is_empty()).then(|| groups.place(any_host));
    let groups = groups.made.into();
    Router { routes, entries, hosts, any_host, groups, patterns }
}

fn pattern(patterns: &mut Patterns, known: &Patterns, text: &str) -> Option<Arc<Pattern>> {
    if let Some(pattern) = patterns.get(text) {
        return Some(Arc::clone(pattern));
    }
    let pattern = match known.get(text) {
        Some(pattern) => Arc::clone(pattern),
        None => Arc::new(Pattern::new(text).ok()?),
    };
    patterns.insert(text.into(), Arc::clone(&pattern));
    Some(pattern)
}

fn entry(
    index: usize,
    route: &Route,
    part: &Part<'_>,
    mut pattern: impl FnMut(&str) -> Option<Arc<Pattern>>,
) -> Entry {
    let expression = |path: &&RoutePath| match path {
        RoutePath::Regex(text) => pattern(text),
        RoutePath::Prefix(_) => None,
    };
    let paths = match part.paths.first() {
        None => Paths::Any,
        Some(RoutePath::Prefix(prefix)) => Paths::Prefix(prefix.len()),
        Some(RoutePath::Regex(_)) => Paths::Patterns(part.paths.iter().filter_map(expression).collect()),
    };
    let sni =
        |name: &String| NamePattern::parse(&name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
    Entry {
        route: index as u32,
        methods: route.methods.iter().flatten().map(|method| method.as_bytes().into()).collect(),
        headers: route.headers.iter().flatten().map(|(name, values)| HeaderRule::new(name, values)).collect(),
        snis: route.snis.iter().flatten().map(sni).collect(),
        paths,
    }
}

/// Which ranks there are for which host, and for requests whatever their host.
fn ranks_by_host(routes: &[Arc<Route>], parts: &[(usize, Part<'_>)]) -> (Names<Ranks>, Ranks) {
    let mut by_host: Names<Ranks> = Names::default();
    let mut any_host = Ranks::new();
    for (rank, (index, _)) in parts.iter().enumerate() {
        let hosts = routes[*index].hosts.as_deref().unwrap_or_default();
        if hosts.is_empty() {
            any_host.push((rank as u32, None));
        }
        for host in hosts {
            let (_, port) = split_port(host.as_bytes());
            let name = port.and_then(|_| host.split_once(':')).map_or(&**host, |(name, _)| name);
            // A port that no connection can have makes a host that nothing matches.
            if let Ok(port) = port.map(u16::try_from).transpose() {
                by_host.entry(NamePattern::parse(name)).push((rank as u32, port));
            }
        }
    }
    (by_host, any_host)
}

/// Indexes by path, one for each set of ranks.
struct Groups<'a> {
    parts: &'a [(usize, Part<'a>)],
    entries: &'a [Entry],
    made: Vec<Prefixes<Candidates>>,
    places: HashMap<Ranks, u32>,
}

impl Groups<'_> {
    fn place(&mut self, ranks: Ranks) -> u32 {
        if let Some(place) = self.places.get(&ranks) {
            return *place;
        }
        let place = self.made.len() as u32;
        self.made.push(self.by_path(&ranks));
        self.places.insert(ranks, place);
        place
    }

    fn by_path(&self, ranks: &Ranks) -> Prefixes<Candidates> {
        let mut by_path = ByPath::new();
        for &(rank, port) in ranks {
            let mut add =
                |text, pattern| by_path.entry(text).or_default().push(Candidate { rank, port, pattern });
            match &self.entries[rank as usize].paths {
                Paths::Any => add(&[], None),
                Paths::Patterns(patterns) => {
                    for (at, pattern) in patterns.iter().enumerate() {
                        add(pattern.literal(), Some(at as u32));
                    }
                }
                Paths::Prefix(_) => {
                    for path in &self.parts[rank as usize].1.paths {
                        if let RoutePath::Prefix(prefix) = path {
                            add(prefix.as_bytes(), None);
                        }
                    }
                }
            }
        }
        Prefixes::new(by_path.into_iter().collect(), |list, parent| self.candidates(&list, parent))
    }

    /// Files each candidate under the most telling thing that it demands.
    fn candidates(&self, list: &[Candidate], parent: Option<&Candidates>) -> Candidates {
        let mut open = Vec::new();
        let mut by_inner_text = ByText::new();
        let mut by_header: Vec<(&[u8], ByText)> = Vec::new();
        let mut by_server_name: Names<Vec<Candidate>> = Names::default();
        let mut with_server_name = Vec::new();
        for &candidate in list {
            let entry = &self.entries[candidate.rank as usize];
            let inner_text = inner_text(entry, candidate);
            let header = entry.headers.iter().find_map(|rule| Some((rule.name(), rule.plain_values()?)));
            if let Some((name, values)) = header {
                let at =
                    by_header.iter().position(|(other, _)| is_same_name(name, other)).unwrap_or_else(|| {
                        by_header.push((name, ByText::new()));
                        by_header.len() - 1
                    });
                for value in values {
                    by_header[at].1.entry_ref(value).or_default().push(candidate);
                }
            } else if !inner_text.is_empty() {
                by_inner_text.entry(inner_text.into()).or_default().push(candidate);
            } else if entry.snis.is_empty() {
                open.push(candidate);
            } else {
                with_server_name.push(candidate);
                for sni in &entry.snis {
                    by_server_name.entry(sni.clone()).push(candidate);
                }
            }
        }
        let by_inner_text = search_texts(by_inner_text, &mut open);
        let best = list.iter().map(|candidate| candidate.rank).min().unwrap_or(u32::MAX);
        Candidates {
            best: best.min(parent.map_or(u32::MAX, |parent| parent.best)),
            open: sorted(open),
            by_inner_text,
            by_header: by_header
                .into_iter()
                .map(|(name, values)| ByHeader {
                    name: name.into(),
                    values: values.into_iter().map(|(value, list)| (value, sorted(list))).collect(),
                })
                .collect(),
            by_server_name: (!by_server_name.is_empty()).then(|| {
                Box::new(ByServerName { names: by_server_name.map(sorted), all: sorted(with_server_name) })
            }),
        }
    }
}

fn inner_text(entry: &Entry, candidate: Candidate) -> &[u8] {
    match (&entry.paths, candidate.pattern) {
        (Paths::Patterns(patterns), Some(pattern)) => patterns[pattern as usize].inner(),
        _ => &[],
    }
}

/// A few expressions are run sooner than their texts are searched for.
fn search_texts(by_text: ByText, open: &mut Vec<Candidate>) -> Option<Box<ByInnerText>> {
    let (texts, lists): (Vec<_>, Vec<_>) = by_text.into_iter().unzip();
    let many = texts.len() > FEW_EXPRESSIONS;
    let Some(texts) = many.then(|| AhoCorasick::new(&texts).ok()).flatten() else {
        open.extend(lists.into_iter().flatten());
        return None;
    };
    Some(Box::new(ByInnerText { texts, lists: lists.into_iter().map(sorted).collect() }))
}

fn sorted(mut list: Vec<Candidate>) -> Box<[Candidate]> {
    list.sort_unstable();
    list.dedup();
    list.into()
}
