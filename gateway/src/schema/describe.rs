//! The description of settings, for people (a table) and for programs (Kong's own schema form).

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Check, Kind, Literal, PluginSchema, Record, Type};

/// One row of a settings table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Dotted path below `config`.
    pub name: String,
    pub kind: String,
    pub required: bool,
    /// As JSON; empty if there is none.
    pub default: String,
    pub rules: String,
    pub about: String,
}

impl PluginSchema {
    /// All settings, nested ones after the record they are in, names of old last.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        collect(self.config, "", &mut settings);
        settings
    }

    /// The settings as a Markdown table.
    pub fn markdown(&self) -> String {
        let mut out = String::from("| setting | type | default | rules | meaning |\n|---|---|---|---|---|\n");
        for setting in self.settings() {
            let default = match (setting.default.as_str(), setting.required) {
                ("", true) => "required".to_owned(),
                ("", false) => String::new(),
                (default, _) => format!("`{default}`"),
            };
            let cells =
                [&format!("`{}`", setting.name), &setting.kind, &default, &setting.rules, &setting.about];
            let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        out
    }

    /// The description in the form of Kong's `GET /schemas/plugins/NAME`.
    pub fn to_json(&self) -> Value {
        let default: Vec<&str> = self.protocols.iter().map(|protocol| protocol.as_str()).collect();
        let mut config = type_json(&self.config_field().ty);
        config.insert("required".to_owned(), json!(true));
        let mut fields = vec![
            json!({"protocols": {
                "type": "set",
                "required": true,
                "default": default,
                "elements": {"type": "string", "one_of": literals(self.allowed_protocols())},
            }}),
            json!({"config": config}),
        ];
        if !self.consumer_scope {
            fields.insert(0, json!({"consumer": {"type": "foreign", "reference": "consumers", "eq": null}}));
        }
        json!({"fields": fields, "entity_checks": checks_json(self.checks)})
    }
}

fn collect(record: &Record, prefix: &str, settings: &mut Vec<Setting>) {
    for field in record.fields {
        let name = format!("{prefix}{}", field.name);
        let nested = match field.ty.kind {
            Kind::Record(inner) => Some((inner, format!("{name}."))),
            Kind::Array(&Type { kind: Kind::Record(inner), .. }) => Some((inner, format!("{name}[]."))),
            _ => None,
        };
        settings.push(setting(name, &field.ty));
        if let Some((inner, prefix)) = nested {
            collect(inner, &prefix, settings);
        }
    }
    settings.extend(record.legacy.iter().map(|old| setting(format!("{prefix}{}", old.name), &old.ty)));
}

fn setting(name: String, ty: &Type) -> Setting {
    let about = match ty.deprecated {
        Some(instead) => format!("deprecated: {instead}"),
        None => ty.about.to_owned(),
    };
    Setting {
        name,
        kind: kind_text(&ty.kind),
        required: ty.required && !matches!(ty.kind, Kind::Record(_)),
        default: ty.default.map_or_else(String::new, |default| default.to_value().to_string()),
        rules: rules_text(ty),
        about,
    }
}

fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::String => "string".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Integer => "integer".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Array(elements) => format!("array of {}", kind_text(&elements.kind)),
        Kind::Set(elements) => format!("set of {}", kind_text(&elements.kind)),
        Kind::Map { keys, values } => {
            format!("map of {} to {}", kind_text(&keys.kind), kind_text(&values.kind))
        }
        Kind::Record(_) => "record".to_owned(),
        Kind::Foreign(section) => format!("one of {section}"),
        Kind::Any => "any".to_owned(),
    }
}

/// The rules as a reader needs them; those of a list are its entries'.
fn rules_text(ty: &Type) -> String {
    let mut rules = Vec::new();
    let list =
        |values: &[Literal]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    if !ty.one_of.is_empty() {
        rules.push(list(ty.one_of));
    }
    if !ty.not_one_of.is_empty() {
        rules.push(format!("not {}", ty.not_one_of.join(", ")));
    }
    rules.extend(ty.greater_than.map(|limit| format!("above {limit}")));
    rules.extend(ty.between.map(|(from, to)| format!("{from} to {to}")));
    rules.extend(ty.len_eq.map(|len| format!("length {len}")));
    rules.extend(ty.len_min.filter(|len| *len > 0).map(|len| format!("length at least {len}")));
    rules.extend(ty.len_min.filter(|len| *len == 0).map(|_| "may be empty".to_owned()));
    rules.extend(ty.len_max.map(|len| format!("length at most {len}")));
    rules.extend(ty.starts_with.map(|prefix| format!("starts with `{prefix}`")));
    rules.extend(ty.regex.then(|| "regular expression".to_owned()));
    rules.extend(ty.uuid.then(|| "UUID".to_owned()));
    let errors = ty.forbids.iter().chain(ty.matches).map(|pattern| pattern.error);
    rules.extend(errors.filter(|error| !error.is_empty()).map(str::to_owned));
    rules.extend(ty.referenceable.then(|| "may be a vault reference".to_owned()));
    if let Kind::Array(elements) | Kind::Set(elements) | Kind::Map { values: elements, .. } = ty.kind {
        let inner = rules_text(elements);
        rules.extend((!inner.is_empty()).then(|| format!("each {inner}")));
    }
    rules.join("; ")
}

