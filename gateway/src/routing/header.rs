//! What a route demands of one request header.
//!
//! Names compare without regard to case and to `-` against `_`, values without regard to case. Any line of the name
//! may satisfy the rule; lines are not joined.

use std::borrow::Cow;

use regex::bytes::Regex;

use crate::http::fields::Fields;

/// One header with the values that are welcome.
#[derive(Debug)]
pub(super) struct HeaderRule {
    name: Box<[u8]>,
    /// In lower case.
    values: Box<[Box<[u8]>]>,
    expressions: Box<[Regex]>,
}

impl HeaderRule {
    /// A value that begins with `~*` is a regular expression, anchored nowhere. It is lower-cased as a whole before it
    /// is compiled, as Kong does, which turns `\D` into `\d`.
    pub(super) fn new(name: &str, values: &[String]) -> HeaderRule {
        let (expressions, values): (Vec<_>, Vec<_>) =
            values.iter().partition(|value| value.starts_with("~*"));
        let compile = |value: &String| Regex::new(&value[2..].to_lowercase()).ok();
        HeaderRule {
            name: name.as_bytes().into(),
            values: values.iter().map(|value| value.to_lowercase().into_bytes().into()).collect(),
            expressions: expressions.into_iter().filter_map(compile).collect(),
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The welcome values, unless there are expressions besides.
    pub(super) fn plain_values(&self) -> Option<&[Box<[u8]>]> {
        self.expressions.is_empty().then_some(&*self.values)
    }

    pub(super) fn admits(&self, fields: &Fields) -> bool {
        values(fields, &self.name).any(|value| {
            self.values.iter().any(|welcome| **welcome == *value)
                || self.expressions.iter().any(|expression| expression.is_match(&value))
        })
    }
}

/// The values of all lines of a name, in lower case.
pub(super) fn values<'a>(fields: &'a Fields, name: &'a [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> + 'a {
    fields.iter().filter(move |field| is_same_name(field.name, name)).map(|field| lower_case(field.value))
}

/// Whether two names are the same name to a route.
pub(super) fn is_same_name(a: &[u8], b: &[u8]) -> bool {
    let fold = |byte: &u8| if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.iter().map(fold).eq(b.iter().map(fold))
}

fn lower_case(value: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(value) {
        _ if value.is_ascii() && !value.iter().any(u8::is_ascii_uppercase) => Cow::Borrowed(value),
        Ok(text) => Cow::Owned(text.to_lowercase().into_bytes()),
        Err(_) => Cow::Owned(value.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(name: &str, values: &[&str], lines: &[(&str, &str)]) -> bool {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.append(*name, value);
        }
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        HeaderRule::new(name, &values).admits(&fields)
    }

    #[test]
    fn names_and_values_are_compared_without_case() {
        assert!(admits("X-Mixed", &["AbC"], &[("x-mixed", "aBc")]));
        assert!(admits("x-v", &["1"], &[("X_V", "1")]));
        assert!(admits("x-v", &["É"], &[("x-v", "é")]));
        assert!(!admits("x-v", &["1"], &[("x-w", "1")]));
        assert!(!admits("x-v", &["1"], &[("x-v", "")]));
    }

    #[test]
    fn any_line_will_do_and_lines_are_not_joined() {
        assert!(admits("x-v", &["1", "2"], &[("x-v", "3"), ("X-V", "2")]));
        assert!(!admits("x-v", &["1", "2"], &[("x-v", "1, 2")]));
        assert!(!admits("x-v", &["1"], &[]));
    }

    #[test]
    fn expressions_are_lower_cased_and_unanchored() {
        assert!(admits("x-v", &["~*^v[0-9]+$"], &[("x-v", "V12")]));
        assert!(!admits("x-v", &["~*^v[0-9]+$"], &[("x-v", "xv7")]));
        assert!(admits("x-v", &["plain", "~*re$"], &[("x-v", "my-RE")]));
        assert!(admits("x-w", &[r"~*^\D+$"], &[("x-w", "123")]));
        assert!(!admits("x-w", &[r"~*^\D+$"], &[("x-w", "abc")]));
    }
}
