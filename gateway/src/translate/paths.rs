//! A path of an Ingress, with its type, to the paths of a Kong route.
//!
//! Kong's controller writes the text of `Exact` and `Prefix` paths into regular expressions as it stands, so a
//! dot matches any character; that is kept, since people see and use it. Only a text that is no regular
//! expression at all is taken literally.

use std::collections::HashMap;

use crate::model::RoutePath;

/// What marks a path as a regular expression unless the Ingress says otherwise.
const MARKER: &str = "/~";

/// How an Ingress writes regular expressions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Markers<'a> {
    pub(super) regex: &'a str,
    /// Take a path for a regular expression when it has characters of one.
    pub(super) guess: bool,
}

/// The usable paths, and what is wrong with the others.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Paths {
    pub(super) usable: Vec<RoutePath>,
    pub(super) faults: Vec<String>,
    /// Said although everything is usable.
    pub(super) doubts: Vec<String>,
}

/// The router's verdicts. Compiling a regular expression is what takes longest in a translation, so those of
/// the last one are kept.
pub(super) struct CheckedPaths<'a> {
    check: fn(&RoutePath) -> Result<(), String>,
    before: &'a PathVerdicts,
    now: PathVerdicts,
}

pub(super) type PathVerdicts = HashMap<RoutePath, Result<(), String>>;

impl<'a> CheckedPaths<'a> {
    pub(super) fn new(check: fn(&RoutePath) -> Result<(), String>, before: &'a PathVerdicts) -> Self {
        CheckedPaths { check, before, now: PathVerdicts::new() }
    }

    /// For the next translation.
    pub(super) fn into_verdicts(self) -> PathVerdicts {
        self.now
    }

    fn check(&mut self, path: &RoutePath) -> Result<(), String> {
        if let Some(verdict) = self.now.get(path) {
            return verdict.clone();
        }
        let verdict = self.before.get(path).cloned().unwrap_or_else(|| (self.check)(path));
        self.now.insert(path.clone(), verdict.clone());
        verdict
    }
}

impl Default for Markers<'_> {
    fn default() -> Self {
        Markers { regex: MARKER, guess: false }
    }
}

/// Kong's paths for one path of an Ingress rule.
pub(super) fn kong_paths(
    path: &str,
    path_type: &str,
    markers: Markers<'_>,
    checked: &mut CheckedPaths<'_>,
) -> Paths {
    let mut paths = Paths::default();
    let path = flatten_slashes(path);
    let path = if path.is_empty() { "/" } else { &path };
    match path_type {
        "Prefix" => {
            if path.starts_with(markers.regex) && !markers.regex.is_empty() {
                paths.doubts.push(format!(
                    "pathType Prefix makes a pair of odd paths out of {path:?}; a regular expression needs \
                     ImplementationSpecific"
                ));
            }
            let base = path.trim_matches('/');
            if base.is_empty() {
                paths.add(&["/".to_owned()], markers, checked);
            } else {
                paths.add(&[format!("/{base}/")], markers, checked);
                paths.add(&end_anchored(base), markers, checked);
            }
        }
        "Exact" => paths.add(&end_anchored(path.trim_start_matches('/')), markers, checked),
        "ImplementationSpecific" | "" => paths.add(&[path.to_owned()], markers, checked),
        other => paths.faults.push(format!("unknown pathType {other:?}")),
    }
    paths
}

/// The path as a regular expression up to its end; second, the same taken literally.
fn end_anchored(path: &str) -> [String; 2] {
    [format!("~/{path}$"), format!("~/{}$", regex::escape(path))]
}