fn record_json(record: &Record) -> Vec<Value> {
    record.fields.iter().map(|field| json!({field.name: type_json(&field.ty)})).collect()
}

fn type_json(ty: &Type) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    match ty.kind {
        Kind::String => put("type", json!("string")),
        Kind::Number => put("type", json!("number")),
        Kind::Integer => put("type", json!("integer")),
        Kind::Boolean => put("type", json!("boolean")),
        Kind::Any => put("type", json!("any")),
        Kind::Array(elements) => {
            put("type", json!("array"));
            put("elements", json!(type_json(elements)));
        }
        Kind::Set(elements) => {
            put("type", json!("set"));
            put("elements", json!(type_json(elements)));
        }
        Kind::Map { keys, values } => {
            put("type", json!("map"));
            put("keys", json!(type_json(keys)));
            put("values", json!(type_json(values)));
        }
        Kind::Record(record) => {
            put("type", json!("record"));
            put("fields", json!(record_json(record)));
            if !record.checks.is_empty() {
                put("entity_checks", checks_json(record.checks));
            }
            if !record.legacy.is_empty() {
                let legacy = record.legacy.iter().map(|old| json!({old.name: type_json(&old.ty)}));
                put("shorthand_fields", legacy.collect());
            }
        }
        Kind::Foreign(section) => {
            put("type", json!("foreign"));
            put("reference", json!(section));
        }
    }
    if ty.required {
        put("required", json!(true));
    }
    for (key, literal) in
        [("default", ty.default), ("eq", ty.equals), ("ne", ty.not_equal), ("contains", ty.contains)]
    {
        if let Some(literal) = literal {
            put(key, literal.to_value());
        }
    }
    if !ty.one_of.is_empty() {
        put("one_of", literals(ty.one_of));
    }
    if !ty.not_one_of.is_empty() {
        put("not_one_of", json!(ty.not_one_of));
    }
    if let Some(limit) = ty.greater_than {
        put("gt", json!(limit));
    }
    if let Some((from, to)) = ty.between {
        put("between", json!([from, to]));
    }
    for (key, len) in [("len_eq", ty.len_eq), ("len_min", ty.len_min), ("len_max", ty.len_max)] {
        if let Some(len) = len {
            put(key, json!(len));
        }
    }
    if let Some(prefix) = ty.starts_with {
        put("starts_with", json!(prefix));
    }
    for (key, on) in [
        ("uuid", ty.uuid),
        ("is_regex", ty.regex),
        ("referenceable", ty.referenceable),
        ("encrypted", ty.secret),
    ] {
        if on {
            put(key, json!(true));
        }
    }
    if let Some(instead) = ty.deprecated {
        put("deprecation", json!({"message": instead}));
    }
    if !ty.about.is_empty() {
        put("description", json!(ty.about));
    }
    out
}

fn literals(values: &[Literal]) -> Value {
    values.iter().map(|literal| literal.to_value()).collect()
}

fn checks_json(checks: &[Check]) -> Value {
    let one = |check: &Check| match *check {
        Check::AtLeastOneOf(names) => Some(json!({"at_least_one_of": names})),
        Check::OnlyOneOf(names) => Some(json!({"only_one_of": names})),
        Check::MutuallyExclusive(names) => Some(json!({"mutually_exclusive": names})),
        Check::MutuallyRequired(names) => Some(json!({"mutually_required": names})),
        Check::MutuallyExclusiveSets(one, other) => {
            Some(json!({"mutually_exclusive_sets": {"set1": one, "set2": other}}))
        }
        Check::Distinct(names) => Some(json!({"distinct": names})),
        Check::If { field, is, then, must, .. } => Some(json!({"conditional": {
            "if_field": field,
            "if_match": condition_json(is),
            "then_field": then,
            "then_match": condition_json(must),
        }})),
        Check::Custom { .. } => None,
    };
    checks.iter().filter_map(one).collect()
}

fn condition_json(ty: &Type) -> Map<String, Value> {
    let mut out = type_json(ty);
    if matches!(ty.kind, Kind::Any) {
        out.shift_remove("type");
    }
    out
}
