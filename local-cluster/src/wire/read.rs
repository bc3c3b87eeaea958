//! Messages in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{AS_JSON, Wire, json_schema};
use crate::schema::{Additional, Schema, Type};

/// Deeper messages are refused.
const DEEPEST: usize = 64;

pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: u64,
    pub(super) bytes: Option<&'a [u8]>,
}

/// The fields of a message, in order.
pub(super) fn fields(mut rest: &[u8]) -> Result<Vec<Field<'_>>, String> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = (tag >> 3) as u32;
        let mut field = Field { number, value: 0, bytes: None };
        match tag & 7 {
            wire if wire == Wire::Varint as u64 => field.value = varint(&mut rest)?,
            wire if wire == Wire::Fixed64 as u64 => field.value = fixed(&mut rest, 8)?,
            wire if wire == Wire::Fixed32 as u64 => field.value = fixed(&mut rest, 4)?,
            wire if wire == Wire::Bytes as u64 => {
                let length = varint(&mut rest)? as usize;
                let (bytes, tail) = rest.split_at_checked(length).ok_or_else(cut_off)?;
                rest = tail;
                field.bytes = Some(bytes);
            }
            other => return Err(format!("proto: illegal wireType {other}")),
        }
        fields.push(field);
    }
    Ok(fields)
}

fn cut_off() -> String {
    "unexpected EOF".to_owned()
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or_else(cut_off)?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("proto: integer overflow".to_owned())
}

fn fixed(rest: &mut &[u8], length: usize) -> Result<u64, String> {
    let (bytes, tail) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    *rest = tail;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

pub(super) fn message(schema: &Schema, bytes: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    fill(schema, bytes, &[], &mut object, 0)?;
    Ok(Value::Object(object))
}

/// Reads a message; `prefix` are the numbers of the messages that are inlined in JSON and lead here.
fn fill(
    schema: &Schema,
    bytes: &[u8],
    prefix: &[u32],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err("proto: messages are nested too deeply".to_owned());
    }
    let Some(definition) = schema.definition() else { return Ok(()) };
    for field in fields(bytes)? {
        let path = [prefix, &[field.number]].concat();
        let exact = definition.fields.iter().find(|(_, known)| known.numbers == path);
        if let Some((name, _)) = exact {
            if let Some(property) = definition.schema.properties.get(name) {
                add(property, &field, object, name, depth)?;
            }
        } else if definition.fields.values().any(|known| known.numbers.starts_with(&path)) {
            fill(schema, field.bytes.unwrap_or_default(), &path, object, depth + 1)?;
        }
    }
    Ok(())
}

fn add(
    schema: &Schema,
    field: &Field<'_>,
    object: &mut Map<String, Value>,
    name: &str,
    depth: usize,
) -> Result<(), String> {
    let shape = schema.shape();
    match (shape.kind, &shape.items, &shape.additional) {
        (Some(Type::Array), Some(item), _) if schema.definition().is_none() => {
            let value = scalar(item, field, depth)?;
            match object.entry(name).or_insert_with(|| json!([])) {
                Value::Array(items) => items.push(value),
                _ => return Err(format!("proto: {name} is no list")),
            }
        }
        (_, _, Additional::Of(of)) if schema.definition().is_none() => {
            let (mut key, mut value) = (String::new(), None);
            for entry in fields(field.bytes.unwrap_or_default())? {
                match entry.number {
                    1 => key = text(&entry),
                    _ => value = Some(scalar(of, &entry, depth)?),
                }
            }
            let value = value.unwrap_or_else(|| json!(""));
            match object.entry(name).or_insert_with(|| json!({})) {
                Value::Object(entries) => drop(entries.insert(key, value)),
                _ => return Err(format!("proto: {name} is no map")),
            }
        }
        _ => drop(object.insert(name.to_owned(), scalar(schema, field, depth)?)),
    }
    Ok(())
}

fn text(field: &Field<'_>) -> String {
    String::from_utf8_lossy(field.bytes.unwrap_or_default()).into_owned()
}

fn scalar(schema: &Schema, field: &Field<'_>, depth: usize) -> Result<Value, String> {
    if let Some(definition) = schema.definition() {
        let bytes = field.bytes.unwrap_or_default();
        if definition.fields.is_empty() {
            return opaque(definition.short_name(), bytes, depth);
        }
        let mut object = Map::new();
        fill(schema, bytes, &[], &mut object, depth + 1)?;
        return Ok(Value::Object(object));
    }
    Ok(match schema.kind {
        Some(Type::Boolean) => json!(field.value != 0),
        Some(Type::Integer) => json!(field.value as i64),
        Some(Type::Number) => json!(f64::from_bits(field.value)),
        _ if schema.checks.format.as_deref() == Some("byte") => {
            json!(STANDARD.encode(field.bytes.unwrap_or_default()))
        }
        _ => json!(text(field)),
    })
}

/// Types that are one scalar in JSON and a message here.
fn opaque(name: &str, bytes: &[u8], depth: usize) -> Result<Value, String> {
    let fields = fields(bytes)?;
    let number =
        |wanted: u32| fields.iter().find(|field| field.number == wanted).map_or(0, |field| field.value);
    let content =
        |wanted: u32| fields.iter().find(|field| field.number == wanted).map(text).unwrap_or_default();
    Ok(match name {
        "Time" | "MicroTime" => {
            if fields.is_empty() {
                return Ok(Value::Null);
            }
            let time =
                Timestamp::new(number(1) as i64, number(2) as i32).map_err(|error| error.to_string())?;
            json!(time.to_string())
        }
        "Quantity" => json!(content(1)),
        "IntOrString" if number(1) == 0 => json!(number(2) as i32),
        "IntOrString" => json!(content(3)),
        "JSONSchemaPropsOrBool" => match within(&fields, 2).next() {
            Some(schema) => scalar(&json_schema(), schema, depth + 1)?,
            None => json!(number(1) != 0),
        },
        "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray" => match within(&fields, 1).next() {
            Some(schema) => scalar(&json_schema(), schema, depth + 1)?,
            None if name == "JSONSchemaPropsOrStringArray" => within(&fields, 2).map(text).collect(),
            None => {
                let schemas = within(&fields, 2).map(|schema| scalar(&json_schema(), schema, depth + 1));
                Value::Array(schemas.collect::<Result<_, _>>()?)
            }
        },
        name if AS_JSON.contains(&name) => serde_json::from_str(&content(1)).unwrap_or(Value::Null),
        _ => json!({}),
    })
}

fn within<'a>(fields: &'a [Field<'a>], number: u32) -> impl Iterator<Item = &'a Field<'a>> {
    fields.iter().filter(move |field| field.number == number)
}
