//! Rules over several fields of a record.

use serde_json::{Map, Value};

use super::check::{self, Shape, quoted};
use super::vault::is_reference;
use super::{Check, Errors, Fault, Type};

/// Runs one check on a record that has its defaults. What it finds goes under `@entity`; a broken condition
/// is also noted at the field that breaks it.
pub(super) fn run(check: &Check, shape: &Shape, record: &Map<String, Value>, errors: &mut Errors) {
    let fields = Fields { shape, record };
    if named_in(check).any(|name| fields.is_reference(name)) {
        return;
    }
    let broken = match *check {
        Check::AtLeastOneOf(names) => fields.count(names) == 0,
        Check::OnlyOneOf(names) => fields.any_present(names) && fields.count(names) != 1,
        Check::MutuallyExclusive(names) => fields.count(names) > 1,
        Check::MutuallyRequired(names) => {
            !matches!(fields.count(names), 0) && fields.count(names) != names.len()
        }
        Check::MutuallyExclusiveSets(one, other) => fields.count(one) > 0 && fields.count(other) > 0,
        Check::Distinct(names) => fields.repeated(names),
        Check::If { field, is, then, must, .. } => match fields.broken_condition(field, is, then, must) {
            Some(fault) => {
                errors.set(then, fault);
                true
            }
            None => false,
        },
        Check::Custom { fields: names, check } => {
            if !names.iter().any(|name| errors.fields.contains_key(*name)) {
                errors.entity.extend(check(record).err());
            }
            return;
        }
    };
    if broken {
        errors.entity.push(fields.message(check));
    }
}

/// A record and what is known about its fields.
struct Fields<'a> {
    shape: &'a Shape<'a>,
    record: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.record.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    /// Present and neither null nor empty.
    fn is_set(&self, path: &str) -> bool {
        match self.get(path) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(entries)) => !entries.is_empty(),
            Some(_) => true,
        }
    }

    fn is_reference(&self, path: &str) -> bool {
        let may_be = self.shape.ty(path).is_some_and(|ty| ty.referenceable);
        may_be && self.get(path).and_then(Value::as_str).is_some_and(is_reference)
    }

    fn count(&self, names: &[&str]) -> usize {
        names.iter().filter(|name| self.is_set(name)).count()
    }

    fn any_present(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name).is_some())
    }

    fn repeated(&self, names: &[&str]) -> bool {
        let values: Vec<_> =
            names.iter().filter(|name| self.is_set(name)).map(|name| self.get(name)).collect();
        values.iter().enumerate().any(|(at, value)| values[..at].contains(value))
    }

    /// What is wrong with the dependent field, if the condition holds.
    fn broken_condition(&self, field: &str, is: &Type, then: &str, must: &Type) -> Option<Fault> {
        let given = self.get(field)?;
        if check::value(&is.over(self.shape.ty(field)?), given).1.is_some() {
            return None;
        }
        let dependent = self.get(then).unwrap_or(&Value::Null);
        check::value(&must.over(self.shape.ty(then)?), dependent).1
    }

    fn message(&self, check: &Check) -> String {
        match check {
            Check::AtLeastOneOf(names) => {
                format!("at least one of these fields must be non-empty: {}", quoted(names))
            }
            Check::OnlyOneOf(names) => {
                format!("exactly one of these fields must be non-empty: {}", quoted(names))
            }
            Check::MutuallyExclusive(names) => {
                format!("only one or none of these fields must be set: {}", quoted(names))
            }
            Check::MutuallyRequired(names) => {
                format!("all or none of these fields must be set: {}", quoted(names))
            }
            Check::Distinct(names) => format!("values of these fields must be distinct: {}", quoted(names)),
            Check::MutuallyExclusiveSets(one, other) => {
                let set = |names: &[&'static str]| {
                    let set: Vec<_> = names.iter().copied().filter(|name| self.is_set(name)).collect();
                    quoted(&set)
                };
                format!("these sets are mutually exclusive: ({}), ({})", set(one), set(other))
            }
            Check::If { error: Some(error), .. } => (*error).to_owned(),
            Check::If { field, .. } => {
                format!("failed conditional validation given value of field '{field}'")
            }
            Check::Custom { .. } => String::new(),
        }
    }
}

/// The paths a check looks at.
fn named_in(check: &Check) -> impl Iterator<Item = &str> {
    let (names, more): (&[&str], &[&str]) = match check {
        Check::AtLeastOneOf(names)
        | Check::OnlyOneOf(names)
        | Check::MutuallyExclusive(names)
        | Check::MutuallyRequired(names)
        | Check::Distinct(names)
        | Check::Custom { fields: names, .. } => (names, &[]),
        Check::MutuallyExclusiveSets(one, other) => (one, other),
        Check::If { field, then, .. } => (std::slice::from_ref(field), std::slice::from_ref(then)),
    };
    names.iter().chain(more).copied()
}
