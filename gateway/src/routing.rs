//! Finding the route for a request, and the path to send upstream, by the rules of Kong's default router
//! (`traditional_compatible`).
//!
//! Pure: no I/O, no answers, nothing that changes after it was built. [`Router`] is compiled once per generation; no
//! search looks at more than the few routes whose host and path fit.

mod header;
#[cfg(test)]
mod naive;
mod names;
mod path;
mod pattern;
mod precedence;
mod prefixes;
mod protocol;
mod router;
mod upstream_path;

use std::ops::Range;
use std::sync::Arc;

use crate::http::fields::Fields;
use crate::model::Route;

pub use path::{PathError, Target, normalise};
pub use pattern::PatternError;
pub use protocol::{Verdict, protocol_verdict};
pub use router::Router;
pub use upstream_path::UpstreamPath;

/// What routing looks at.
#[derive(Debug, Clone, Copy)]
pub struct RouteRequest<'a> {
    pub method: &'a [u8],
    /// The Host header as received, with its port if it has one.
    pub host: Option<&'a [u8]>,
    /// The port that counts when the Host header has none: the listener's, as clients see it.
    pub port: u16,
    /// Normalised.
    pub path: &'a str,
    /// The server name asked for in the TLS handshake, lower-case, without a final dot. Without one, `snis` of routes
    /// are not looked at.
    pub server_name: Option<&'a str>,
    pub fields: &'a Fields,
}

/// The route that takes a request.
#[derive(Debug)]
pub struct RouteMatch<'r> {
    /// Its place in the list that the router was made from.
    pub index: usize,
    pub route: &'r Arc<Route>,
    /// The part of the path that the route's path matched; `None` when the route has no paths.
    pub matched: Option<Range<usize>>,
    /// Groups of the matching regular expression, index 0 the whole match; empty when it has no groups.
    pub captures: Vec<String>,
    /// Named groups of it.
    pub named_captures: Vec<(String, String)>,
}

impl RouteMatch<'_> {
    /// The target to send upstream.
    pub fn upstream_path<'a>(
        &self,
        service_path: Option<&'a str>,
        path: &'a str,
        query: Option<&'a [u8]>,
    ) -> UpstreamPath<'a> {
        let matched = self.matched.as_ref().map(ExactSizeIterator::len);
        UpstreamPath { service_path, strip_path: self.route.strip_path, path, matched, query }
    }

    /// What was taken off the path, for `X-Forwarded-Prefix`.
    pub fn stripped_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let matched = self.matched.clone().filter(|_| self.route.strip_path)?;
        path.get(matched).filter(|prefix| !matches!(*prefix, "" | "/"))
    }
}

/// Whether a route's path, without its `~`, is a regular expression that the router can use.
pub fn check_path_expression(source: &str) -> Result<(), PatternError> {
    pattern::Pattern::new(source).map(|_| ())
}

#[cfg(test)]
mod tests;
