//! `custom_fields_by_lua`: fields of an entry that are computed, changed or removed by code.
//!
//! A field whose code fails is left as it was: the entry goes without it. (In Kong the whole entry is lost,
//! and log plugins behind don't run.)

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::exchange::Record;
use crate::plugins::json;
use crate::plugins::lua::{Outcome, Script, Subject};

/// The fields of one plugin.
pub(super) struct CustomFields {
    names: Vec<String>,
    /// Where each is, key by key.
    places: Vec<Vec<String>>,
    script: Script,
}

impl CustomFields {
    pub(super) fn new(fields: &IndexMap<String, String>) -> Result<CustomFields, String> {
        Ok(CustomFields {
            names: fields.keys().cloned().collect(),
            places: fields.keys().map(|name| place(name)).collect(),
            script: Script::new(fields.values().cloned().collect())?,
        })
    }

    /// The entry with the fields, and what failed by name.
    pub(super) fn apply(&self, record: &Record, entry: Vec<u8>) -> (Vec<u8>, Vec<(&str, String)>) {
        let mut failures = Vec::new();
        let Ok(Value::Object(mut object)) = serde_json::from_slice(&entry) else { return (entry, failures) };
        let mut subject = Subject::of(record);
        for (at, name) in self.names.iter().enumerate() {
            let (back, outcome) = self.script.run(at, subject);
            subject = back;
            let result = match outcome {
                Outcome::Value(Ok(value)) => put(&mut object, &self.places[at], value),
                Outcome::Value(Err(error)) => Err(error),
                Outcome::Ended => Err("it answers instead of returning a value".to_owned()),
            };
            if let Err(error) = result {
                failures.push((name.as_str(), error));
            }
        }
        (json::text(&Value::Object(object)), failures)
    }
}

/// Dots go into objects, `\.` is a dot.
fn place(name: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) if chars.peek() == Some(&'.') => key.extend(chars.next()),
            (char, Some(key)) => key.push(char),
            (_, None) => {}
        }
    }
    keys
}

/// Puts a value in its place, or removes what is there.
fn put(object: &mut Map<String, Value>, place: &[String], value: Option<Value>) -> Result<(), String> {
    let Some((key, rest)) = place.split_first() else { return Ok(()) };
    if rest.is_empty() {
        match value {
            Some(value) => object.insert(key.clone(), value),
            None => object.shift_remove(key),
        };
        return Ok(());
    }
    if value.is_none() && !object.contains_key(key) {
        return Ok(());
    }
    match object.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(inner) => put(inner, rest, value),
        _ => Err(format!("{key} is no object that something could be put into")),
    }
}
