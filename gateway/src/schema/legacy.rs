//! Names of old: settings that are read as other settings.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::check;
use super::{Errors, Kind, Record, Type};

/// A name that is accepted but not kept.
#[derive(Debug, Clone, Copy)]
pub struct Legacy {
    pub name: &'static str,
    pub ty: Type,
    pub becomes: Becomes,
}

/// What a name of old stands for.
#[derive(Debug, Clone, Copy)]
pub enum Becomes {
    /// The setting at this dotted path, which wins if it is given too; the two must agree.
    Setting(&'static str),
    /// Several settings, which replace what is given for them.
    Settings(fn(&Value) -> Vec<(&'static str, Value)>),
}

impl Legacy {
    /// `redis_host` for `redis.host`.
    pub const fn alias(name: &'static str, ty: Type, path: &'static str) -> Legacy {
        Legacy { name, ty, becomes: Becomes::Setting(path) }
    }

    /// A shorthand such as a service's `url`.
    pub const fn shorthand(
        name: &'static str,
        ty: Type,
        means: fn(&Value) -> Vec<(&'static str, Value)>,
    ) -> Legacy {
        Legacy { name, ty, becomes: Becomes::Settings(means) }
    }
}

/// Replaces names of old by what they stand for.
pub(super) fn translate<'a>(
    legacy: &[Legacy],
    input: &'a Map<String, Value>,
    errors: &mut Errors,
) -> Cow<'a, Map<String, Value>> {
    let mut input = Cow::Borrowed(input);
    for old in legacy {
        let Some(given) = input.get(old.name).cloned() else { continue };
        let input = input.to_mut();
        input.shift_remove(old.name);
        if let (_, Some(fault)) = check::value(&old.ty, &given) {
            errors.fields.insert(old.name.to_owned(), fault);
            continue;
        }
        match old.becomes {
            Becomes::Settings(means) => {
                input.extend(means(&given).into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
            Becomes::Setting(path) => {
                if let Err(mismatch) = alias(input, old.name, path, given) {
                    errors.fields.insert(old.name.to_owned(), mismatch.into());
                }
            }
        }
    }
    input
}

fn alias(input: &mut Map<String, Value>, name: &str, path: &str, given: Value) -> Result<(), String> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let entry = input.entry(head).or_insert(Value::Null);
    let Some(rest) = rest else {
        if entry.is_null() {
            *entry = given;
        } else if !given.is_null() && *entry != given {
            return Err(mismatch(name, &given, path, entry));
        }
        return Ok(());
    };
    if entry.is_null() {
        *entry = Value::Object(Map::new());
    }
    match entry {
        Value::Object(inner) => alias(inner, name, rest, given).map_err(|message| {
            // The path in the message is the whole one.
            message.replacen(&format!(" vs {rest} = "), &format!(" vs {path} = "), 1)
        }),
        // Its own check says what is wrong with it.
        _ => Ok(()),
    }
}

fn mismatch(name: &str, given: &Value, path: &str, other: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!(
        "both deprecated and new field are used but their values mismatch: {name} = {} vs {path} = {}",
        text(given),
        text(other)
    )
}

/// Adds the aliases of a checked record with the values of what they stand for, as Kong shows stored plugins.
pub(super) fn echo(record: &Record, value: &mut Value) {
    for field in record.fields {
        if let (Kind::Record(inner), Some(value)) = (field.ty.kind, value.get_mut(field.name)) {
            echo(inner, value);
        }
    }
    for old in record.legacy {
        let Becomes::Setting(path) = old.becomes else { continue };
        let current = value.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or(Value::Null);
        if let Value::Object(object) = value {
            object.insert(old.name.to_owned(), current);
        }
    }
}
