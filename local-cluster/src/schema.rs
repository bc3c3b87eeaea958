//! Schemas: of the built-in kinds, as published by Kubernetes, and of custom kinds, as their definitions give them.
//! Everything that walks an object by its fields walks along one of these: decoding, defaults, pruning, validation,
//! patches by list key, and field ownership.

mod built_in;
mod custom;
mod decode;
mod rules;
mod validate;

use indexmap::IndexMap;
use serde_json::Value;

pub(crate) use self::built_in::{Definition, definition, named};
pub(crate) use self::custom::{default, in_version, prune};
pub(crate) use self::decode::{decode, decode_at};
pub(crate) use self::rules::{Rule, validate_rules};
pub(crate) use self::validate::{validate, validate_lists};

/// What a value may be. Absent keywords say nothing.
#[derive(Debug, Default, Clone)]
pub(crate) struct Schema {
    /// The definition that is meant, for built-in kinds; the other fields then only add to it.
    pub(crate) reference: Option<String>,
    pub(crate) kind: Option<Type>,
    pub(crate) properties: IndexMap<String, Schema>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) default: Option<Value>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    /// Holds a whole object, with apiVersion, kind and metadata.
    pub(crate) embedded: bool,
    pub(crate) list: List,
    /// Fields of an object belong together: one owner, replaced whole.
    pub(crate) atomic: bool,
    pub(crate) strategy: Strategy,
    pub(crate) checks: Box<Checks>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// What else an object may hold besides its properties.
#[derive(Debug, Default, Clone)]
pub(crate) enum Additional {
    #[default]
    Unsaid,
    Any,
    Of(Box<Schema>),
}

/// How the items of a list are told apart.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum List {
    /// Not at all: the list is one value.
    #[default]
    Atomic,
    Set,
    /// By these fields.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Strategy {
    pub(crate) merge: bool,
    pub(crate) retain_keys: bool,
    pub(crate) key: Option<String>,
}

/// What is checked besides the type.
#[derive(Debug, Default, Clone)]
pub(crate) struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) allowed: Option<Vec<Value>>,
    pub(crate) format: Option<String>,
    pub(crate) pattern: Option<regex::Regex>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Schema>,
}

impl Schema {
    /// Reads a schema that has been checked, or one of ours. What it can't read it leaves out.
    pub(crate) fn read(source: &Value) -> Schema {
        let flag = |name: &str| source[name] == true;
        let text = |name: &str| source[name].as_str().map(str::to_owned);
        // A reference with a description or default beside it is wrapped in an `allOf`.
        let wrapped = &source["allOf"][0]["$ref"];
        let reference = source["$ref"].as_str().or(wrapped.as_str());
        let reference = reference.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let format = text("format");
        Schema {
            kind: source["type"].as_str().and_then(Type::parse),
            properties: entries(&source["properties"]),
            additional: match &source["additionalProperties"] {
                Value::Object(_) => Additional::Of(Box::new(Schema::read(&source["additionalProperties"]))),
                Value::Bool(true) => Additional::Any,
                _ => Additional::Unsaid,
            },
            items: source["items"].is_object().then(|| Box::new(Schema::read(&source["items"]))),
            default: source.get("default").cloned(),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string") || format.as_deref() == Some("int-or-string"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            list: match source["x-kubernetes-list-type"].as_str() {
                Some("set") => List::Set,
                Some("map") => List::Map(texts(&source["x-kubernetes-list-map-keys"])),
                _ => List::Atomic,
            },
            atomic: source["x-kubernetes-map-type"] == "atomic",
            strategy: Strategy {
                merge: text("x-kubernetes-patch-strategy").is_some_and(|strategy| strategy.contains("merge")),
                retain_keys: text("x-kubernetes-patch-strategy")
                    .is_some_and(|strategy| strategy.contains("retainKeys")),
                key: text("x-kubernetes-patch-merge-key"),
            },
            checks: Box::new(Checks {
                required: texts(&source["required"]),
                allowed: source["enum"].as_array().cloned(),
                format,
                pattern: source["pattern"].as_str().and_then(|pattern| regex::Regex::new(pattern).ok()),
                minimum: source["minimum"].as_f64(),
                maximum: source["maximum"].as_f64(),
                exclusive_minimum: flag("exclusiveMinimum"),
                exclusive_maximum: flag("exclusiveMaximum"),
                multiple_of: source["multipleOf"].as_f64(),
                min_length: source["minLength"].as_u64(),
                max_length: source["maxLength"].as_u64(),
                min_items: source["minItems"].as_u64(),
                max_items: source["maxItems"].as_u64(),
                min_properties: source["minProperties"].as_u64(),
                max_properties: source["maxProperties"].as_u64(),
                all_of: if reference.is_some() { Vec::new() } else { several(&source["allOf"]) },
                any_of: several(&source["anyOf"]),
                one_of: several(&source["oneOf"]),
                not: source["not"].is_object().then(|| Schema::read(&source["not"])),
            }),
            rules: source["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Rule::read)
                .collect(),
            reference,
        }
    }

    /// The schema that says which fields there are: this one, or the definition it refers to.
    pub(crate) fn shape(&self) -> &Schema {
        match self.definition() {
            Some(definition) => &definition.schema,
            None => self,
        }
    }

    /// The published definition behind it, for a built-in kind.
    pub(crate) fn definition(&self) -> Option<&'static Definition> {
        definition(self.reference.as_deref()?)
    }

    /// The schema of a field: a property, or what additional ones must be.
    pub(crate) fn field(&self, name: &str) -> Option<&Schema> {
        let shape = self.shape();
        match shape.properties.get(name) {
            Some(field) => Some(field),
            None => match &shape.additional {
                Additional::Of(schema) => Some(schema),
                Additional::Unsaid | Additional::Any => None,
            },
        }
    }

    /// Whether anything at all may be below.
    pub(crate) fn is_open(&self) -> bool {
        let shape = self.shape();
        let fields = !shape.properties.is_empty() || matches!(shape.additional, Additional::Of(_));
        // Of a published type that has no fields: an object in an object, of whatever kind.
        let opaque = self.reference.is_some() && shape.kind == Some(Type::Object) && !fields;
        let unsaid = shape.kind.is_none() && !shape.int_or_string && !fields;
        shape.preserve_unknown || matches!(shape.additional, Additional::Any) || opaque || unsaid
    }
}

impl Type {
    pub(crate) fn parse(name: &str) -> Option<Type> {
        Some(match name {
            "object" => Type::Object,
            "array" => Type::Array,
            "string" => Type::String,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
        }
    }
}

fn entries(source: &Value) -> IndexMap<String, Schema> {
    let entries = source.as_object().into_iter().flatten();
    entries.map(|(name, schema)| (name.clone(), Schema::read(schema))).collect()
}

fn several(source: &Value) -> Vec<Schema> {
    source.as_array().into_iter().flatten().map(Schema::read).collect()
}

fn texts(source: &Value) -> Vec<String> {
    source.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