impl Paths {
    /// Adds the first of the candidates that the router can match.
    fn add(&mut self, candidates: &[String], markers: Markers<'_>, checked: &mut CheckedPaths<'_>) {
        let mut first_fault = None;
        for candidate in candidates {
            let text = mark_regex(candidate, markers);
            let path = RoutePath::parse(&text);
            let verdict = if text.starts_with('/') || text.starts_with("~/") {
                checked.check(&path)
            } else {
                Err("should start with: / (fixed path) or ~/ (regex path)".to_owned())
            };
            match verdict {
                Ok(()) => {
                    if !self.usable.contains(&path) {
                        self.usable.push(path);
                    }
                    return;
                }
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        self.faults.extend(first_fault);
    }
}

/// Replaces the marker by Kong's `~`.
fn mark_regex(text: &str, markers: Markers<'_>) -> String {
    if text.starts_with('~') {
        return text.to_owned();
    }
    if let Some(rest) = text.strip_prefix(markers.regex) {
        return format!("~{rest}");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_~/%".contains(c);
    if markers.guess && !text.chars().all(plain) {
        return format!("~{text}");
    }
    text.to_owned()
}

/// Runs of slashes become one.
fn flatten_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &RoutePath) -> Result<(), String> {
        match path {
            RoutePath::Prefix(_) => Ok(()),
            RoutePath::Regex(regex) => {
                regex::Regex::new(regex).map(drop).map_err(|_| "invalid regex".to_owned())
            }
        }
    }

    fn checked(path: &str, path_type: &str, markers: Markers<'_>) -> Paths {
        let before = PathVerdicts::new();
        kong_paths(path, path_type, markers, &mut CheckedPaths::new(check, &before))
    }

    fn paths_with(path: &str, path_type: &str, markers: Markers<'_>) -> Vec<String> {
        let paths = checked(path, path_type, markers);
        paths.usable.iter().map(ToString::to_string).chain(paths.faults).collect()
    }

    fn paths(path: &str, path_type: &str) -> Vec<String> {
        paths_with(path, path_type, Markers::default())
    }

    #[test]
    fn prefix_makes_a_pair() {
        assert_eq!(paths("/", "Prefix"), ["/"]);
        assert_eq!(paths("", "Prefix"), ["/"]);
        assert_eq!(paths("/foo", "Prefix"), ["/foo/", "~/foo$"]);
        assert_eq!(paths("//foo///bar/", "Prefix"), ["/foo/bar/", "~/foo/bar$"]);
    }

    #[test]
    fn exact_is_anchored_at_the_end() {
        assert_eq!(paths("/foo", "Exact"), ["~/foo$"]);
        assert_eq!(paths("/foo/", "Exact"), ["~/foo/$"]);
        assert_eq!(paths("/", "Exact"), ["~/$"]);
        assert_eq!(paths("/v1.0", "Exact"), ["~/v1.0$"]);
    }

    #[test]
    fn the_rest_is_kongs_own() {
        assert_eq!(paths("/foo", "ImplementationSpecific"), ["/foo"]);
        assert_eq!(paths(r"/~/foo/\d+", ""), [r"~/foo/\d+"]);
        assert_eq!(paths("/~foo", ""), ["should start with: / (fixed path) or ~/ (regex path)"]);
    }

    #[test]
    fn what_is_no_regular_expression_is_taken_literally() {
        assert_eq!(paths("/a(b", "Exact"), [r"~/a\(b$"]);
        assert_eq!(paths("/a(b", "Prefix"), ["/a(b/", r"~/a\(b$"]);
        assert_eq!(paths("/~/a(b", "ImplementationSpecific"), ["invalid regex"]);
    }

    #[test]
    fn the_marker_can_be_another() {
        let at = Markers { regex: "/@", guess: false };
        assert_eq!(paths_with("/@/foo", "", at), ["~/foo"]);
        assert_eq!(paths_with("/~/foo", "", at), ["/~/foo"]);
    }

    #[test]
    fn guessing_looks_at_the_characters() {
        let guess = Markers { regex: MARKER, guess: true };
        assert_eq!(paths_with("/foo/[0-9]+", "", guess), ["~/foo/[0-9]+"]);
        assert_eq!(paths_with("/foo-_.%/", "", guess), ["/foo-_.%/"]);
    }

    #[test]
    fn an_odd_pair_is_doubted() {
        let paths = checked("/~/foo", "Prefix", Markers::default());
        assert_eq!(
            paths.usable,
            [RoutePath::Regex("/foo/".to_owned()), RoutePath::Regex("/~/foo$".to_owned())]
        );
        assert_eq!(paths.doubts.len(), 1);
    }

    #[test]
    fn a_verdict_is_kept_for_the_next_translation() {
        let path = RoutePath::Regex("/a".to_owned());
        let before = PathVerdicts::from([(path.clone(), Err("kept".to_owned()))]);
        let mut checked = CheckedPaths::new(check, &before);
        assert_eq!(checked.check(&path), Err("kept".to_owned()));
        assert_eq!(checked.into_verdicts(), before);
    }
}
