//! The tools that watch a mesh, as far as scenarios ask them: where they are, and what they answer. What an answer
//! should be is judged elsewhere.

mod ask;
pub mod jaeger;
pub mod kiali;
pub mod prometheus;

use std::str::FromStr;

use crate::environment::Observer;
use crate::scenario::document::Ability;

/// A tool's address, with whatever path it is served below: `http://127.0.0.1:20001/kiali`. Plain HTTP only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUrl {
    host: String,
    port: u16,
    /// Begins with `/` and doesn't end with it, or is empty.
    path: String,
}

impl FromStr for ToolUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ToolUrl, String> {
        let refused = || format!("`{text}` is no URL of a tool — write it like http://127.0.0.1:16686");
        let url: http::Uri = text.parse().map_err(|_| refused())?;
        if url.scheme_str() == Some("https") {
            return Err(format!(
                "`{text}` is HTTPS, which is not spoken to tools; forward a port with kubectl and give http://127.0.0.1:PORT"
            ));
        }
        let host = url.host().filter(|host| !host.is_empty()).ok_or_else(refused)?;
        if url.scheme_str() != Some("http") || url.query().is_some() {
            return Err(refused());
        }
        let port = url.port_u16().unwrap_or(80);
        Ok(ToolUrl { host: host.to_owned(), port, path: url.path().trim_end_matches('/').to_owned() })
    }
}

impl std::fmt::Display for ToolUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

impl ToolUrl {
    /// Another port of the same host, without a path.
    #[must_use]
    pub fn beside(&self, port: u16) -> ToolUrl {
        ToolUrl { host: self.host.clone(), port, path: String::new() }
    }
}

/// Tools that somebody has given the address of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tools {
    pub jaeger: Option<ToolUrl>,
    pub prometheus: Option<ToolUrl>,
    pub kiali: Option<ToolUrl>,
}

impl Tools {
    /// What can be done because of them.
    pub fn abilities(&self) -> Vec<Ability> {
        let there = [
            (Ability::Jaeger, self.jaeger.is_some()),
            (Ability::Prometheus, self.prometheus.is_some()),
            (Ability::Kiali, self.kiali.is_some()),
        ];
        there.into_iter().filter_map(|(ability, there)| there.then_some(ability)).collect()
    }

    pub fn of(&self, observer: Observer) -> Option<&ToolUrl> {
        match observer {
            Observer::Jaeger => self.jaeger.as_ref(),
            Observer::Kiali => self.kiali.as_ref(),
            Observer::Prometheus => self.prometheus.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_typed_or_refused_with_what_to_write() {
        let url: ToolUrl = "http://localhost:20001/kiali/".parse().unwrap();
        assert_eq!(url.to_string(), "http://localhost:20001/kiali");
        assert_eq!(url.beside(4318).to_string(), "http://localhost:4318");
        for (text, why) in [
            ("localhost:20001", "write it like"),
            ("http://", "write it like"),
            ("http://a/?b", "write it like"),
            ("ftp://a", "write it like"),
            ("https://a", "is HTTPS"),
        ] {
            let error = text.parse::<ToolUrl>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
