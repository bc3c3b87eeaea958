//! The compiled lookup: host, then path, then the rest.
//!
//! Routes are ranked once, best first; a rank is all that a comparison needs. The index narrows a request down to the
//! few candidates whose host and path fit, and the search ends where no better rank can follow. Nothing is allocated
//! unless a route's expression has groups or a header value has to be lower-cased.

mod compile;

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use hashbrown::HashMap;

use super::header::{self, HeaderRule};
use super::names::{NamePattern, Names, split_port};
use super::pattern::Pattern;
use super::prefixes::Prefixes;
use super::{RouteMatch, RouteRequest};
use crate::model::Route;

/// All routes, ready to be searched.
#[derive(Debug)]
pub struct Router {
    routes: Box<[Arc<Route>]>,
    /// Routes and parts of routes, best first: the index is the rank.
    entries: Box<[Entry]>,
    /// By host, a place in `groups`.
    hosts: Names<u32>,
    any_host: Option<u32>,
    /// What is there for one host; hosts with the same routes share it.
    groups: Box<[Prefixes<Candidates>]>,
    /// Every expression in use, so that the next generation need not compile it again.
    patterns: HashMap<Box<str>, Arc<Pattern>>,
}

/// What is left to check of a route when host and path are known to fit.
#[derive(Debug)]
struct Entry {
    route: u32,
    /// Empty lists demand nothing.
    methods: Box<[Box<[u8]>]>,
    headers: Box<[HeaderRule]>,
    snis: Box<[NamePattern]>,
    paths: Paths,
}

#[derive(Debug)]
enum Paths {
    Any,
    /// All prefixes of an entry have one length.
    Prefix(usize),
    /// In the order of the route, which decides what is taken for the match.
    Patterns(Box<[Arc<Pattern>]>),
}

/// What may match a path that begins with a certain text.
#[derive(Debug)]
struct Candidates {
    /// The best rank here or under a shorter text.
    best: u32,
    /// Those that the lists below don't sort out, as all lists by rank.
    open: Box<[Candidate]>,
    by_inner_text: Option<Box<ByInnerText>>,
    by_header: Box<[ByHeader]>,
    by_server_name: Option<Box<ByServerName>>,
}

/// Candidates by what their expressions demand to be somewhere in the path.
#[derive(Debug)]
struct ByInnerText {
    texts: AhoCorasick,
    /// By the text's number.
    lists: Box<[Box<[Candidate]>]>,
}

/// Candidates by the value that they demand of one header.
#[derive(Debug)]
struct ByHeader {
    name: Box<[u8]>,
    values: HashMap<Box<[u8]>, Box<[Candidate]>>,
}

/// Candidates that demand a server name, which count only for requests that have one.
#[derive(Debug)]
struct ByServerName {
    names: Names<Box<[Candidate]>>,
    all: Box<[Candidate]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Candidate {
    rank: u32,
    /// The port that the route's host names.
    port: Option<u16>,
    /// Which of the entry's expressions begins with the text.
    pattern: Option<u32>,
}

/// One search under way.
struct Search<'a> {
    entries: &'a [Entry],
    request: &'a RouteRequest<'a>,
    port: u32,
    /// The best so far and what of the path it matched.
    found: Option<(u32, Range<usize>)>,
}

impl Router {
    /// Compiles routes. A regular expression that doesn't compile matches nothing; sources refuse it before.
    pub fn new(routes: impl IntoIterator<Item = Arc<Route>>) -> Router {
        compile::compile(routes.into_iter().collect(), &HashMap::new())
    }

    /// The router of the next generation. Expressions that were there before are not compiled again.
    #[must_use]
    pub fn next(&self, routes: impl IntoIterator<Item = Arc<Route>>) -> Router {
        compile::compile(routes.into_iter().collect(), &self.patterns)
    }

    /// The best route whose every attribute fits.
    pub fn find<'r>(&'r self, request: &RouteRequest<'_>) -> Option<RouteMatch<'r>> {
        let host = request.host.map(split_port);
        let port = host.and_then(|(_, port)| port).unwrap_or(u32::from(request.port));
        let mut search = Search { entries: &self.entries, request, port, found: None };
        if let Some((host, _)) = host {
            for group in self.hosts.covering(host) {
                search.group(&self.groups[*group as usize]);
            }
        }
        if let Some(group) = self.any_host {
            search.group(&self.groups[group as usize]);
        }
        let (rank, matched) = search.found?;
        Some(self.matched(&self.entries[rank as usize], request.path, matched))
    }

    fn matched(&self, entry: &Entry, path: &str, mut matched: Range<usize>) -> RouteMatch<'_> {
        let (mut captures, mut named_captures) = Default::default();
        if let Paths::Patterns(patterns) = &entry.paths {
            // Of several expressions the index may have met another than the first that matches.
            let first = match &**patterns {
                [only] => Some((only, matched.clone())),
                several => several.iter().find_map(|pattern| Some((pattern, pattern.find(path)?))),
            };
            if let Some((pattern, range)) = first {
                matched = range;
                (captures, named_captures) = pattern.groups(path);
            }
        }
        RouteMatch {
            index: entry.route as usize,
            route: &self.routes[entry.route as usize],
            matched: (!matches!(entry.paths, Paths::Any)).then_some(matched),
            captures,
            named_captures,
        }
    }
}

impl Search<'_> {
    fn group(&mut self, paths: &Prefixes<Candidates>) {
        for candidates in paths.covering(self.request.path.as_bytes()) {
            if !self.is_better(candidates.best) {
                break;
            }
            self.candidates(candidates);
        }
    }

    fn candidates(&mut self, candidates: &Candidates) {
        self.list(&candidates.open);
        if let Some(by) = &candidates.by_inner_text {
            for text in by.texts.find_overlapping_iter(self.request.path) {
                self.list(&by.lists[text.pattern()]);
            }
        }
        for by in &candidates.by_header {
            for value in header::values(self.request.fields, &by.name) {
                if let Some(list) = by.values.get(&*value) {
                    self.list(list);
                }
            }
        }
        match (&candidates.by_server_name, self.request.server_name) {
            (Some(by), None) => self.list(&by.all),
            (Some(by), Some(name)) => by.names.covering(name.as_bytes()).for_each(|list| self.list(list)),
            (None, _) => {}
        }
    }

    fn list(&mut self, list: &[Candidate]) {
        for candidate in list {
            if !self.is_better(candidate.rank) {
                break;
            }
            if let Some(matched) = self.admits(candidate) {
                self.found = Some((candidate.rank, matched));
                break;
            }
        }
    }

    fn is_better(&self, rank: u32) -> bool {
        self.found.as_ref().is_none_or(|(found, _)| rank < *found)
    }

    fn admits(&self, candidate: &Candidate) -> Option<Range<usize>> {
        let entry = &self.entries[candidate.rank as usize];
        let fits =
            candidate.port.is_none_or(|port| u32::from(port) == self.port) && entry.admits(self.request);
        if !fits {
            return None;
        }
        match (&entry.paths, candidate.pattern) {
            (Paths::Patterns(patterns), Some(pattern)) => patterns[pattern as usize].find(self.request.path),
            (Paths::Prefix(length), _) => Some(0..*length),
            _ => Some(0..0),
        }
    }
}

impl Entry {
    fn admits(&self, request: &RouteRequest<'_>) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|method| **method == *request.method);
        let server_name =
            |name: &str| self.snis.is_empty() || self.snis.iter().any(|sni| sni.covers(name.as_bytes()));
        method
            && request.server_name.is_none_or(server_name)
            && self.headers.iter().all(|rule| rule.admits(request.fields))
    }
}
