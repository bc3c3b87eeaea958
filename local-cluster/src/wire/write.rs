//! Messages out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::{AS_JSON, Wire, json_schema};
use crate::schema::{Additional, Schema, Type};

pub(super) fn message(schema: &Schema, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(definition) = schema.definition() else { return out };
    if definition.fields.is_empty() {
        opaque(definition.short_name(), value, &mut out);
        return out;
    }
    // Fields that are inlined in JSON are in a message of their own here.
    let mut nested: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut fields: Vec<_> = definition.schema.properties.iter().collect();
    let numbers =
        |name: &str| definition.fields.get(name).map(|field| field.numbers.as_slice()).unwrap_or_default();
    fields.sort_by_key(|(name, _)| numbers(name).to_vec());
    for (name, field) in fields {
        let Some(value) = value.get(name).filter(|value| !value.is_null()) else { continue };
        match numbers(name) {
            [number] => write(&mut out, *number, field, value),
            [outer, rest @ ..] if !rest.is_empty() => {
                let inner = rest.iter().rev().skip(1).fold(
                    {
                        let mut bytes = Vec::new();
                        write(&mut bytes, rest[rest.len() - 1], field, value);
                        bytes
                    },
                    |inner, number| {
                        let mut wrapped = Vec::new();
                        bytes(&mut wrapped, *number, &inner);
                        wrapped
                    },
                );
                match nested.iter_mut().find(|(number, _)| number == outer) {
                    Some((_, message)) => message.extend(inner),
                    None => nested.push((*outer, inner)),
                }
            }
            _ => {}
        }
    }
    for (number, message) in nested {
        bytes(&mut out, number, &message);
    }
    out
}

fn write(out: &mut Vec<u8>, number: u32, schema: &Schema, value: &Value) {
    let shape = schema.shape();
    if schema.definition().is_some() {
        return bytes(out, number, &message(schema, value));
    }
    match (shape.kind, value) {
        (Some(Type::Array), Value::Array(items)) => {
            if let Some(item) = shape.items.as_deref() {
                for value in items {
                    write(out, number, item, value);
                }
            }
        }
        (_, Value::Object(fields)) => {
            let Additional::Of(of) = &shape.additional else { return };
            for (key, value) in fields {
                let mut entry = Vec::new();
                text(&mut entry, 1, key);
                write(&mut entry, 2, of, value);
                bytes(out, number, &entry);
            }
        }
        (_, Value::String(value)) if shape.checks.format.as_deref() == Some("byte") => {
            bytes(out, number, &STANDARD.decode(value).unwrap_or_default());
        }
        (_, Value::String(value)) => text(out, number, value),
        (_, Value::Bool(value)) => varint_field(out, number, u64::from(*value)),
        (Some(Type::Number), Value::Number(value)) => {
            tag(out, number, Wire::Fixed64);
            out.extend(value.as_f64().unwrap_or(0.0).to_le_bytes());
        }
        (_, Value::Number(value)) => varint_field(out, number, value.as_i64().unwrap_or(0) as u64),
        _ => {}
    }
}

/// Types that are one scalar in JSON and a message here.
fn opaque(name: &str, value: &Value, out: &mut Vec<u8>) {
    match (name, value) {
        ("Time" | "MicroTime", Value::String(value)) => {
            if let Ok(time) = value.parse::<Timestamp>() {
                varint_field(out, 1, time.as_second() as u64);
                varint_field(out, 2, time.subsec_nanosecond() as u64);
            }
        }
        ("Quantity", Value::String(value)) => text(out, 1, value),
        ("IntOrString", Value::String(value)) => {
            varint_field(out, 1, 1);
            varint_field(out, 2, 0);
            text(out, 3, value);
        }
        ("IntOrString", Value::Number(value)) => {
            varint_field(out, 1, 0);
            varint_field(out, 2, value.as_i64().unwrap_or(0) as u64);
            text(out, 3, "");
        }
        ("JSONSchemaPropsOrBool", Value::Bool(value)) => varint_field(out, 1, u64::from(*value)),
        ("JSONSchemaPropsOrBool", value) => {
            varint_field(out, 1, 1);
            bytes(out, 2, &message(&json_schema(), value));
        }
        ("JSONSchemaPropsOrArray", Value::Array(schemas)) => {
            for schema in schemas {
                bytes(out, 2, &message(&json_schema(), schema));
            }
        }
        ("JSONSchemaPropsOrStringArray", Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).for_each(|name| text(out, 2, name));
        }
        ("JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray", value) => {
            bytes(out, 1, &message(&json_schema(), value));
        }
        (name, value) if AS_JSON.contains(&name) => bytes(out, 1, value.to_string().as_bytes()),
        // A message of nothing.
        _ => {}
    }
}

pub(super) fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    bytes(out, number, text.as_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, Wire::Bytes);
    varint(out, content.len() as u64);
    out.extend(content);
}

fn varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, Wire::Varint);
    varint(out, value);
}

fn tag(out: &mut Vec<u8>, number: u32, wire: Wire) {
    varint(out, u64::from(number) << 3 | wire as u64);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
