//! Why a request was refused, in the form the API answers it: `Status`.

use serde_json::{Value, json};

/// A refusal; becomes a `Status` object over HTTP.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`…
    pub reason: &'static str,
    pub message: String,
    pub details: Option<Value>,
}

impl Failure {
    pub fn not_found(plural: &str, name: &str) -> Failure {
        Failure {
            code: 404,
            reason: "NotFound",
            message: format!("{plural} \"{name}\" not found"),
            details: Some(json!({"name": name, "kind": plural})),
        }
    }

    pub fn already_exists(plural: &str, name: &str) -> Failure {
        Failure {
            code: 409,
            reason: "AlreadyExists",
            message: format!("{plural} \"{name}\" already exists"),
            details: Some(json!({"name": name, "kind": plural})),
        }
    }
}
