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
    pub details: Option<Box<Value>>,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { code, reason: reason.into(), message: message.into(), details: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(500, "InternalError", message)
    }

    pub fn not_found(resource: &Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" not found", resource.plural);
        Failure::new(404, "NotFound", message).about(resource, name)
    }

    pub fn already_exists(resource: &Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" already exists", resource.plural);
        Failure::new(409, "AlreadyExists", message).about(resource, name)
    }

    fn about(mut self, resource: &Resource, name: &str) -> Failure {
        self.details = Some(Box::new(json!({"name": name, "kind": &*resource.plural})));
        self
    }
}
