//! Why a request was refused, in the form the API answers it: `Status`. Clients act on `reason` and on the
//! details, people read the message; all three are those of Kubernetes.

mod cause;

use std::borrow::Cow;

use serde_json::{Value, json};

pub(crate) use self::cause::{Cause, Causes, go_string};
use crate::objects::Resource;

/// A refusal; becomes a `Status` object over HTTP.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`…; empty where Kubernetes gives none.
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

    /// Something that Kubernetes reports without a reason.
    pub(crate) fn unexplained(message: impl Into<String>) -> Failure {
        Failure::new(500, "", message)
    }

    /// An error on the server's side, or that of a server it asked.
    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        let message = message.into();
        let details = Some(json!({"causes": [{"message": message}]}).into());
        let message = format!("Internal error occurred: {message}");
        Failure { details, ..Failure::new(500, "InternalError", message) }
    }

    #[must_use]
    pub fn not_found(resource: &Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Failure { details: Some(resource.details(name).into()), ..Failure::new(404, "NotFound", message) }
    }

    /// A resource of a group that is known, but not this resource of it.
    pub(crate) fn no_such_resource() -> Failure {
        let message = "the server could not find the requested resource";
        Failure { details: Some(json!({}).into()), ..Failure::new(404, "NotFound", message) }
    }

    #[must_use]
    pub fn already_exists(resource: &Resource, name: &str) -> Failure {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Failure {
            details: Some(resource.details(name).into()),
            ..Failure::new(409, "AlreadyExists", message)
        }
    }

    /// `why` completes "operation cannot be fulfilled on …:".
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Failure {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Failure { details: Some(resource.details(name).into()), ..Failure::new(409, "Conflict", message) }
    }

    pub(crate) fn modified_since(resource: &Resource, name: &str) -> Failure {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Failure::conflict(resource, name, why)
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Failure {
        let object = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{}{object} is forbidden: {why}", resource.qualified());
        Failure { details: Some(resource.details(name).into()), ..Failure::new(403, "Forbidden", message) }
    }

    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: Causes) -> Failure {
        let subject = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{subject} \"{name}\" is invalid: {causes}");
        let mut details = details(group, kind, name);
        details["causes"] = causes.listed();
        Failure { details: Some(details.into()), ..Failure::new(422, "Invalid", message) }
    }

    pub(crate) fn expired(message: impl Into<String>) -> Failure {
        Failure::new(410, "Expired", message)
    }

    pub(crate) fn too_many_requests(message: impl Into<String>, retry_after_seconds: u64) -> Failure {
        let details = Some(json!({"retryAfterSeconds": retry_after_seconds}).into());
        Failure { details, ..Failure::new(429, "TooManyRequests", message) }
    }

    /// Seconds after which to try again, where that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?["retryAfterSeconds"].as_u64()
    }

    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = (**details).clone();
        }
        status["code"] = json!(self.code);
        status
    }
}

/// `kind` is the plural for what concerns a URL and the kind for what concerns a body.
pub(crate) fn details(group: &str, kind: &str, name: &str) -> Value {
    let parts = [("name", name), ("group", group), ("kind", kind)];
    parts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}
