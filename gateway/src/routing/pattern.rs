//! One regular expression among a route's paths, and what an index can know about it beforehand.
//!
//! `^` is put in front of the text as it stands, as Kong does, so of `/a|/b` only the first alternative is anchored.
//! Most expressions begin with plain text, and those that stand for an exact path are nothing else: the index looks
//! that text up like a prefix and only what is left runs as an expression.

use std::ops::Range;

use regex_automata::meta::{BuildError, Config, Regex};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind, Look};

/// A compiled path expression.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What every path that matches begins with.
    literal: Box<[u8]>,
    /// Something else that every path that matches contains; empty when nothing is known.
    inner: Box<[u8]>,
    rest: Rest,
}

/// What follows the literal.
#[derive(Debug)]
enum Rest {
    Anything,
    Nothing,
    Regex(Regex),
}

/// Why a regular expression can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Reads as `regex parse error:`, the expression, a mark under the place, the reason.
    #[error(transparent)]
    Syntax(Box<regex_syntax::Error>),
    #[error("the regular expression is too large once compiled; make its repetitions or classes smaller")]
    TooLarge(#[source] Box<BuildError>),
}

/// The compiled form of an expression may have this many bytes.
const LARGEST: usize = 10 << 20;

/// Numbered groups, index 0 the whole match, and named ones. Both empty when the expression has no groups.
pub(super) type Groups = (Vec<String>, Vec<(String, String)>);

impl Pattern {
    /// Compiles what follows the `~` of a path.
    pub(super) fn new(source: &str) -> Result<Pattern, PatternError> {
        let syntax = |error| PatternError::Syntax(Box::new(error));
        let hir = regex_syntax::parse(&format!("^{source}")).map_err(syntax)?;
        if let Some((literal, rest)) = plain(&hir) {
            return Ok(Pattern { literal, inner: Box::default(), rest });
        }
        // There may be thousands of expressions and a path is short: backtracking within bounds takes an eighth of the
        // memory of the automata that are left out, and half the time to compile.
        let frugal = Config::new().nfa_size_limit(Some(LARGEST)).onepass(false).hybrid(false).dfa(false);
        let too_large = |error| PatternError::TooLarge(Box::new(error));
        let regex = Regex::builder().configure(frugal).build_from_hir(&hir).map_err(too_large)?;
        Ok(Pattern { literal: beginning(&hir), inner: inner(&hir), rest: Rest::Regex(regex) })
    }

    pub(super) fn inner(&self) -> &[u8] {
        &self.inner
    }

    pub(super) fn literal(&self) -> &[u8] {
        &self.literal
    }

    /// Which part of the path matches.
    pub(super) fn find(&self, path: &str) -> Option<Range<usize>> {
        match &self.rest {
            Rest::Anything => path.as_bytes().starts_with(&self.literal).then_some(0..self.literal.len()),
            Rest::Nothing => (*path.as_bytes() == *self.literal).then_some(0..path.len()),
            Rest::Regex(regex) => regex.find(path).map(|found| found.range()),
        }
    }

    /// The groups of the match. A group that took no part is empty, a named one absent.
    pub(super) fn groups(&self, path: &str) -> Groups {
        let Rest::Regex(regex) = &self.rest else { return Groups::default() };
        if regex.captures_len() < 2 {
            return Groups::default();
        }
        let mut captures = regex.create_captures();
        regex.captures(path, &mut captures);
        let text = |group: regex_automata::Span| path[group.range()].to_owned();
        let named = regex.group_info().pattern_names(regex_automata::PatternID::ZERO).zip(captures.iter());
        let named = named.filter_map(|(name, group)| Some((name?.to_owned(), text(group?))));
        (captures.iter().map(|group| group.map(text).unwrap_or_default()).collect(), named.collect())
    }
}

/// `^literal` and `^literal$`.
fn plain(hir: &Hir) -> Option<(Box<[u8]>, Rest)> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let (start, rest) = parts.split_first()?;
    let (literal, end) = rest.split_first()?;
    let HirKind::Literal(literal) = literal.kind() else { return None };
    let rest = match end {
        [] => Rest::Anything,
        [end] if *end.kind() == HirKind::Look(Look::End) => Rest::Nothing,
        _ => return None,
    };
    (*start.kind() == HirKind::Look(Look::Start)).then(|| (literal.0.clone(), rest))
}

/// The text that every match begins with, as far as it begins where the path does.
fn beginning(hir: &Hir) -> Box<[u8]> {
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Box::default();
    }
    Extractor::new().extract(hir).longest_common_prefix().unwrap_or_default().into()
}

