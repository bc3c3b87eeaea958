//! `x-kubernetes-validations`: rules of a schema that are expressions.

use std::collections::HashMap;

use serde_json::Value;

use super::{Additional, List, Schema, Type};
use crate::cel::{Program, Val};
use crate::failure::{Cause, Causes};

/// A rule that holds for every value of its schema.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    source: String,
    program: Option<Program>,
    message: String,
    message_expression: Option<Program>,
    reason: String,
    field: String,
    optional_old: bool,
}

impl Rule {
    pub(super) fn read(source: &Value) -> Rule {
        let text = |name: &str| source[name].as_str().unwrap_or_default().to_owned();
        let expression = text("messageExpression");
        Rule {
            program: Program::compile(&text("rule")).ok(),
            source: text("rule"),
            message: text("message"),
            message_expression: Program::compile(&expression).ok().filter(|_| !expression.is_empty()),
            reason: text("reason"),
            field: text("fieldPath"),
            optional_old: source["optionalOldSelf"] == true,
        }
    }

    /// A rule about a change; it is asked only when there is something before.
    fn is_transition(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.mentions("oldSelf"))
    }

    fn shown(&self) -> &str {
        if self.message.is_empty() { &self.source } else { &self.message }
    }
}

impl Schema {
    pub(crate) fn has_rules(&self) -> bool {
        let additional = match &self.additional {
            Additional::Of(schema) => schema.has_rules(),
            Additional::Any | Additional::Unsaid => false,
        };
        !self.rules.is_empty()
            || additional
            || self.properties.values().any(Schema::has_rules)
            || self.items.as_deref().is_some_and(Schema::has_rules)
    }
}

pub(crate) fn validate_rules(schema: &Schema, value: &Value, old: Option<&Value>, causes: &mut Causes) {
    walk(schema, value, old, "", causes);
}

fn walk(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, causes: &mut Causes) {
    if value.is_null() && schema.nullable || !schema.has_rules() {
        return;
    }
    for rule in &schema.rules {
        judge(rule, schema, value, old, path, causes);
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = match (schema.properties.get(name), &schema.additional) {
                    (Some(field), _) => field,
                    (None, Additional::Of(field)) => field,
                    (None, Additional::Any | Additional::Unsaid) => continue,
                };
                let old = old.and_then(|old| old.get(name));
                let path = match (schema.properties.contains_key(name), path) {
                    (true, "") => name.clone(),
                    (true, path) => format!("{path}.{name}"),
                    (false, path) => format!("{path}[{name}]"),
                };
                walk(field, value, old, &path, causes);
            }
        }
        Value::Array(items) => {
            let Some(item) = schema.items.as_deref() else { return };
            for (index, value) in items.iter().enumerate() {
                let same = |other: &&Value| match &schema.list {
                    List::Map(keys) => keys.iter().all(|key| other.get(key) == value.get(key)),
                    List::Set | List::Atomic => false,
                };
                let old = old.and_then(Value::as_array).and_then(|items| items.iter().find(same));
                walk(item, value, old, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn judge(rule: &Rule, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, causes: &mut Causes) {
    let Some(program) = &rule.program else { return };
    let transition = rule.is_transition();
    if transition && old.is_none() && !rule.optional_old || !transition && old == Some(value) {
        return;
    }
    let old = old.map(|old| Val::from_typed(old, schema));
    let old = match (rule.optional_old, old) {
        (true, old) => Some(Val::Optional(old.map(Into::into))),
        (false, old) => old,
    };
    let mut variables = HashMap::from([("self", Val::from_typed(value, schema))]);
    variables.extend(old.map(|old| ("oldSelf", old)));
    let kind = Value::from(schema.kind.map_or("", Type::name));
    match program.evaluate(&variables) {
        Ok(Val::Bool(true)) => {}
        Ok(_) => {
            let said =
                rule.message_expression.as_ref().and_then(|program| match program.evaluate(&variables) {
                    Ok(Val::Text(text)) if !text.trim().is_empty() => Some(text.to_string()),
                    _ => None,
                });
            let message = said.unwrap_or_else(|| match rule.message.trim() {
                "" => format!("failed rule: {}", rule.source.trim()),
                message => message.to_owned(),
            });
            let field = match (path, rule.field.trim_start_matches('.')) {
                (path, "") => path.to_owned(),
                ("", field) => field.to_owned(),
                (path, field) => format!("{path}.{field}"),
            };
            causes.add(match rule.reason.as_str() {
                "FieldValueForbidden" => Cause::forbidden(field, message),
                "FieldValueRequired" => Cause::required(field, &message),
                "FieldValueDuplicate" => Cause::duplicate(field, &kind),
                _ => Cause::invalid(field, &kind, message),
            });
        }
        Err(error) if error.starts_with("no such overload") => {
            let why = format!(
                "'{error}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                rule.shown()
            );
            causes.add(Cause::invalid(path, &kind, why));
        }
        Err(error) => {
            causes.add(Cause::invalid(path, &kind, format!("{error} evaluating rule: {}", rule.shown())));
        }
    }
}
