//! Structural schemas: what a schema of a custom kind may say, so that objects can be pruned, defaulted and judged.

use serde_json::{Value, json};

use crate::cel::Program;
use crate::failure::{Cause, Causes};
use crate::schema::{self, Schema};

const UNSUPPORTED: [(&str, &str); 6] = [
    ("id", "id is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("$ref", "$ref is not supported"),
];
/// What belongs to the structure, and can't be said again inside `allOf` and its like.
const STRUCTURE: [(&str, &str); 11] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Field,
}

pub(super) fn validate(schema: &Value, field: &str, has_status: bool, causes: &mut Causes) {
    let mut found = Causes::default();
    shape(schema, field, Place::Root, &mut found);
    if schema["nullable"] == true {
        found.add(Cause::forbidden(format!("{field}.nullable"), "nullable cannot be true at the root"));
    }
    if has_status && schema["type"].is_string() && schema["type"] != "object" {
        let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        found.add(Cause::invalid(format!("{field}.type"), &schema["type"], why));
    }
    // Defaults and rules can be judged only against a sound schema.
    if found.0.is_empty() {
        let read = Schema::read(schema);
        content(schema, &read, field, &mut found);
    }
    causes.0.extend(found.0);
}

fn shape(schema: &Value, field: &str, place: Place, causes: &mut Causes) {
    let Some(fields) = schema.as_object() else { return };
    let kind = schema["type"].as_str().unwrap_or_default();
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let preserve = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if schema["uniqueItems"] == true {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.add(Cause::forbidden(format!("{field}.uniqueItems"), why));
    }
    for (name, why) in UNSUPPORTED.iter().filter(|(name, _)| fields.contains_key(*name)) {
        causes.add(Cause::forbidden(format!("{field}.{name}"), *why));
    }
    match kind {
        "" if !int_or_string && (!preserve || place == Place::Root) => {
            let why = match place {
                Place::Root => "must not be empty at the root",
                Place::Item => "must not be empty for specified array items",
                Place::Field => "must not be empty for specified object fields",
            };
            causes.add(Cause::required(format!("{field}.type"), why));
        }
        "" => {}
        "object" => {}
        kind if place == Place::Root => {
            causes.add(Cause::invalid(format!("{field}.type"), &json!(kind), "must be object at the root"));
        }
        "null" => {
            let why = "type cannot be set to null, use nullable as an alternative";
            causes.add(Cause::forbidden(format!("{field}.type"), why));
        }
        kind if TYPES.contains(&kind) => {}
        _ => causes.add(Cause::unsupported(format!("{field}.type"), &schema["type"], &TYPES)),
    }
    if fields.contains_key("x-kubernetes-preserve-unknown-fields") && !preserve {
        let field = format!("{field}.x-kubernetes-preserve-unknown-fields");
        causes.add(Cause::invalid(field, &json!(false), "must be true or undefined"));
    }
    if fields.contains_key("additionalProperties")
        && schema["properties"].as_object().is_some_and(|p| !p.is_empty())
    {
        let why = "additionalProperties and properties are mutual exclusive";
        causes.add(Cause::forbidden(format!("{field}.additionalProperties"), why));
    }
    if place == Place::Root && fields.contains_key("additionalProperties") {
        causes.add(Cause::forbidden(format!("{field}.additionalProperties"), "must not be used at the root"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        let last = error.to_string().lines().last().unwrap_or_default().to_owned();
        let why = format!("must be a valid regular expression, but isn't: {last}");
        causes.add(Cause::invalid(format!("{field}.pattern"), &schema["pattern"], why));
    }
    if kind == "array" && !schema["items"].is_object() {
        let (at, why) = match &schema["items"] {
            Value::Array(_) => (format!("{field}.items"), "items must be a schema object and not an array"),
            _ => (format!("{field}.items"), "must be specified"),
        };
        causes.add(if schema["items"].is_array() {
            Cause::forbidden(at, why)
        } else {
            Cause::required(at, why)
        });
    }
    lists(schema, field, causes);
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for (index, inner) in schema[keyword].as_array().into_iter().flatten().enumerate() {
            value_only(inner, &format!("{field}.{keyword}[{index}]"), int_or_string, causes);
        }
    }
    if schema["not"].is_object() {
        value_only(&schema["not"], &format!("{field}.not"), false, causes);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        // What every object has is known.
        if place == Place::Root && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        shape(inner, &format!("{field}.properties[{name}]"), Place::Field, causes);
    }
    if schema["additionalProperties"].is_object() {
        shape(
            &schema["additionalProperties"],
            &format!("{field}.additionalProperties"),
            Place::Field,
            causes,
        );
    }
    if schema["items"].is_object() {
        shape(&schema["items"], &format!("{field}.items"), Place::Item, causes);
    }
}

fn lists(schema: &Value, field: &str, causes: &mut Causes) {
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let list = schema["x-kubernetes-list-type"].as_str();
    if list.is_some() && schema["type"] != "array" {
        let why = "must be array if x-kubernetes-list-type is specified";
        causes.add(match &schema["type"] {
            Value::Null => Cause::required(format!("{field}.type"), why),
            found => Cause::invalid(format!("{field}.type"), found, why),
        });
    }
    match list {
        None | Some("atomic" | "set" | "map") => {}
        Some(_) => causes.add(Cause::unsupported(
            format!("{field}.x-kubernetes-list-type"),
            &schema["x-kubernetes-list-type"],
            &["atomic", "set", "map"],
        )),
    }
    if list == Some("map") && keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        causes.add(Cause::required(format!("{field}.x-kubernetes-list-map-keys"), why));
    }
    if list != Some("map") && !keys.is_empty() {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        causes.add(Cause::required(format!("{field}.x-kubernetes-list-type"), why));
    }
    let item = &schema["items"];
    for key in keys.into_iter().filter(|_| list == Some("map")) {
        let property = &item["properties"][key];
        if property.is_null() {
            let why = "entries must all be names of item properties";
            let field = format!("{field}.x-kubernetes-list-map-keys");
            causes.add(Cause::invalid(field, &schema["x-kubernetes-list-map-keys"], why));
            continue;
        }
        let required = item["required"].as_array().into_iter().flatten().any(|name| name == key);
        if !required && property["default"].is_null() {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            causes.add(Cause::required(format!("{field}.items.properties[{key}].default"), why));
        }
    }
    match schema["x-kubernetes-map-type"].as_str() {
        None | Some("atomic" | "granular") => {}
        Some(_) => causes.add(Cause::unsupported(
            format!("{field}.x-kubernetes-map-type"),
            &schema["x-kubernetes-map-type"],
            &["atomic", "granular"],
        )),
    }
}

