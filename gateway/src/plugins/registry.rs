//! All plugins there are: one row each, from which their order, their schemas and their docs follow.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::credentials::Credentials;
use super::environment::Environment;
use super::{
    Phases, Plugin, acl, basic_auth, correlation_id, function, http_log, ip_restriction, jwt, key_auth,
    opentelemetry, prometheus, rate_limiting, request_size_limiting, request_termination,
};
use crate::model::Scope;
use crate::schema::{PluginSchema, PluginSchemas};

/// One plugin.
pub struct Entry {
    /// What it is and which settings it takes. Has the name.
    pub schema: &'static PluginSchema,
    /// Kong's; the highest runs first.
    pub priority: i32,
    /// Phases that some settings make it take part in.
    pub phases: Phases,
    /// Whether it looks up consumers or credentials, so that it has to be made anew when those change.
    pub uses_credentials: bool,
    /// Makes one from settings that passed the schema. The error is a problem for the object's owner.
    pub build: fn(&Build<'_>) -> Result<Arc<dyn Plugin>, String>,
}

/// What a plugin is made from.
pub struct Build<'a> {
    pub settings: &'a Value,
    /// The id of the configured plugin.
    pub id: Uuid,
    pub scope: Scope,
    pub environment: &'a Environment,
    pub credentials: &'a Arc<Credentials>,
}

/// By priority, as they run.
pub static PLUGINS: &[Entry] = &[
    row(&function::PRE, 1_000_000, Phases::ALL, function::build),
    row(&correlation_id::SCHEMA, 100_001, correlation_id::PHASES, correlation_id::build),
    looks_up(&jwt::SCHEMA, 1_450, jwt::build),
    looks_up(&key_auth::SCHEMA, 1_250, key_auth::build),
    looks_up(&basic_auth::SCHEMA, 1_100, basic_auth::build),
    row(&ip_restriction::SCHEMA, 990, Phases::ACCESS, ip_restriction::build),
    row(&request_size_limiting::SCHEMA, 951, Phases::ACCESS, request_size_limiting::build),
    row(&acl::SCHEMA, 950, Phases::ACCESS, acl::build),
    row(&rate_limiting::SCHEMA, 910, Phases::ACCESS, rate_limiting::build),
    row(&opentelemetry::SCHEMA, 14, opentelemetry::PHASES, opentelemetry::build),
    row(&prometheus::SCHEMA, 13, Phases::COUNT, prometheus::build),
    row(&http_log::SCHEMA, 12, Phases::LOG, http_log::build),
    row(&request_termination::SCHEMA, 2, Phases::ACCESS, request_termination::build),
    row(&function::POST, -1_000, Phases::ALL, function::build),
];

/// The plugin of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    PLUGINS.iter().find(|entry| entry.name() == name)
}

/// Its place in [`PLUGINS`].
pub fn place(name: &str) -> Option<usize> {
    PLUGINS.iter().position(|entry| entry.name() == name)
}

/// All of them, for those who check settings.
pub struct Registry;

impl PluginSchemas for Registry {
    fn schema(&self, plugin: &str) -> Option<&PluginSchema> {
        find(plugin).map(|entry| entry.schema)
    }

    fn names(&self) -> Vec<&'static str> {
        PLUGINS.iter().map(Entry::name).collect()
    }
}

impl Entry {
    pub fn name(&self) -> &'static str {
        self.schema.name
    }
}

impl Build<'_> {
    /// The settings in the plugin's own terms.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(self.settings).map_err(|error| format!("the settings can't be read: {error}"))
    }
}

const fn row(
    schema: &'static PluginSchema,
    priority: i32,
    phases: Phases,
    build: fn(&Build<'_>) -> Result<Arc<dyn Plugin>, String>,
) -> Entry {
    Entry { schema, priority, phases, uses_credentials: false, build }
}

const fn looks_up(
    schema: &'static PluginSchema,
    priority: i32,
    build: fn(&Build<'_>) -> Result<Arc<dyn Plugin>, String>,
) -> Entry {
    Entry { schema, priority, phases: Phases::ACCESS, uses_credentials: true, build }
}
