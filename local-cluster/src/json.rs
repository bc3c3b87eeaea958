//! Reading JSON as Go reads it: a key given twice counts once, and is told.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value with the paths of keys that were given more than once.
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// An error is in Go's words.
pub(crate) fn read(text: &[u8]) -> Result<Read, String> {
    let mut duplicates = Vec::new();
    let mut source = serde_json::Deserializer::from_slice(text);
    let seed = Seed { path: String::new(), duplicates: &mut duplicates };
    let value = seed.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    match value {
        Ok(value) => Ok(Read { value, duplicates }),
        Err(error) => Err(in_go_words(text, &error)),
    }
}

fn in_go_words(text: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = text.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.get(error.column().saturating_sub(1)).map_or(' ', |byte| char::from(*byte));
    let message = error.to_string();
    let place = match () {
        () if message.contains("expected `,` or `}`") => "after object key:value pair",
        () if message.contains("expected `,` or `]`") => "after array element",
        () if message.contains("expected `:`") => "after object key",
        () if message.contains("key must be a string") => "looking for beginning of object key string",
        () if message.contains("trailing characters") => "after top-level value",
        () => "looking for beginning of value",
    };
    format!("invalid character '{found}' {place}")
}

struct Seed<'a> {
    path: String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let seed =
                Seed { path: format!("{}[{}]", self.path, list.len()), duplicates: &mut *self.duplicates };
            match items.next_element_seed(seed)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let value =
                entries.next_value_seed(Seed { path: path.clone(), duplicates: &mut *self.duplicates })?;
            if map.insert(key, value).is_some() {
                self.duplicates.push(format!("duplicate field {path:?}"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_equal_keys_counts_and_is_told() {
        let read =
            read(br#"{"a": {"b": 1, "b": 2}, "c": [{"d": 1, "d": 1.5}]}"#).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.value, serde_json::json!({"a": {"b": 2}, "c": [{"d": 1.5}]}));
        assert_eq!(read.duplicates, ["duplicate field \"a.b\"", "duplicate field \"c[0].d\""]);
    }

    #[test]
    fn errors_are_those_of_go() {
        let error = |text: &str| read(text.as_bytes()).err();
        assert_eq!(error("{\"a\":").as_deref(), Some("unexpected end of JSON input"));
        assert_eq!(error("[1 2]").as_deref(), Some("invalid character '2' after array element"));
    }
}
