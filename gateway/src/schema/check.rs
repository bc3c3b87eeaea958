//! One value against one type, one record against its fields: the rules of Kong's schema language.
//!
//! A check always yields the value with defaults filled in, also when faults were found, so that rules over
//! several fields see the same record as in Kong.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::vault::is_reference;
use super::{Check, Custom, Errors, Fault, Field, Kind, Literal, Record, Type, cross, legacy};

const REQUIRED: &str = "required field missing";

/// A record as it applies to one value: some of its fields specialised, with further rules.
pub(super) struct Shape<'a> {
    pub record: &'a Record,
    pub overrides: &'a [Field],
    pub checks: &'a [Check],
}

impl<'a> Shape<'a> {
    pub(super) fn plain(record: &'a Record) -> Shape<'a> {
        Shape { record, overrides: &[], checks: &[] }
    }

    fn specialised(&self, field: &'a Field) -> &'a Type {
        self.overrides.iter().find(|other| other.name == field.name).map_or(&field.ty, |other| &other.ty)
    }

    /// The type at a dotted path.
    pub(super) fn ty(&self, path: &str) -> Option<&'a Type> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let ty = self.specialised(self.record.fields.iter().find(|field| field.name == head)?);
        match (rest, ty.kind) {
            (None, _) => Some(ty),
            (Some(rest), Kind::Record(inner)) => inner.ty(rest),
            _ => None,
        }
    }
}

/// Checks the fields of a record and the rules between them.
pub(super) fn record(shape: &Shape, input: &Map<String, Value>) -> (Map<String, Value>, Errors) {
    let mut errors = Errors::default();
    let input = legacy::translate(shape.record.legacy, input, &mut errors);
    let mut output = Map::new();
    for field in shape.record.fields {
        let ty = shape.specialised(field);
        let fault = match input.get(field.name).map_or_else(|| missing(ty), |given| Some(value(ty, given))) {
            Some((value, fault)) => {
                output.insert(field.name.to_owned(), value);
                fault
            }
            None => Some(REQUIRED.into()),
        };
        if let Some(fault) = fault {
            errors.fields.entry(field.name.to_owned()).or_insert(fault);
        }
    }
    for name in input.keys().filter(|name| !shape.record.fields.iter().any(|field| field.name == **name)) {
        errors.fields.entry(name.clone()).or_insert_with(|| "unknown field".into());
    }
    for check in shape.record.checks.iter().chain(shape.checks) {
        cross::run(check, shape, &output, &mut errors);
    }
    (output, errors)
}

/// What stands for a field that was left out; nothing if it must be given.
fn missing(ty: &Type) -> Option<(Value, Option<Fault>)> {
    match (ty.default, ty.kind) {
        (Some(default), _) => Some(value(ty, &default.to_value())),
        (None, Kind::Record(_)) if ty.required => Some(value(ty, &Value::Object(Map::new()))),
        (None, _) if ty.required => None,
        (None, _) => Some((Value::Null, None)),
    }
}

/// Checks one value. Kong's order: null, kind, contents, then the rules.
pub(super) fn value(ty: &Type, input: &Value) -> (Value, Option<Fault>) {
    if input.is_null() {
        return null(ty);
    }
    if ty.null_only {
        return (input.clone(), Some(Fault::Text(ty.error.unwrap_or("value must be null").to_owned())));
    }
    let (output, fault) = kind(ty, input);
    let reference = ty.referenceable && output.as_str().is_some_and(is_reference);
    let fault = if reference { None } else { fault.or_else(|| rules(ty, &output)) };
    (output, fault)
}

fn null(ty: &Type) -> (Value, Option<Fault>) {
    let says = |text: String| Some(Fault::Text(ty.error.map_or(text, str::to_owned)));
    match (ty.not_equal, ty.equals, ty.default) {
        (Some(Literal::Null), _, _) => (Value::Null, says("value must not be null".to_owned())),
        (_, Some(wanted), _) => (Value::Null, Some(format!("value must be {wanted}").into())),
        _ if ty.required => (Value::Null, Some(REQUIRED.into())),
        (_, _, Some(default)) => value(ty, &default.to_value()),
        _ => (Value::Null, None),
    }
}

/// Whether the value is of the right kind, and what is in it.
fn kind(ty: &Type, input: &Value) -> (Value, Option<Fault>) {
    let expect = |right: bool, words: &str| (input.clone(), (!right).then(|| Fault::Text(words.to_owned())));
    match ty.kind {
        Kind::Any => (input.clone(), None),
        Kind::String => expect(input.is_string(), "expected a string"),
        Kind::Number => expect(input.is_number(), "expected a number"),
        Kind::Boolean => expect(input.is_boolean(), "expected a boolean"),
        Kind::Integer => {
            let whole = input.as_f64().is_some_and(|number| number.fract() == 0.0);
            expect(whole, "expected an integer")
        }
        Kind::Array(elements) => match as_list(input) {
            Some(items) => list(elements, &items),
            None => expect(false, "expected an array"),
        },
        Kind::Set(elements) => match as_list(input) {
            Some(items) => list(elements, &without_repeats(&items)),
            None => expect(false, "expected a set"),
        },
        Kind::Map { keys, values } => match as_map(input) {
            Some(entries) => map(keys, values, &entries),
            None => expect(false, "expected a map"),
        },
        Kind::Record(of) => match as_map(input) {
            Some(entries) => nested(of, &entries),
            None => expect(false, "expected a record"),
        },
        Kind::Foreign(_) => match input {
            Value::String(_) => (input.clone(), None),
            Value::Object(object) => match object.get("id") {
                Some(Value::String(_)) => (input.clone(), None),
                _ => (input.clone(), Some(Errors::of("id", "missing primary key").into())),
            },
            _ => expect(false, "expected a string"),
        },
    }
}

fn nested(of: &Record, entries: &Map<String, Value>) -> (Value, Option<Fault>) {
    let (output, errors) = record(&Shape::plain(of), entries);
    let fault = if errors.is_empty() {
        of.check.and_then(|check| check(&output).err()).map(Fault::Text)
    } else {
        Some(errors.into())
    };
    (Value::Object(output), fault)
}

fn list(elements: &Type, items: &[Value]) -> (Value, Option<Fault>) {
    let elements = elements.required();
    let mut faults = BTreeMap::new();
    let mut output = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let (item, fault) = value(&elements, item);
        output.push(item);
        faults.extend(fault.map(|fault| (at, fault)));
    }
    (Value::Array(output), (!faults.is_empty()).then_some(Fault::Items(faults)))
}

