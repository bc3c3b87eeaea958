//! Values while an expression runs, and how JSON becomes them.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::network::{Address, Network, Url};
use super::quantity::Quantity;
use crate::schema::{Additional, Schema, Type};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<[Val]>),
    Map(Arc<IndexMap<Key, Val>>),
    Duration(SignedDuration),
    Time(Timestamp),
    /// The name of a type.
    Type(&'static str),
    Optional(Option<Arc<Val>>),
    Quantity(Quantity),
    Address(Address),
    Network(Network),
    Url(Arc<Url>),
}

/// What can be a key of a map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Bool(bool),
    Int(i64),
    Text(Arc<str>),
}

impl Val {
    pub(crate) fn text(text: impl AsRef<str>) -> Val {
        Val::Text(text.as_ref().into())
    }

    /// JSON as it stands.
    pub(crate) fn from_json(value: &Value) -> Val {
        convert(value, None)
    }

    /// JSON as its schema means it: times and durations become such, numbers are whole or not.
    pub(crate) fn from_typed(value: &Value, schema: &Schema) -> Val {
        convert(value, Some(schema))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Uint(_) => "uint",
            Val::Double(_) => "double",
            Val::Text(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Time(_) => "google.protobuf.Timestamp",
            Val::Type(_) => "type",
            Val::Optional(_) => "optional_type",
            Val::Quantity(_) => "kubernetes.Quantity",
            Val::Address(_) => "net.IP",
            Val::Network(_) => "net.CIDR",
            Val::Url(_) => "kubernetes.URL",
        }
    }

    pub(super) fn key(&self) -> Option<Key> {
        Some(match self {
            Val::Bool(value) => Key::Bool(*value),
            Val::Int(value) => Key::Int(*value),
            Val::Uint(value) => Key::Int(i64::try_from(*value).ok()?),
            Val::Double(value) if value.fract() == 0.0 => Key::Int(*value as i64),
            Val::Text(text) => Key::Text(Arc::clone(text)),
            _ => return None,
        })
    }

    fn number(&self) -> Option<f64> {
        Some(match self {
            Val::Int(value) => *value as f64,
            Val::Uint(value) => *value as f64,
            Val::Double(value) => *value,
            _ => return None,
        })
    }

    /// Numbers are equal across their types.
    pub(super) fn equals(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => a == b,
            (Val::Uint(a), Val::Uint(b)) => a == b,
            (Val::List(a), Val::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Val::Map(a), Val::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| value.equals(other)))
            }
            (Val::Quantity(a), Val::Quantity(b)) => a.cmp(b) == Ordering::Equal,
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.partial_cmp(&b) == Some(Ordering::Equal),
                _ => self == other,
            },
        }
    }

    pub(super) fn compare(&self, other: &Val) -> Option<Ordering> {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::Uint(a), Val::Uint(b)) => Some(a.cmp(b)),
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
            (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
            (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
            (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
            (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
            (Val::Quantity(a), Val::Quantity(b)) => Some(a.cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }
}

impl Key {
    pub(super) fn value(&self) -> Val {
        match self {
            Key::Bool(value) => Val::Bool(*value),
            Key::Int(value) => Val::Int(*value),
            Key::Text(text) => Val::Text(Arc::clone(text)),
        }
    }
}

fn convert(value: &Value, schema: Option<&Schema>) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) if schema.is_some_and(|schema| schema.kind == Some(Type::Number)) => {
                Val::Double(value as f64)
            }
            Some(value) => Val::Int(value),
            None => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => convert_text(text, schema),
        Value::Array(items) => {
            let item = schema.and_then(|schema| schema.items.as_deref());
            Val::List(items.iter().map(|value| convert(value, item)).collect())
        }
        Value::Object(fields) => {
            let entry = |(name, value): (&String, &Value)| {
                let field =
                    schema.and_then(|schema| match (schema.properties.get(name), &schema.additional) {
                        (Some(field), _) => Some(field),
                        (None, Additional::Of(field)) => Some(&**field),
                        _ => None,
                    });
                (Key::Text(name.as_str().into()), convert(value, field))
            };
            Val::Map(Arc::new(fields.iter().map(entry).collect()))
        }
    }
}

fn convert_text(text: &str, schema: Option<&Schema>) -> Val {
    let format = schema.and_then(|schema| schema.checks.format.as_deref());
    let converted = match format {
        Some("date-time") => text.parse().ok().map(Val::Time),
        Some("date") => text.parse::<jiff::civil::Date>().ok().and_then(|date| {
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| Val::Time(zoned.timestamp()))
        }),
        Some("duration") => parse_duration(text).map(Val::Duration),
        Some("byte") => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(text).ok().map(|bytes| Val::Bytes(bytes.into()))
        }
        _ => None,
    };
    converted.unwrap_or_else(|| Val::text(text))
}

/// `1h30m`, `-2.5s`, as Go writes durations.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let nanoseconds = match &rest[..unit] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += amount * nanoseconds;
        rest = &rest[unit..];
    }
    let total = if negative { -total } else { total };
    (total.abs() < 9.2e18).then(|| SignedDuration::from_nanos(total as i64))
}
