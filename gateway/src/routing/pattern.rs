//! One regular expression among a route's paths, and what an index can know about it beforehand.
//!
//! `^` is put in front of the text as it stands, as Kong does, so of `/a|/b` only the first alternative is anchored.
//! Most expressions begin with plain text, and those that stand for an exact path are nothing else: the index looks
//! that text up like a prefix and only what is left runs as an expression.

use std::ops::Range;

use regex::Regex;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind, Look};

/// A compiled path expression.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What every path that matches begins with.
    literal: Box<[u8]>,
    rest: Rest,
}

/// What follows the literal.
#[derive(Debug)]
enum Rest {
    Anything,
    Nothing,
    Regex(Regex),
}

/// Numbered groups, index 0 the whole match, and named ones. Both empty when the expression has no groups.
pub(super) type Groups = (Vec<String>, Vec<(String, String)>);

impl Pattern {
    /// Compiles what follows the `~` of a path.
    pub(super) fn new(source: &str) -> Result<Pattern, regex::Error> {
        let anchored = format!("^{source}");
        let syntax = |error: regex_syntax::Error| regex::Error::Syntax(error.to_string());
        let hir = regex_syntax::parse(&anchored).map_err(syntax)?;
        if let Some((literal, rest)) = plain(&hir) {
            return Ok(Pattern { literal, rest });
        }
        Ok(Pattern { literal: beginning(&hir), rest: Rest::Regex(Regex::new(&anchored)?) })
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
        let Some(captures) = regex.captures(path) else { return Groups::default() };
        let text = |group: Option<regex::Match<'_>>| {
            group.map_or_else(String::new, |group| group.as_str().to_owned())
        };
        let named = regex
            .capture_names()
            .flatten()
            .filter_map(|name| captures.name(name).map(|group| (name.to_owned(), group.as_str().to_owned())));
        (captures.iter().map(text).collect(), named.collect())
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

#[cfg(test)]
mod tests {
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
            for path in paths {
                let expected = regex.find(path).map(|found| found.range());
                let pattern = Pattern::new(source).unwrap();
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
        assert!(Pattern::new("/a(").is_err());
        assert!(Pattern::new("/a(?=b)").is_err());
    }
}
