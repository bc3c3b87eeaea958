//! Kong's declarative file: read, checked, and turned into the model.
//!
//! A file is taken whole or not at all. What is wrong with it is found all at once and said in Kong's words:
//! to programs as the admin port's `POST /config` answers, to people with file, line and a hint. Which plugins
//! there are and what their settings may be comes from the registry ([`PluginSchemas`]).

mod document;
mod entities;
mod entity;
mod ids;
mod model;
mod print;

mod references;
mod refusal;
mod request;
mod route_path;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::model::Model;
use crate::schema::PluginSchemas;

pub use document::Position;
pub use print::{Printed, Secrets, entities};
pub use refusal::{Note, Refusal};

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON is YAML too.
    Yaml,
    Json,
}

/// A configuration without a fault.
#[derive(Debug)]
pub struct Configuration(entity::Entities);

impl Configuration {
    /// What it means. Entities without a creation time get this one, in Unix seconds.
    pub fn model(&self, now: i64) -> Model {
        model::build(&self.0, now)
    }
}

/// Reads the body of a `POST /config` in any of the forms Kong takes.
pub fn load_request(
    body: &[u8],
    content_type: Option<&str>,
    plugins: &dyn PluginSchemas,
) -> Result<Configuration, Refusal> {
    let (text, format) = request::text(body, content_type)?;
    load(&text, format, plugins)
}

/// Reads and judges a configuration.
pub fn load(text: &str, format: Format, plugins: &dyn PluginSchemas) -> Result<Configuration, Refusal> {
    if format == Format::Json
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        let position = Position { line: error.line(), column: error.column() };
        return Err(Refusal::of_text(Some(position), &error.to_string()));
    }
    let document =
        document::Node::read(text).map_err(|error| Refusal::of_text(error.position, &error.message))?;
    let mut file = document.to_value();
    route_path::migrate_file(&mut file);
    let Value::Object(file) = file else {
        return Err(Refusal::of_text(None, "expected an object"));
    };
    let mut entities = entity::Entities::read(file, plugins);
    let violations = references::resolve(&mut entities.all);
    match Refusal::of_entities(&entities, &violations, &document, plugins) {
        Some(refusal) => Err(refusal),
        None => Ok(Configuration(entities)),
    }
}
