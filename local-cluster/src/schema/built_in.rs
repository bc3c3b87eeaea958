//! The published definitions of the built-in kinds. Each is read when it is first asked for, so that starting
//! costs nothing.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Schema;

/// One a line; see `schemas/README.md`.
static SOURCE: &str = include_str!("../../schemas/built-in.jsonl");

static DEFINITIONS: LazyLock<HashMap<&'static str, Line>> = LazyLock::new(|| {
    let lines = SOURCE.lines().filter_map(|line| {
        let rest = line.strip_prefix(r#"{"name":""#)?;
        Some((&rest[..rest.find('"')?], Line { source: line, definition: OnceLock::new() }))
    });
    lines.collect()
});

struct Line {
    source: &'static str,
    definition: OnceLock<Option<Definition>>,
}

/// A type of Kubernetes.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) schema: Schema,
    /// Empty for types whose form in JSON is not that of their fields, such as times.
    pub(crate) fields: HashMap<String, Field>,
    /// The `OpenAPI` schema as published.
    pub(crate) source: &'static str,
}

/// How a field is written.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its numbers in protobuf, from the outside in; empty when it is not in the message.
    pub(crate) numbers: Vec<u32>,
    pub(crate) emptiness: Emptiness,
}

/// What becomes of an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// Present is not the same as absent.
    Kept,
    /// Left out.
    Omitted,
    /// Written also when nobody gave it.
    Written,
}

impl Definition {
    /// `Pod` for `io.k8s.api.core.v1.Pod`.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// A schema that refers to a definition.
pub(crate) fn named(name: &str) -> Schema {
    Schema { reference: Some(name.to_owned()), ..Schema::default() }
}

pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    let (name, line) = DEFINITIONS.get_key_value(name)?;
    line.definition.get_or_init(|| read(name, line.source)).as_ref()
}

fn read(name: &'static str, line: &'static str) -> Option<Definition> {
    #[derive(Deserialize)]
    struct Source<'a> {
        #[serde(default)]
        fields: HashMap<String, String>,
        #[serde(borrow)]
        schema: &'a RawValue,
    }
    let source: Source<'static> = serde_json::from_str(line).ok()?;
    let schema: Value = serde_json::from_str(source.schema.get()).ok()?;
    let field = |how: &str| {
        let (numbers, emptiness) = how.split_at(how.len().checked_sub(1)?);
        let numbers = numbers.split('.').filter_map(|number| number.parse().ok()).collect();
        let emptiness = match emptiness {
            "p" => Emptiness::Kept,
            "o" => Emptiness::Omitted,
            _ => Emptiness::Written,
        };
        Some(Field { numbers, emptiness })
    };
    let fields = source.fields.iter().filter_map(|(name, how)| Some((name.clone(), field(how)?))).collect();
    Some(Definition { name, schema: Schema::read(&schema), fields, source: source.schema.get() })
}

#[cfg(test)]
mod tests {
    use super::super::{List, Type};
    use super::*;
    use crate::resources::built_in::TABLE;

    #[test]
    fn every_kind_has_its_definition() {
        for row in TABLE {
            let name = row.definition();
            let found = definition(&name).unwrap_or_else(|| panic!("{name} has no definition"));
            assert!(found.schema.properties.contains_key("metadata"), "{name}");
        }
    }

    #[test]
    fn every_line_can_be_read() {
        for name in DEFINITIONS.keys() {
            assert!(definition(name).is_some(), "{name}");
        }
    }

    #[test]
    fn references_lead_to_fields_and_list_keys() {
        let pod = named("io.k8s.api.core.v1.Pod");
        let containers = pod.field("spec").unwrap().field("containers").unwrap();
        assert_eq!(containers.list, List::Map(vec!["name".to_owned()]));
        let port = containers.items.as_ref().unwrap().field("ports").unwrap();
        assert_eq!(port.list, List::Map(vec!["containerPort".to_owned(), "protocol".to_owned()]));
        assert_eq!(port.items.as_ref().unwrap().field("hostIP").unwrap().kind, Some(Type::String));
    }
}