/// The first fault of a key or a value stands for the whole map.
fn map(keys: &Type, values: &Type, entries: &Map<String, Value>) -> (Value, Option<Fault>) {
    let (keys, values) = (keys.required(), values.required());
    let mut first = None;
    let mut output = Map::new();
    for (key, entry) in entries {
        let (_, key_fault) = value(&keys, &Value::from(key.as_str()));
        let (entry, fault) = value(&values, entry);
        output.insert(key.clone(), entry);
        first = first.or(key_fault).or(fault);
    }
    (Value::Object(output), first)
}

/// The first rule a value of the right kind breaks.
fn rules(ty: &Type, input: &Value) -> Option<Fault> {
    let broken = plain_rules(ty, input).or_else(|| match input {
        Value::Number(number) => number_rules(ty, number.as_f64()?),
        Value::String(text) => text_rules(ty, text),
        Value::Array(items) => length_rules(ty, items.len(), 0),
        Value::Object(entries) => length_rules(ty, entries.len(), 0),
        _ => None,
    });
    let broken = broken.or_else(|| last_rules(ty, input))?;
    Some(Fault::Text(ty.error.map_or(broken, str::to_owned)))
}

fn plain_rules(ty: &Type, input: &Value) -> Option<String> {
    if let Some(wanted) = ty.equals.filter(|wanted| !wanted.is(input)) {
        return Some(format!("value must be {wanted}"));
    }
    if let Some(refused) = ty.not_equal.filter(|refused| refused.is(input)) {
        return Some(format!("value must not be {refused}"));
    }
    if input.as_str().is_some_and(|text| ty.not_one_of.contains(&text)) {
        return Some(format!("must not be one of: {}", ty.not_one_of.join(", ")));
    }
    if !ty.one_of.is_empty() && !ty.one_of.iter().any(|allowed| allowed.is(input)) {
        let allowed: Vec<String> = ty.one_of.iter().map(Literal::to_string).collect();
        return Some(format!("expected one of: {}", allowed.join(", ")));
    }
    None
}

