//! What is known about a plugin from outside: its settings, and where it may be attached.

use serde_json::{Map, Value};

use super::check::{self, Shape};
use super::{Check, Errors, Field, Literal, Record, any, field, legacy, record, typedefs};
use crate::model::Protocol;

/// Kong's HTTP family, the usual default.
const HTTP_FAMILY: &[Protocol] = &[Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https];

/// The description of one plugin.
#[derive(Debug, Clone, Copy)]
pub struct PluginSchema {
    pub name: &'static str,
    pub config: &'static Record,
    /// Rules with paths from the plugin object down (`config.allow`).
    pub checks: &'static [Check],
    /// What an instance serves that says nothing.
    pub protocols: &'static [Protocol],
    /// Whether an instance may name protocols outside the HTTP family.
    pub any_protocol: bool,
    /// Whether an instance may be for one consumer only.
    pub consumer_scope: bool,
    /// One sentence for people.
    pub about: &'static str,
}

/// Finds plugins by name. The registry implements it; tests bring their own.
pub trait PluginSchemas: Sync {
    fn schema(&self, plugin: &str) -> Option<&PluginSchema>;

    /// All names, for hints.
    fn names(&self) -> Vec<&'static str>;
}

impl PluginSchema {
    pub const fn new(name: &'static str, config: &'static Record) -> PluginSchema {
        PluginSchema {
            name,
            config,
            checks: &[],
            protocols: HTTP_FAMILY,
            any_protocol: false,
            consumer_scope: true,
            about: "",
        }
    }

    #[must_use]
    pub const fn checks(mut self, checks: &'static [Check]) -> PluginSchema {
        self.checks = checks;
        self
    }

    /// What an instance serves that says nothing; it may then say any protocol Kong knows.
    #[must_use]
    pub const fn protocols(mut self, protocols: &'static [Protocol]) -> PluginSchema {
        self.protocols = protocols;
        self.any_protocol = true;
        self
    }

    /// The plugin decides before or independently of who the consumer is.
    #[must_use]
    pub const fn no_consumer_scope(mut self) -> PluginSchema {
        self.consumer_scope = false;
        self
    }

    #[must_use]
    pub const fn about(mut self, text: &'static str) -> PluginSchema {
        self.about = text;
        self
    }

    /// Checks settings and fills in defaults. Paths start with `config`, as in Kong.
    pub fn check(&self, config: &Value) -> Result<Value, Errors> {
        static HOLDER: Record = Record::new(&[field("config", any())]);
        let overrides = [self.config_field()];
        let shape = Shape { record: &HOLDER, overrides: &overrides, checks: self.checks };
        let mut instance = Map::new();
        instance.insert("config".to_owned(), config.clone());
        let (mut checked, errors) = check::record(&shape, &instance);
        if errors.is_empty() {
            Ok(checked.shift_remove("config").unwrap_or(Value::Null))
        } else {
            Err(errors)
        }
    }

    /// Checked settings with the names of old beside the new ones, as Kong shows them.
    #[must_use]
    pub fn echo(&self, config: &Value) -> Value {
        let mut config = config.clone();
        legacy::echo(self.config, &mut config);
        config
    }

    /// What an instance may say.
    pub(crate) fn allowed_protocols(&self) -> &'static [Literal] {
        if self.any_protocol { typedefs::PROTOCOLS } else { typedefs::HTTP_PROTOCOLS }
    }

    /// The type of the plugin object's `config` field.
    pub(crate) fn config_field(&self) -> Field {
        field("config", record(self.config))
    }
}
