//! What requests a route matches and which service they go to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::{Origin, Protocol};

/// A Kong route. A `None` list was never given and an empty one was: Kong's log shows the difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    pub id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub protocols: Vec<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Exact, or with one wildcard label at the left or right end; an optional `:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<RoutePath>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snis: Option<Vec<String>>,
    /// 426, 301, 302, 307 or 308.
    pub https_redirect_status_code: u16,
    pub regex_priority: i64,
    pub strip_path: bool,
    pub path_handling: PathHandling,
    pub preserve_host: bool,
    pub request_buffering: bool,
    pub response_buffering: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reference")]
    pub service: Option<Uuid>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// One path of a route, written the way Kong writes it: a leading `~` marks a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoutePath {
    /// Matches every path that starts with it, not bound to segments.
    Prefix(String),
    /// A regular expression of the `regex` crate, anchored at the start by the router.
    Regex(String),
}

/// Accepted for compatibility; Kong's default router ignores it, and so does this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathHandling {
    #[default]
    V0,
    V1,
}

impl Route {
    /// Kong's defaults for everything but the id.
    pub fn new(id: Uuid) -> Route {
        Route {
            id,
            name: None,
            protocols: vec![Protocol::Http, Protocol::Https],
            methods: None,
            hosts: None,
            paths: None,
            headers: None,
            snis: None,
            https_redirect_status_code: 426,
            regex_priority: 0,
            strip_path: true,
            path_handling: PathHandling::V0,
            preserve_host: false,
            request_buffering: true,
            response_buffering: true,
            tags: None,
            service: None,
            created_at: 0,
            updated_at: 0,
            origin: None,
        }
    }
}

impl RoutePath {
    /// Reads Kong's form. Whether a regular expression compiles is for the source to check.
    pub fn parse(text: &str) -> RoutePath {
        match text.strip_prefix('~') {
            Some(regex) => RoutePath::Regex(regex.to_owned()),
            None => RoutePath::Prefix(text.to_owned()),
        }
    }
}

impl std::fmt::Display for RoutePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RoutePath::Prefix(path) => f.write_str(path),
            RoutePath::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

impl Serialize for RoutePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Kong writes a reference to another entity as `{"id": …}`.
pub(super) fn reference<S: Serializer>(id: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Reference<'a> {
        id: &'a Uuid,
    }
    id.as_ref().map(|id| Reference { id }).serialize(serializer)
}