fn number_rules(ty: &Type, number: f64) -> Option<String> {
    if let Some(limit) = ty.greater_than.filter(|limit| number <= *limit) {
        return Some(format!("value must be greater than {limit}"));
    }
    if ty.timestamp && number <= 0.0 {
        return Some("expected a valid timestamp".to_owned());
    }
    let (from, to) = ty.between?;
    // Kong prints the ends as whole numbers.
    (number < from || number > to)
        .then(|| format!("value should be between {} and {}", from as i64, to as i64))
}

fn text_rules(ty: &Type, text: &str) -> Option<String> {
    if ty.uuid && !is_uuid(text) {
        return Some("expected a valid UUID".to_owned());
    }
    if ty.regex && regex::Regex::new(text).is_err() {
        return Some(format!("not a valid regex: {text}"));
    }
    if let Some(broken) = length_rules(ty, text.len(), 1) {
        return Some(broken);
    }
    if let Some(prefix) = ty.starts_with.filter(|prefix| !text.starts_with(*prefix)) {
        return Some(format!("should start with: {prefix}"));
    }
    let said =
        |error: &str| if error.is_empty() { format!("invalid value: {text}") } else { error.to_owned() };
    if let Some(pattern) = ty.forbids.iter().find(|pattern| (pattern.test)(text)) {
        return Some(said(pattern.error));
    }
    ty.matches.iter().find(|pattern| !(pattern.test)(text)).map(|pattern| said(pattern.error))
}

fn length_rules(ty: &Type, len: usize, usual_min: usize) -> Option<String> {
    if let Some(wanted) = ty.len_eq.filter(|wanted| len != *wanted) {
        return Some(format!("length must be {wanted}"));
    }
    let min = ty.len_min.unwrap_or(usual_min);
    if len < min {
        return Some(format!("length must be at least {min}"));
    }
    let max = ty.len_max?;
    (len > max).then(|| format!("length must be at most {max}"))
}

fn last_rules(ty: &Type, input: &Value) -> Option<String> {
    let items = input.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(wanted) = ty.contains.filter(|wanted| !items.iter().any(|item| wanted.is(item))) {
        return Some(format!("expected to contain: {wanted}"));
    }
    let custom = match (ty.custom, input) {
        (Some(Custom::Text(check)), Value::String(text)) => check(text).err(),
        (Some(Custom::Value(check)), _) => check(input).err(),
        _ => None,
    };
    custom.or_else(|| mixed_groups(ty.exclusive, items))
}

fn mixed_groups(groups: &[&[&str]], items: &[Value]) -> Option<String> {
    let mut met: Vec<&[&str]> = Vec::new();
    for item in items.iter().filter_map(Value::as_str) {
        if let Some(group) = groups.iter().find(|group| group.contains(&item))
            && !met.contains(group)
        {
            met.push(group);
        }
    }
    let list = met.iter().map(|group| format!("({})", quoted(group))).collect::<Vec<_>>().join(", ");
    (met.len() > 1).then(|| format!("these sets are mutually exclusive: {list}"))
}

/// `'a', 'b'`.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

/// Kong's tables don't tell an empty list from an empty map.
fn as_list(input: &Value) -> Option<Cow<'_, [Value]>> {
    match input {
        Value::Array(items) => Some(Cow::Borrowed(items)),
        Value::Object(entries) if entries.is_empty() => Some(Cow::Borrowed(&[])),
        _ => None,
    }
}

/// The other way round.
pub(super) fn as_map(input: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match input {
        Value::Object(entries) => Some(Cow::Borrowed(entries)),
        Value::Array(items) if items.is_empty() => Some(Cow::Owned(Map::new())),
        _ => None,
    }
}

fn without_repeats(items: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    let first = |item: &&Value| item.as_str().is_none_or(|text| seen.insert(text.to_owned()));
    items.iter().filter(first).cloned().collect()
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}
