//! Why a request was refused, in the form the API answers it: `Status`.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::objects::Resource;

/// A refusal; becomes a `Status` object over HTTP.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`…
    pub reason: Cow<'static, str>,
    pub message: String,
    pub details: Option<Value>,
}

impl Failure {
    pub fn not_found(resource: &Resource, name: &str) -> Failure {
        let plural = &*resource.plural;
        Failure {
            code: 404,
            reason: "NotFound".into(),
            message: format!("{plural} \"{name}\" not found"),
            details: Some(json!({"name": name, "kind": plural})),
        }
    }

    pub fn already_exists(resource: &Resource, name: &str) -> Failure {
        let plural = &*resource.plural;
        Failure {
            code: 409,
            reason: "AlreadyExists".into(),
            message: format!("{plural} \"{name}\" already exists"),
            details: Some(json!({"name": name, "kind": plural})),
        }
    }
}
