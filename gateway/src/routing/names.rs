//! Host names and server names, exact or with a wildcard label at one end.
//!
//! [`NamePattern`] answers whether one pattern covers a name; [`Names`] finds all that do, at a cost that depends on
//! the labels of the name and not on how many patterns there are.

use hashbrown::HashMap;

/// `a.test`, `*.test` or `a.*`. Compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum NamePattern {
    Exact(Box<[u8]>),
    /// What the name must end with, the dot included.
    Suffix(Box<[u8]>),
    /// What the name must begin with, the dot included.
    Prefix(Box<[u8]>),
}

/// Values by name pattern.
#[derive(Debug)]
pub(super) struct Names<T> {
    exact: HashMap<Box<[u8]>, T>,
    suffixes: HashMap<Box<[u8]>, T>,
    prefixes: HashMap<Box<[u8]>, T>,
}

impl NamePattern {
    pub(super) fn parse(text: &str) -> NamePattern {
        let bytes = |text: &str| text.as_bytes().into();
        if let Some(rest) = text.strip_prefix('*') {
            NamePattern::Suffix(bytes(rest))
        } else if let Some(rest) = text.strip_suffix('*') {
            NamePattern::Prefix(bytes(rest))
        } else {
            NamePattern::Exact(bytes(text))
        }
    }

    pub(super) fn covers(&self, name: &[u8]) -> bool {
        match self {
            NamePattern::Exact(text) => **text == *name,
            NamePattern::Suffix(text) => name.ends_with(text),
            NamePattern::Prefix(text) => name.starts_with(text),
        }
    }
}

impl<T> Names<T> {
    /// The value of a pattern, made when there is none.
    pub(super) fn entry(&mut self, pattern: NamePattern) -> &mut T
    where
        T: Default,
    {
        match pattern {
            NamePattern::Exact(text) => self.exact.entry(text).or_default(),
            NamePattern::Suffix(text) => self.suffixes.entry(text).or_default(),
            NamePattern::Prefix(text) => self.prefixes.entry(text).or_default(),
        }
    }

    /// The values of all patterns that cover the name.
    pub(super) fn covering<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a T> + 'a {
        let wild = !(self.suffixes.is_empty() && self.prefixes.is_empty());
        let dots = if wild { name } else { &[] };
        let by_label = memchr::memchr_iter(b'.', dots)
            .flat_map(move |dot| [self.suffixes.get(&name[dot..]), self.prefixes.get(&name[..=dot])]);
        // `*` alone is the suffix that every name has.
        let everything = if wild { self.suffixes.get(&b""[..]) } else { None };
        self.exact.get(name).into_iter().chain(by_label.flatten()).chain(everything)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty() && self.prefixes.is_empty()
    }

    /// The same patterns with other values.
    pub(super) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Names<U> {
        let mut all =
            |map: HashMap<Box<[u8]>, T>| map.into_iter().map(|(name, value)| (name, change(value))).collect();
        Names { exact: all(self.exact), suffixes: all(self.suffixes), prefixes: all(self.prefixes) }
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names { exact: HashMap::new(), suffixes: HashMap::new(), prefixes: HashMap::new() }
    }
}

/// A `Host` value, or a route's host, without its port. Only digits behind the first colon are a port, so an IPv6
/// address in brackets stays whole, and so does `a.test:`.
pub(super) fn split_port(host: &[u8]) -> (&[u8], Option<u32>) {
    let Some(colon) = memchr::memchr(b':', host) else { return (host, None) };
    let digits = &host[colon + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return (host, None);
    }
    let number =
        digits.iter().fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    (&host[..colon], Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_finds_what_the_patterns_cover() {
        let patterns = ["a.test", "*.test", "*.a.test", "a.*", "x.a.*", "*"];
        let mut names: Names<Vec<&str>> = Names::default();
        for pattern in patterns {
            names.entry(NamePattern::parse(pattern)).push(pattern);
        }
        let names = names.map(|list| list[0]);
        for name in ["a.test", "x.a.test", ".test", "test", "a.", "a", "", "a.b.c", "A.test", "x.a.b"] {
            let mut found: Vec<&str> = names.covering(name.as_bytes()).copied().collect();
            let mut expected: Vec<&str> =
                patterns.iter().copied().filter(|p| NamePattern::parse(p).covers(name.as_bytes())).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn ports_are_digits_behind_the_first_colon() {
        let split = |text: &'static str| {
            let (host, port) = split_port(text.as_bytes());
            (std::str::from_utf8(host).unwrap(), port)
        };
        assert_eq!(split("a.test"), ("a.test", None));
        assert_eq!(split("a.test:80"), ("a.test", Some(80)));
        assert_eq!(split("a.*:080"), ("a.*", Some(80)));
        assert_eq!(split("a.test:"), ("a.test:", None));
        assert_eq!(split("a.test:8o"), ("a.test:8o", None));
        assert_eq!(split("[::1]:80"), ("[::1]:80", None));
        assert_eq!(split("a.test:99999999999999999999"), ("a.test", Some(u32::MAX)));
    }
}
