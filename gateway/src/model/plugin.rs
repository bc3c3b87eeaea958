//! Which plugin runs, with which checked settings, and for which requests.

use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::{Origin, Protocol};

/// One configured plugin.
///
/// Serialises without what its settings hold of secrets: texts that come from a Secret, passwords, and the user
/// part of URLs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    pub id: Uuid,
    /// A name of the plugin registry.
    pub name: String,
    pub instance_name: Option<String>,
    pub enabled: bool,
    /// Settings that passed the plugin's schema, defaults filled in.
    pub config: Value,
    /// The settings come from a Secret, in whole or in part.
    pub confidential: bool,
    pub protocols: Vec<Protocol>,
    pub scope: Scope,
    pub tags: Option<Vec<String>>,
    /// Why the settings can't be used. Requests in its scope are then refused with 500: a plugin that
    /// guards something must not be skipped because of a typo.
    pub broken: Option<String>,
    pub origin: Option<Origin>,
}

/// What a plugin applies to; nothing set means every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Scope {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub route: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub service: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::route::reference")]
    pub consumer: Option<Uuid>,
}

impl Serialize for Plugin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            id: &'a Uuid,
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            instance_name: &'a Option<String>,
            enabled: bool,
            config: Value,
            protocols: &'a [Protocol],
            #[serde(flatten)]
            scope: Scope,
            #[serde(skip_serializing_if = "Option::is_none")]
            tags: &'a Option<Vec<String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            broken: &'a Option<String>,
        }
        Shown {
            id: &self.id,
            name: &self.name,
            instance_name: &self.instance_name,
            enabled: self.enabled,
            config: redacted(&self.config, "", self.confidential),
            protocols: &self.protocols,
            scope: self.scope,
            tags: &self.tags,
            broken: &self.broken,
        }
        .serialize(serializer)
    }
}

/// Settings as they may be shown. With `all` no text is.
fn redacted(value: &Value, key: &str, all: bool) -> Value {
    const REDACTED: &str = "REDACTED";
    const CONFIDENTIAL: [&str; 6] = ["password", "secret", "token", "authorization", "api_key", "apikey"];
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), redacted(value, key, all)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(|item| redacted(item, key, all)).collect(),
        Value::String(_) if all || CONFIDENTIAL.iter().any(|word| key.to_lowercase().contains(word)) => {
            REDACTED.into()
        }
        Value::String(text) => match text.split_once("://").and_then(|(scheme, rest)| {
            let (user, rest) = rest.split_once('@')?;
            (!user.contains('/')).then(|| format!("{scheme}://{REDACTED}@{rest}"))
        }) {
            Some(url) => url.into(),
            None => value.clone(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = json!({"http_endpoint": "http://u:p@h/x@y", "headers": {"Authorization": "x", "X-A": "b"},
            "redis": {"password": "x", "port": 1}, "plain": "http://h/x@y"});
        assert_eq!(
            redacted(&config, "", false),
            json!({"http_endpoint": "http://REDACTED@h/x@y", "headers": {"Authorization": "REDACTED", "X-A": "b"},
                "redis": {"password": "REDACTED", "port": 1}, "plain": "http://h/x@y"})
        );
        assert_eq!(redacted(&json!({"a": ["b", 1]}), "", true), json!({"a": ["REDACTED", 1]}));
    }
}
