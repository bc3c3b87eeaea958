//! Reading checked fields. The schema has seen to it that they are what they should be, so what is missing or
//! different is read as nothing rather than reported again.

use serde_json::{Map, Value};

use crate::model::Protocol;

/// The fields of one checked record.
#[derive(Debug, Clone, Copy)]
pub(in crate::declarative) struct Fields<'a>(Option<&'a Map<String, Value>>);

impl<'a> Fields<'a> {
    pub(in crate::declarative) fn new(fields: &'a Map<String, Value>) -> Fields<'a> {
        Fields(Some(fields))
    }

    pub(in crate::declarative) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.and_then(|fields| fields.get(name)).filter(|value| !value.is_null())
    }

    pub(super) fn record(self, name: &str) -> Fields<'a> {
        Fields(self.get(name).and_then(Value::as_object))
    }

    pub(super) fn text(self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    pub(super) fn flag(self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    pub(super) fn number(self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    pub(super) fn int<T: TryFrom<i64>>(self, name: &str) -> Option<T> {
        self.number(name).and_then(|number| T::try_from(number as i64).ok())
    }

    pub(super) fn texts(self, name: &str) -> Option<Vec<String>> {
        self.get(name).and_then(Value::as_array).map(|items| texts(items))
    }

    pub(super) fn ints<T: TryFrom<i64>>(self, name: &str) -> Vec<T> {
        let items = self.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| T::try_from(item.as_f64()? as i64).ok()).collect()
    }

    /// A map of names to lists, as headers are.
    pub(super) fn lists<M: FromIterator<(String, Vec<String>)>>(self, name: &str) -> Option<M> {
        let entries = self.get(name).and_then(Value::as_object)?;
        let list = |value: &Value| value.as_array().map_or_else(Vec::new, |items| texts(items));
        Some(entries.iter().map(|(name, value)| (name.clone(), list(value))).collect())
    }

    pub(super) fn protocols(self) -> Vec<Protocol> {
        let words = self.texts("protocols").unwrap_or_default();
        words.iter().filter_map(|word| Protocol::parse(word)).collect()
    }
}

fn texts(items: &[Value]) -> Vec<String> {
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
