//! From a tree of nodes to typed values, by serde, with the place of whatever doesn't fit.
//!
//! Types that a scenario is made of refuse unknown fields; from serde's own words for that and its like the
//! faults here are made.

use std::fmt;
use std::ops::Range;

use serde::de::{
    self, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde_json::Value;

use super::fault::{Fault, suggestion};
use super::node::{Content, Entry, Node};

/// Reads a node as a `T`.
pub fn decode<'de, T: de::Deserialize<'de>>(node: &'de Node) -> Result<T, Fault> {
    T::deserialize(At(node)).map_err(|error| error.at(&node.span).into_fault())
}

/// A fault whose place may not be known yet.
#[derive(Debug)]
struct Misfit {
    span: Option<Range<usize>>,
    message: String,
    help: Option<String>,
}

impl Misfit {
    /// The innermost place wins.
    fn at(mut self, span: &Range<usize>) -> Misfit {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    fn into_fault(self) -> Fault {
        let fault = Fault::new(self.span.unwrap_or(0..0), self.message);
        match self.help {
            Some(help) => fault.help(help),
            None => fault,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    /// A text with ` — ` in it is a message and, behind it, help.
    fn custom<T: fmt::Display>(message: T) -> Misfit {
        let text = message.to_string();
        match text.split_once(" — ") {
            Some((message, help)) => {
                Misfit { span: None, message: message.to_owned(), help: Some(help.to_owned()) }
            }
            None => Misfit { span: None, message: text, help: None },
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::custom(format!("expected {}, found {}", plain(expected), words(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Misfit {
        Misfit::custom(format!("expected {}, found {}", plain(expected), words(found)))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Misfit {
        Misfit {
            span: None,
            message: format!("unknown field `{field}`"),
            help: Some(suggestion(field, known)),
        }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Misfit {
        Misfit {
            span: None,
            message: format!("unknown word `{variant}`"),
            help: Some(suggestion(variant, known)),
        }
    }

    fn missing_field(field: &'static str) -> Misfit {
        Misfit { span: None, message: format!("`{field}` is missing"), help: None }
    }
}

/// What a library calls a `u16`, a person calls a whole number.
fn plain(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        text if text.starts_with("struct ") => "a map".to_owned(),
        text => text.to_owned(),
    }
}

fn words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// A node as serde sees it.
#[derive(Clone, Copy)]
struct At<'de>(&'de Node);

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let read = match &self.0.content {
            Content::Scalar(Value::Null) => visitor.visit_unit(),
            Content::Scalar(Value::Bool(value)) => visitor.visit_bool(*value),
            Content::Scalar(Value::String(text)) => visitor.visit_borrowed_str(text),
            Content::Scalar(value) => match (value.as_u64(), value.as_i64(), value.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, Some(number)) => visitor.visit_f64(number),
                _ => visitor.visit_unit(),
            },
            Content::List(items) => visitor.visit_seq(Items(items.iter())),
            Content::Map(entries) => visitor.visit_map(Fields { entries: entries.iter(), value: None }),
        };
        read.map_err(|error| error.at(&self.0.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.content {
            Content::Scalar(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// Numbers and booleans are welcome where a text is: `minute: 1` or `"1"` are the same to a header.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.0.content {
            Content::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => {
                visitor.visit_string(value.to_string()).map_err(|error: Misfit| error.at(&self.0.span))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if let Content::Scalar(Value::String(text)) = &self.0.content {
            visitor
                .visit_enum(text.as_str().into_deserializer())
                .map_err(|error: Misfit| error.at(&self.0.span))
        } else {
            let expected = format!("one of {}", variants.join(", "));
            Err(Misfit::invalid_type(unexpected(self.0), &expected.as_str()).at(&self.0.span))
        }
    }

    /// Only a map: a list of values in the order of the fields would be read by nobody.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.0.content {
            Content::Map(_) => self.deserialize_any(visitor),
            _ => Err(Misfit::invalid_type(unexpected(self.0), &"a map").at(&self.0.span)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self).map_err(|error| error.at(&self.0.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

fn unexpected(node: &Node) -> Unexpected<'_> {
    match &node.content {
        Content::Scalar(Value::Null) => Unexpected::Unit,
        Content::Scalar(Value::Bool(value)) => Unexpected::Bool(*value),
        Content::Scalar(Value::String(text)) => Unexpected::Str(text),
        Content::Scalar(value) => Unexpected::Float(value.as_f64().unwrap_or_default()),
        Content::List(_) => Unexpected::Seq,
        Content::Map(_) => Unexpected::Map,
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(At(node)).map(Some).map_err(|error| error.at(&node.span))
    }
}

struct Fields<'de> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: de::value::StrDeserializer<'_, Misfit> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some(node) = self.value.take() else { return Err(Misfit::custom("a key without a value")) };
        seed.deserialize(At(node)).map_err(|error| error.at(&node.span))
    }
}
