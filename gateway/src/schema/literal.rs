//! JSON values that can be written in static data: defaults and allowed values.

use serde_json::{Map, Value};

/// A JSON value known at compile time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
    List(&'static [Literal]),
    Map(&'static [(&'static str, Literal)]),
}

impl Literal {
    pub fn to_value(self) -> Value {
        match self {
            Literal::Null => Value::Null,
            Literal::Bool(bool) => Value::Bool(bool),
            Literal::Int(int) => Value::from(int),
            Literal::Float(float) => Value::from(float),
            Literal::Text(text) => Value::from(text),
            Literal::List(items) => items.iter().map(|item| item.to_value()).collect(),
            Literal::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// Numbers compare by value: `1` is `1.0`.
    pub fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Literal::Int(int), Value::Number(number)) => number.as_f64() == Some(int as f64),
            (Literal::Float(float), Value::Number(number)) => number.as_f64() == Some(float),
            _ => self.to_value() == *value,
        }
    }
}

/// As Kong puts it into a sentence.
impl std::fmt::Display for Literal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Literal::Text(text) => f.write_str(text),
            other => write!(f, "{}", other.to_value()),
        }
    }
}
