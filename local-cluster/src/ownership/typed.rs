//! Walking an object along its schema: which fields it sets, how two states differ, how one is merged into
//! another, and how fields are taken out. Lists are told apart by their keys where the schema gives keys.

use serde_json::{Map, Value};

use super::field_set::{FieldSet, Step, canonical};
use crate::schema::{Additional, List, Schema, Type};

/// What two states of an object differ in.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// How a value is taken apart.
enum Form<'a> {
    /// Not at all.
    Leaf,
    Object,
    /// Each item with its step.
    Items(Vec<(Step, &'a Value)>),
}

/// A schema, or none for what may be anything.
type Guide<'a> = Option<&'a Schema>;

fn form<'a>(guide: Guide<'_>, value: &'a Value) -> Form<'a> {
    match value {
        Value::Object(_) => match guide {
            Some(schema) if schema.atomic || schema.shape().atomic => Form::Leaf,
            _ => Form::Object,
        },
        Value::Array(items) => match guide.map(|schema| &schema.list) {
            None | Some(List::Atomic) => Form::Leaf,
            Some(list) => Form::Items(items.iter().map(|item| (step_of(guide, list, item), item)).collect()),
        },
        _ => Form::Leaf,
    }
}

fn step_of(guide: Guide<'_>, list: &List, item: &Value) -> Step {
    let List::Map(keys) = list else { return Step::Value(canonical(item)) };
    let schema = guide.and_then(|schema| schema.items.as_deref());
    let key = |name: &String| {
        let default = || schema?.field(name)?.default.clone();
        let value = item.get(name).filter(|value| !value.is_null()).cloned().or_else(default)?;
        Some((name.clone(), value))
    };
    Step::Key(canonical(&Value::Object(keys.iter().filter_map(key).collect())))
}

fn field<'a>(guide: Guide<'a>, name: &str) -> Guide<'a> {
    guide
        .filter(|schema| !schema.shape().preserve_unknown || schema.shape().properties.contains_key(name))?
        .field(name)
}

/// Whether a field is one of a type, not a key of a map.
fn is_named(guide: Guide<'_>, name: &str) -> bool {
    guide.is_some_and(|schema| schema.shape().properties.contains_key(name))
}

