//! A path of an Ingress, with its type, to the paths of a Kong route.
//!
//! Kong's controller writes the text of `Exact` and `Prefix` paths into regular expressions as it stands, so a
//! dot matches any character; that is kept, since people see and use it. Only a text that is no regular
//! expression at all is taken literally.

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
    check: fn(&RoutePath) -> Result<(), String>,
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
                paths.add(&["/".to_owned()], markers, check);
            } else {
                paths.add(&[format!("/{base}/")], markers, check);
                paths.add(&end_anchored(base), markers, check);
            }
        }
        "Exact" => paths.add(&end_anchored(path.trim_start_matches('/')), markers, check),
        "ImplementationSpecific" | "" => paths.add(&[path.to_owned()], markers, check),
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
    fn add(
        &mut self,
        candidates: &[String],
        markers: Markers<'_>,
        check: fn(&RoutePath) -> Result<(), String>,
    ) {
        let mut first_fault = None;
        for candidate in candidates {
            let text = mark_regex(candidate, markers);
            let path = RoutePath::parse(&text);
            let verdict = if text.starts_with('/') || text.starts_with("~/") {
                check(&path)
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

    fn paths_with(path: &str, path_type: &str, markers: Markers<'_>) -> Vec<String> {
        let paths = kong_paths(path, path_type, markers, check);
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
        let paths = kong_paths("/~/foo", "Prefix", Markers::default(), check);
        assert_eq!(
            paths.usable,
            [RoutePath::Regex("/foo/".to_owned()), RoutePath::Regex("/~/foo$".to_owned())]
        );
        assert_eq!(paths.doubts.len(), 1);
    }
}
