//! Everything found wrong with a value, in the shape of the value, and the ways to show it: Kong's nested
//! JSON, Kong's sentence, and plain pairs of path and message.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::lua;

/// Where Kong lists what is wrong with a record as a whole.
const ENTITY: &str = "@entity";

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Errors {
    /// What is wrong with the record as a whole.
    pub entity: Vec<String>,
    pub fields: BTreeMap<String, Fault>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Text(String),
    Record(Errors),
    /// By position, from 0.
    Items(BTreeMap<usize, Fault>),
}

/// One fault with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Dotted, list positions from 1 as in Kong: `config.allow.2`. For a rule over several fields, the record
    /// they are in; empty at the top.
    pub path: String,
    pub message: String,
    /// Whether it is about several fields.
    pub entity: bool,
}

impl Errors {
    pub fn is_empty(&self) -> bool {
        self.entity.is_empty() && self.fields.is_empty()
    }

    /// A single fault of one field.
    pub fn of(field: &str, fault: impl Into<Fault>) -> Errors {
        Errors { entity: Vec::new(), fields: BTreeMap::from([(field.to_owned(), fault.into())]) }
    }

    /// Sets the message at a dotted path. A message that already stands for a whole record on the way stays.
    pub fn set(&mut self, path: &str, fault: Fault) {
        let Some((head, rest)) = path.split_once('.') else {
            self.fields.insert(path.to_owned(), fault);
            return;
        };
        let inner = self.fields.entry(head.to_owned()).or_insert_with(|| Fault::Record(Errors::default()));
        if let Fault::Record(errors) = inner {
            errors.set(rest, fault);
        }
    }

    /// The tree as Kong's `fields`; lists are aligned with the value's and filled with nulls.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        if !self.entity.is_empty() {
            object.insert(ENTITY.to_owned(), json!(self.entity));
        }
        object.extend(self.fields.iter().map(|(name, fault)| (name.clone(), fault.to_json())));
        Value::Object(object)
    }

    /// The tree as a Lua table on one line, as it stands in `declarative config is invalid: …`.
    pub fn to_lua(&self) -> String {
        lua::on_one_line(&self.to_json())
    }

    /// Kong's sentence: `schema violation (…)` or `2 schema violations (…; …)`.
    pub fn message(&self) -> String {
        let mut parts = self.entity.clone();
        for (name, fault) in &self.fields {
            match fault {
                Fault::Text(text) => parts.push(format!("{name}: {text}")),
                Fault::Record(errors) => {
                    let Value::Object(inner) = errors.to_json() else { continue };
                    parts.extend(
                        inner.iter().map(|(key, value)| format!("{name}.{key}: {}", lua::text(value))),
                    );
                }
                Fault::Items(items) => {
                    let texts = items
                        .iter()
                        .map(|(at, fault)| format!("{name}.{}: {}", at + 1, lua::text(&fault.to_json())));
                    parts.extend(texts);
                }
            }
        }
        match parts.as_slice() {
            [one] => format!("schema violation ({one})"),
            many => format!("{} schema violations ({})", many.len(), many.join("; ")),
        }
    }

    /// Kong's answer to a refused entity.
    pub fn to_answer(&self) -> Value {
        json!({"code": 2, "name": "schema violation", "message": self.message(), "fields": self.to_json()})
    }

    /// All faults with their paths, in document order of names and positions.
    pub fn flat(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.flatten("", &mut findings);
        findings
    }

    fn flatten(&self, path: &str, findings: &mut Vec<Finding>) {
        for (name, fault) in &self.fields {
            fault.flatten(&join(path, name), findings);
        }
        findings.extend(self.entity.iter().map(|message| Finding {
            path: path.to_owned(),
            message: message.clone(),
            entity: true,
        }));
    }
}

impl Fault {
    /// One fault of a list.
    pub fn at(position: usize, fault: impl Into<Fault>) -> Fault {
        Fault::Items(BTreeMap::from([(position, fault.into())]))
    }

    pub fn to_json(&self) -> Value {
        match self {
            Fault::Text(text) => Value::from(text.as_str()),
            Fault::Record(errors) => errors.to_json(),
            Fault::Items(items) => {
                let len = items.last_key_value().map_or(0, |(last, _)| last + 1);
                (0..len).map(|at| items.get(&at).map_or(Value::Null, Fault::to_json)).collect()
            }
        }
    }

    fn flatten(&self, path: &str, findings: &mut Vec<Finding>) {
        match self {
            Fault::Text(message) => {
                findings.push(Finding { path: path.to_owned(), message: message.clone(), entity: false });
            }
            Fault::Record(errors) => errors.flatten(path, findings),
            Fault::Items(items) => {
                for (at, fault) in items {
                    fault.flatten(&join(path, &(at + 1).to_string()), findings);
                }
            }
        }
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault::Text(text)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Fault {
        Fault::Text(text.to_owned())
    }
}

impl From<Errors> for Fault {
    fn from(errors: Errors) -> Fault {
        Fault::Record(errors)
    }
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Errors {}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