fn item(guide: Guide<'_>) -> Guide<'_> {
    guide.and_then(|schema| schema.shape().items.as_deref())
}

/// The fields that an applied object sets.
pub(super) fn fields(guide: Guide<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(guide, value, &mut Vec::new(), &mut set);
    set
}

fn collect(guide: Guide<'_>, value: &Value, path: &mut Vec<Step>, set: &mut FieldSet) {
    match form(guide, value) {
        Form::Leaf => set.insert(path),
        Form::Object => {
            for (name, value) in value.as_object().into_iter().flatten() {
                path.push(Step::Field(name.clone()));
                collect(field(guide, name), value, path, set);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if empty || !is_named(guide, name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Form::Items(items) => {
            for (step, value) in items {
                path.push(step);
                collect(item(guide), value, path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}

pub(super) fn compare(guide: Guide<'_>, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    differ(guide, Some(old), Some(new), &mut Vec::new(), &mut difference);
    difference
}

fn differ(
    guide: Guide<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    found: &mut Difference,
) {
    let leaf = |path: &[Step], found: &mut Difference| match (old, new) {
        (None, _) => found.added.insert(path),
        (_, None) => found.removed.insert(path),
        (Some(old), Some(new)) if old != new => found.modified.insert(path),
        _ => {}
    };
    let empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    };
    let forms = (old.map(|value| form(guide, value)), new.map(|value| form(guide, value)));
    let mut steps: Vec<(Step, Option<&Value>, Option<&Value>)> = Vec::new();
    match forms {
        _ if empty(old) && empty(new) => return leaf(path, found),
        (Some(Form::Object), None | Some(Form::Object)) | (None, Some(Form::Object)) => {}
        (Some(Form::Items(_)), None | Some(Form::Items(_))) | (None, Some(Form::Items(_))) => {}
        // What is null takes the form of the other.
        (Some(Form::Object | Form::Items(_)), Some(Form::Leaf)) if empty(new) => {}
        (Some(Form::Leaf), Some(Form::Object | Form::Items(_))) if empty(old) => {}
        _ => return leaf(path, found),
    }
    add_steps(guide, old, &mut steps, |entry, value| entry.1 = Some(value));
    add_steps(guide, new, &mut steps, |entry, value| entry.2 = Some(value));
    for (step, old, new) in steps {
        let below = match &step {
            Step::Field(name) => field(guide, name),
            _ => item(guide),
        };
        path.push(step);
        differ(below, old, new, path, found);
        path.pop();
    }
    if old.is_none() {
        found.added.insert(path);
    } else if new.is_none() {
        found.removed.insert(path);
    }
}

type Pair<'a> = (Step, Option<&'a Value>, Option<&'a Value>);

fn add_steps<'a>(
    guide: Guide<'_>,
    value: Option<&'a Value>,
    steps: &mut Vec<Pair<'a>>,
    set: impl Fn(&mut Pair<'a>, &'a Value),
) {
    let Some(value) = value else { return };
    let below: Vec<(Step, &Value)> = match form(guide, value) {
        Form::Leaf => return,
        Form::Items(items) => items,
        Form::Object => {
            let fields = value.as_object().into_iter().flatten();
            fields.map(|(name, value)| (Step::Field(name.clone()), value)).collect()
        }
    };
    for (step, value) in below {
        if let Some(entry) = steps.iter_mut().find(|entry| entry.0 == step) {
            set(entry, value);
        } else {
            let mut entry = (step, None, None);
            set(&mut entry, value);
            steps.push(entry);
        }
    }
}

/// The old state with the applied fields set. Items keep the order in which they were applied; what only the old
/// state has stays before what it stood before.
pub(super) fn merge(guide: Guide<'_>, old: &Value, applied: &Value) -> Value {
    match (form(guide, old), form(guide, applied)) {
        (Form::Object, Form::Object) => {
            let mut merged = old.as_object().cloned().unwrap_or_default();
            for (name, value) in applied.as_object().into_iter().flatten() {
                let value = match merged.get(name) {
                    Some(old) => merge(field(guide, name), old, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Form::Items(old), Form::Items(applied)) => {
            let is_shared = |step: &Step| applied.iter().any(|(other, _)| other == step);
            let in_old = |step: &Step| old.iter().find(|(other, _)| other == step);
            let mut merged = Vec::new();
            let (mut left, mut right) = (old.iter().peekable(), applied.iter().peekable());
            loop {
                // The next item that both have decides how far the old state's own items go.
                let next_shared =
                    right.clone().find(|(step, _)| in_old(step).is_some()).map(|(step, _)| step);
                match (left.peek(), right.peek()) {
                    (Some((step, alone)), _) if !is_shared(step) => {
                        merged.push((*alone).clone());
                        left.next();
                    }
                    (Some((step, _)), _) if Some(step) != next_shared => drop(left.next()),
                    (_, Some((step, value))) => {
                        merged.push(match in_old(step) {
                            Some((_, old)) => merge(item(guide), old, value),
                            None => (*value).clone(),
                        });
                        if left.peek().is_some_and(|(other, _)| other == step) {
                            left.next();
                        }
                        right.next();
                    }
                    (Some(_), None) => drop(left.next()),
                    (None, None) => break,
                }
            }
            Value::Array(merged)
        }
        _ => applied.clone(),
    }
}

/// The object without these fields. What becomes empty thereby goes too.
pub(super) fn remove(guide: Guide<'_>, value: &Value, fields: &FieldSet) -> Option<Value> {
    match form(guide, value) {
        Form::Leaf => Some(value.clone()),
        Form::Object => {
            let mut kept = Map::new();
            let all = value.as_object()?;
            for (name, value) in all {
                let step = Step::Field(name.clone());
                if fields.has(&step) {
                    continue;
                }
                let value = match fields.below(&step) {
                    Some(below) => remove(field(guide, name), value, below),
                    None => Some(value.clone()),
                };
                if let Some(value) = value {
                    kept.insert(name.clone(), value);
                }
            }
            (all.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Form::Items(items) => {
            let mut kept = Vec::new();
            for (step, value) in &items {
                if fields.has(step) {
                    continue;
                }
                let value = match fields.below(step) {
                    Some(below) => remove(item(guide), value, below),
                    None => Some((*value).clone()),
                };
                kept.extend(value);
            }
            (items.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
        }
    }
}

/// What makes an object unfit to be applied: unknown fields, wrong types, duplicate items.
pub(super) fn unfit(schema: &Schema, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    judge(schema, value, "", &mut wrong);
    wrong
}

fn judge(schema: &Schema, value: &Value, path: &str, wrong: &mut Vec<String>) {
    if value.is_null() || schema.is_open() && !value.is_object() {
        return;
    }
    let shape = schema.shape();
    if shape.int_or_string || shape.kind.is_none() && !value.is_object() {
        return;
    }
    let expected = |what: &str| format!("{path}: expected {what}, got {}", go_value(value));
    match (shape.kind, value) {
        (Some(Type::Object) | None, Value::Object(fields)) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match shape.properties.get(name).or(match &shape.additional {
                    Additional::Of(schema) => Some(schema),
                    _ => None,
                }) {
                    Some(field) => judge(field, value, &path, wrong),
                    None if schema.is_open() => {}
                    None => wrong.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        (Some(Type::Array), Value::Array(items)) => {
            let mut seen = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let step = match &schema.list {
                    List::Atomic => None,
                    list => Some(step_of(Some(schema), list, item)),
                };
                if let Some(step) = step {
                    if seen.contains(&step) {
                        let mut one = FieldSet::default();
                        one.insert(std::slice::from_ref(&step));
                        let key = one.paths().concat();
                        wrong.push(format!("{path}: duplicate entries for key {key}"));
                    }
                    seen.push(step);
                }
                if let Some(schema) = schema.items.as_deref() {
                    judge(schema, item, &format!("{path}[{index}]"), wrong);
                }
            }
        }
        (Some(Type::Object), _) => wrong.push(expected("map")),
        (Some(Type::Array), _) => wrong.push(expected("list")),
        (Some(Type::String), value)
            if !value.is_string()
            // Quantities may be written as numbers.
            && schema.definition().is_none() =>
        {
            wrong.push(expected("string"));
        }
        (Some(Type::Integer | Type::Number), value) if !value.is_number() => {
            wrong.push(expected("numeric (int or float)"));
        }
        (Some(Type::Boolean), value) if !value.is_boolean() => wrong.push(expected("boolean")),
        _ => {}
    }
}

fn go_value(value: &Value) -> String {
    let inner = match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    format!("&value.valueUnstructured{{Value:{inner}}}")
}