/// The longest text that every match contains behind its literal.
fn inner(hir: &Hir) -> Box<[u8]> {
    let HirKind::Concat(parts) = hir.kind() else { return Box::default() };
    let behind = match parts.as_slice() {
        [_, literal, rest @ ..] if matches!(literal.kind(), HirKind::Literal(_)) => rest,
        parts => parts,
    };
    let mut longest: &[u8] = &[];
    for part in behind {
        keep_longest_literal(part, &mut longest);
    }
    longest.into()
}

fn keep_longest_literal<'h>(hir: &'h Hir, longest: &mut &'h [u8]) {
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.len() > longest.len() => *longest = &literal.0,
        HirKind::Concat(parts) => parts.iter().for_each(|part| keep_longest_literal(part, longest)),
        HirKind::Capture(group) => keep_longest_literal(&group.sub, longest),
        HirKind::Repetition(repeated) if repeated.min > 0 => keep_longest_literal(&repeated.sub, longest),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn literal(source: &str) -> String {
        String::from_utf8(Pattern::new(source).unwrap().literal().to_vec()).unwrap()
    }

    #[test]
    fn the_literal_is_what_every_match_begins_with() {
        assert_eq!(literal("/foo"), "/foo");
        assert_eq!(literal("/foo$"), "/foo");
        assert_eq!(literal(r"/u/(?<id>\d+)/p"), "/u/");
        assert_eq!(literal(r"/a\.b/.*"), "/a.b/");
        assert_eq!(literal("/ab*"), "/a");
        assert_eq!(literal("/api/(v1|v2)/x"), "/api/v");
        assert_eq!(literal("/(?i)abc"), "/");
        assert_eq!(literal("/a|/b"), "");
        assert_eq!(literal("/(a|b)|/c"), "");
        assert_eq!(literal("/é[0-9]"), "/é");
    }

    #[test]
    fn the_inner_text_is_the_longest_that_must_follow() {
        let inner = |source| String::from_utf8(Pattern::new(source).unwrap().inner().to_vec()).unwrap();
        assert_eq!(inner(r"/v\d+/users$"), "/users");
        assert_eq!(inner(r"/v\d+(/x)(/long/)?/y+"), "/x");
        assert_eq!(inner(r"/v\d+(/xyz){2}/y"), "/xyz");
        assert_eq!(inner("/(a|b)"), "");
        assert_eq!(inner("/a|/b"), "");
        assert_eq!(inner("/foo"), "");
    }

    #[test]
    fn plain_text_needs_no_expression() {
        for (source, plain) in
            [("/foo", true), ("/foo$", true), (r"/a\.b$", true), ("/fo?o", false), ("/a|/b", false)]
        {
            assert_eq!(!matches!(Pattern::new(source).unwrap().rest, Rest::Regex(_)), plain, "{source}");
        }
    }

    #[test]
    fn it_matches_like_the_anchored_expression() {
        let sources =
            ["/foo", "/foo$", "/a|/b", "/ab*", r"/u/(?<id>\d+)", "/(?i)abc", "/three$|~/four", "/a b$", "/"];
        let paths = [
            "/", "/foo", "/foo/", "/foox", "/x/foo", "/b", "/x/b", "/abb", "/u/12/x", "/ABC", "/~/four",
            "/a b",
        ];
        for source in sources {
            let regex = Regex::new(&format!("^{source}")).unwrap();
            let pattern = Pattern::new(source).unwrap();
            for path in paths {
                let expected = regex.find(path).map(|found| found.range());
                assert_eq!(pattern.find(path), expected, "{source} {path}");
                assert!(
                    expected.is_none() || path.as_bytes().starts_with(pattern.literal()),
                    "{source} {path}"
                );
            }
        }
    }

    #[test]
    fn groups_are_given_by_number_and_by_name() {
        let pattern = Pattern::new(r"/u/(?<id>\d+)(/(?<rest>.+))?").unwrap();
        let (numbered, named) = pattern.groups("/u/12/a/b");
        assert_eq!(numbered, ["/u/12/a/b", "12", "/a/b", "a/b"]);
        assert_eq!(named, [("id", "12"), ("rest", "a/b")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        let (numbered, named) = pattern.groups("/u/12");
        assert_eq!(numbered, ["/u/12", "12", "", ""]);
        assert_eq!(named.len(), 1);
        assert_eq!(Pattern::new("/u/.+").unwrap().groups("/u/1"), Groups::default());
    }

    #[test]
    fn a_bad_expression_is_an_error() {
        let error = Pattern::new("/a(?=b)").unwrap_err().to_string();
        assert!(error.starts_with("regex parse error:\n    ^/a(?=b)\n"), "{error}");
        assert!(matches!(Pattern::new("/a("), Err(PatternError::Syntax(_))));
        assert!(matches!(Pattern::new(r"/(\w{100}){100}"), Err(PatternError::TooLarge(_))));
    }
}