/// Inside `allOf`, `anyOf`, `oneOf` and `not` only values can be judged.
fn value_only(schema: &Value, field: &str, int_or_string: bool, causes: &mut Causes) {
    for (name, why) in STRUCTURE {
        // The two halves of an int-or-string name their types.
        let allowed = int_or_string && name == "type";
        let said = match &schema[name] {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        };
        if said && !allowed {
            causes.add(Cause::forbidden(format!("{field}.{name}"), why));
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        value_only(inner, &format!("{field}.properties[{name}]"), false, causes);
    }
    if schema["items"].is_object() {
        value_only(&schema["items"], &format!("{field}.items"), false, causes);
    }
}

/// Defaults must fit, rules must compile.
fn content(source: &Value, schema: &Schema, field: &str, causes: &mut Causes) {
    if let Some(default) = &schema.default {
        let mut found = Causes::default();
        schema::validate(schema, default, None, &mut found);
        for mut cause in found.0 {
            let below = if cause.field == "<nil>" { String::new() } else { format!(".{}", cause.field) };
            cause.field = format!("{field}.default{below}");
            causes.add(cause);
        }
    }
    for (index, rule) in source["x-kubernetes-validations"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{field}.x-kubernetes-validations[{index}]");
        let expression = rule["rule"].as_str().unwrap_or_default();
        if expression.trim().is_empty() {
            causes.add(Cause::required(format!("{field}.rule"), "rule is not specified"));
            continue;
        }
        for (name, expression) in [
            ("rule", expression),
            ("messageExpression", rule["messageExpression"].as_str().unwrap_or_default()),
        ] {
            if expression.is_empty() {
                continue;
            }
            let variables = [("self", Some(schema)), ("oldSelf", Some(schema))];
            let compiled = Program::compile(expression).and_then(|program| program.check(&variables));
            // An optional old value has another form.
            let optional = rule["optionalOldSelf"] == true;
            if let Err(error) = compiled
                && !(optional && error.message.contains("undefined field"))
            {
                let why = format!("compilation failed: {}", error.shown(expression));
                causes.add(Cause::invalid(format!("{field}.{name}"), &shown(rule), why));
            }
        }
    }
    for (name, inner) in &schema.properties {
        content(&source["properties"][name], inner, &format!("{field}.properties[{name}]"), causes);
    }
    if let schema::Additional::Of(inner) = &schema.additional {
        content(&source["additionalProperties"], inner, &format!("{field}.additionalProperties"), causes);
    }
    if let Some(inner) = &schema.items {
        content(&source["items"], inner, &format!("{field}.items"), causes);
    }
}

/// A rule as messages show it.
fn shown(rule: &Value) -> Value {
    let text = |name: &str| json!(rule[name].as_str().unwrap_or_default());
    json!({
        "Rule": text("rule"),
        "Message": text("message"),
        "MessageExpression": text("messageExpression"),
        "Reason": rule["reason"],
        "FieldPath": text("fieldPath"),
        "OptionalOldSelf": rule["optionalOldSelf"],
    })
}
