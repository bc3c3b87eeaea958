//! What names may look like, and which version of a group is preferred.

use std::cmp::Reverse;
use std::sync::LazyLock;

use regex::Regex;

/// What the name of an object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// `a.b-c`
    Subdomain,
    /// `b-c`
    Label,
    /// `b-c`, beginning with a letter.
    Service,
    /// Anything that can stand in a path.
    Path,
}

static SUBDOMAIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));
static SERVICE: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z]([-a-z0-9]*[a-z0-9])?$"));
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| pattern("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"));

#[expect(clippy::expect_used, reason = "the patterns are constants, each tried by a test")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
    '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
    validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
    is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with \
    an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
    is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
    '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
    '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

impl NameRule {
    /// What is wrong with a name. The prefix of a name to be generated may end in a dash.
    pub(crate) fn check(self, name: &str, prefix: bool) -> Vec<String> {
        let checked = match name.strip_suffix('-') {
            Some(rest) if prefix => format!("{rest}a"),
            _ => name.to_owned(),
        };
        match self {
            NameRule::Subdomain => limited(&checked, 253, &SUBDOMAIN, SUBDOMAIN_RULE),
            NameRule::Label => limited(&checked, 63, &LABEL, LABEL_RULE),
            NameRule::Service => limited(&checked, 63, &SERVICE, SERVICE_RULE),
            NameRule::Path => path_segment(name),
        }
    }
}

fn limited(text: &str, limit: usize, pattern: &Regex, rule: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > limit {
        wrong.push(format!("must be no more than {limit} characters"));
    }
    if !pattern.is_match(text) {
        wrong.push(rule.to_owned());
    }
    wrong
}

fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    let forbidden = ['/', '%'].into_iter().filter(|character| name.contains(*character));
    forbidden.map(|character| format!("may not contain '{character}'")).collect()
}

/// What is wrong with the key of a label or annotation: `name` or `prefix/name`.
pub(crate) fn qualified(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            return vec![format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                NAME_PART_RULE.trim_start_matches("name part ")
            )];
        }
    };
    let mut wrong = Vec::new();
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            let found = limited(prefix, 253, &SUBDOMAIN, SUBDOMAIN_RULE);
            wrong.extend(found.into_iter().map(|rule| format!("prefix part {rule}")));
        }
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !QUALIFIED.is_match(name) {
        wrong.push(NAME_PART_RULE.to_owned());
    }
    wrong
}

/// What is wrong with the value of a label.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !QUALIFIED.is_match(value) {
        wrong.push(LABEL_VALUE_RULE.to_owned());
    }
    wrong
}

/// Sorts versions as Kubernetes prefers them: stable ones first, then beta, then alpha, the higher the earlier,
/// then all that is no such version, by name.
pub(crate) fn preference(version: &str) -> (u8, Reverse<(u8, u64, u64)>, String) {
    let parsed = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        let (stage, minor) = match &rest[digits..] {
            "" => return Some((2, major, 0)),
            minor if minor.starts_with("beta") => (1, &minor[4..]),
            minor if minor.starts_with("alpha") => (0, &minor[5..]),
            _ => return None,
        };
        Some((stage, major, minor.parse().ok()?))
    };
    match parsed() {
        Some(parts) => (0, Reverse(parts), String::new()),
        None => (1, Reverse((0, 0, 0)), version.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_order_of_preference() {
        let mut versions =
            ["v1beta1", "foo", "v10", "v2", "v1", "v11beta2", "v3alpha1", "v12alpha1", "bar"].to_vec();
        versions.sort_by_key(|version| preference(version));
        let expected = ["v10", "v2", "v1", "v11beta2", "v1beta1", "v12alpha1", "v3alpha1", "bar", "foo"];
        assert_eq!(versions, expected);
    }

    #[test]
    fn names_are_checked_by_rule() {
        assert!(NameRule::Subdomain.check("a.b-c", false).is_empty());
        assert!(NameRule::Subdomain.check("a-", true).is_empty());
        assert_eq!(NameRule::Subdomain.check("a-", false), [SUBDOMAIN_RULE]);
        assert_eq!(NameRule::Label.check("a.b", false), [LABEL_RULE]);
        assert_eq!(NameRule::Service.check("1a", false), [SERVICE_RULE]);
        assert!(NameRule::Path.check("system:node", false).is_empty());
        assert_eq!(NameRule::Path.check("a/b", false), ["may not contain '/'"]);
    }

    #[test]
    fn keys_and_values_of_labels() {
        assert!(qualified("app.kubernetes.io/name").is_empty());
        assert_eq!(qualified("a b"), [NAME_PART_RULE]);
        assert_eq!(qualified("/x"), ["prefix part must be non-empty"]);
        assert!(label_value("").is_empty());
        assert_eq!(label_value("not ok!"), [LABEL_VALUE_RULE]);
    }
}
