//! Which object a thing came from, as plain text: for problems, `/config` and the dashboard.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// For example `Ingress echo/kong-ingress`, or `services[0].routes[1]` of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(Arc<str>);

impl Origin {
    pub fn new(text: impl Into<Arc<str>>) -> Origin {
        Origin(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
