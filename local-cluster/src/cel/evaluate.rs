//! Running an expression.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::functions;
use super::parser::{Expression, Loop, Node};
use super::value::{Key, Val};

/// Steps after which an expression is stopped.
const BUDGET: u64 = 5_000_000;

pub(super) fn evaluate(root: &Expression, variables: &HashMap<&str, Val>) -> Result<Val, String> {
    let scope = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Machine { scope, steps: 0 }.run(root)
}

struct Machine {
    /// The innermost last.
    scope: Vec<(String, Val)>,
    steps: u64,
}

type Outcome = Result<Val, String>;

impl Machine {
    fn run(&mut self, expression: &Expression) -> Outcome {
        self.steps += 1;
        if self.steps > BUDGET {
            return Err("operation cancelled: actual cost limit exceeded".to_owned());
        }
        match &expression.node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.name(name),
            Node::Select { of, field, optional } => {
                let of = self.run(of)?;
                let key = Key::Text(functions::unescape(field).into());
                look_up(&of, &key.value(), *optional || matches!(of, Val::Optional(_)))
            }
            Node::Index { of, key, optional } => {
                let of = self.run(of)?;
                let key = self.run(key)?;
                look_up(&of, &key, *optional || matches!(of, Val::Optional(_)))
            }
            Node::Has { of, field } => {
                let of = self.run(of)?;
                let key = Key::Text(functions::unescape(field).into());
                let has = |value: &Val| matches!(value, Val::Map(map) if map.contains_key(&key));
                match of {
                    Val::Optional(inner) => Ok(Val::Bool(inner.is_some_and(|inner| has(&inner)))),
                    Val::Map(_) => Ok(Val::Bool(has(&of))),
                    other => Err(format!("invalid type for field selection: {}", other.type_name())),
                }
            }
            Node::Call { name, of, arguments } => {
                let namespace = of.as_ref().and_then(|of| match &of.node {
                    Node::Name(name) if functions::is_namespace(name) && !self.knows(name) => {
                        Some(name.as_str())
                    }
                    _ => None,
                });
                let of = match (of, namespace) {
                    (Some(of), None) => Some(self.run(of)?),
                    _ => None,
                };
                let arguments =
                    arguments.iter().map(|argument| self.run(argument)).collect::<Result<Vec<_>, _>>()?;
                self.steps += arguments.iter().chain(&of).map(size_of).sum::<u64>() / 10;
                match namespace {
                    Some(namespace) => functions::call_in(namespace, name, &arguments),
                    None => functions::call(name, of.as_ref(), &arguments),
                }
            }
            Node::Unary("!", operand) => match self.run(operand)? {
                Val::Bool(value) => Ok(Val::Bool(!value)),
                other => Err(no_overload(&format!("!{}", other.type_name()))),
            },
            Node::Unary(_, operand) => match self.run(operand)? {
                Val::Int(value) => value.checked_neg().map(Val::Int).ok_or_else(overflow),
                Val::Double(value) => Ok(Val::Double(-value)),
                other => Err(no_overload(&format!("-{}", other.type_name()))),
            },
            Node::Binary("&&", left, right) => self.both(left, right, false),
            Node::Binary("||", left, right) => self.both(left, right, true),
            Node::Binary(operator, left, right) => {
                let left = self.run(left)?;
                let right = self.run(right)?;
                functions::operate(operator, &left, &right)
            }
            Node::Condition(condition, yes, no) => match self.run(condition)? {
                Val::Bool(true) => self.run(yes),
                Val::Bool(false) => self.run(no),
                other => Err(no_overload(&format!("{} ? :", other.type_name()))),
            },
            Node::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    match (self.run(item)?, optional) {
                        (Val::Optional(inner), true) => list.extend(inner.map(|inner| (*inner).clone())),
                        (value, _) => list.push(value),
                    }
                }
                Ok(Val::List(list.into()))
            }
            Node::Map(entries) => {
                let mut map = IndexMap::new();
                for (key, value, optional) in entries {
                    let key = self.run(key)?.key().ok_or("unsupported key type")?;
                    match (self.run(value)?, optional) {
                        (Val::Optional(None), true) => {}
                        (Val::Optional(Some(inner)), true) => drop(map.insert(key, (*inner).clone())),
                        (value, _) => drop(map.insert(key, value)),
                    }
                }
                Ok(Val::Map(Arc::new(map)))
            }
            Node::Bind { name, value, body } => {
                let value = self.run(value)?;
                self.with(&[(name, value)], body)
            }
            Node::Loop { name, over, variables, body } => {
                let over = self.run(over)?;
                self.walk(*name, &over, variables, body)
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.scope.iter().any(|(known, _)| known == name)
    }

    fn name(&self, name: &str) -> Outcome {
        let found = self.scope.iter().rev().find(|(known, _)| known == name);
        match found {
            Some((_, value)) => Ok(value.clone()),
            None => {
                functions::type_named(name).map(Val::Type).ok_or_else(|| format!("no such attribute: {name}"))
            }
        }
    }

    fn with(&mut self, bound: &[(&str, Val)], body: &Expression) -> Outcome {
        let depth = self.scope.len();
        self.scope.extend(bound.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let outcome = self.run(body);
        self.scope.truncate(depth);
        outcome
    }

    /// One side alone can decide; then an error on the other side doesn't matter.
    fn both(&mut self, left: &Expression, right: &Expression, deciding: bool) -> Outcome {
        let left = self.run(left);
        if left == Ok(Val::Bool(deciding)) {
            return left;
        }
        let right = self.run(right);
        match (left, right) {
            (_, Ok(Val::Bool(value))) if value == deciding => Ok(Val::Bool(deciding)),
            (Ok(Val::Bool(_)), right @ Ok(Val::Bool(_))) => right,
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(left), Ok(right)) => Err(no_overload(&format!("{} {}", left.type_name(), right.type_name()))),
        }
    }

    fn walk(&mut self, name: Loop, over: &Val, variables: &[String], body: &[Expression]) -> Outcome {
        if let Loop::OptionalMap | Loop::OptionalFlatMap = name {
            let Val::Optional(inner) = over else { return Err(no_overload("optMap")) };
            let (Some(inner), [variable], [body]) = (inner, variables, body) else {
                return Ok(Val::Optional(None));
            };
            let value = self.with(&[(variable, (**inner).clone())], body)?;
            return Ok(if name == Loop::OptionalMap { Val::Optional(Some(Arc::new(value))) } else { value });
        }
        // Of a list index and item, of a map key and value.
        let pairs: Vec<(Val, Val)> = match over {
            Val::List(items) => {
                items.iter().enumerate().map(|(at, item)| (Val::Int(at as i64), item.clone())).collect()
            }
            Val::Map(map) => map.iter().map(|(key, value)| (key.value(), value.clone())).collect(),
            other => return Err(no_overload(&format!("{}.{name:?}", other.type_name()))),
        };
        let is_list = matches!(over, Val::List(_));
        let mut results = Vec::new();
        let mut matched = 0;
        let mut error = None;
        for (key, value) in pairs {
            let item = if is_list { value.clone() } else { key.clone() };
            let bound: Vec<(&str, Val)> = match variables {
                [first, second] => vec![(first, key), (second, value)],
                [only] => vec![(only, item.clone())],
                _ => Vec::new(),
            };
            let [first, rest @ ..] = body else { return Err(no_overload("macro")) };
            let outcome = self.with(&bound, first);
            match (name, rest, outcome) {
                (Loop::All, _, Ok(Val::Bool(false))) => return Ok(Val::Bool(false)),
                (Loop::Exists, _, Ok(Val::Bool(true))) => return Ok(Val::Bool(true)),
                (Loop::ExistsOne, _, Ok(Val::Bool(true))) => matched += 1,
                (Loop::Filter, _, Ok(Val::Bool(true))) => results.push(item),
                (Loop::Map, [], Ok(value)) => results.push(value),
                (Loop::Map, [transform, ..], Ok(Val::Bool(true))) => {
                    results.push(self.with(&bound, transform)?);
                }
                (_, _, Ok(Val::Bool(_))) => {}
                (Loop::All | Loop::Exists, _, Err(why)) => error = Some(why),
                (_, _, Err(why)) => return Err(why),
                (_, _, Ok(other)) => return Err(no_overload(other.type_name())),
            }
        }
        if let Some(error) = error {
            return Err(error);
        }
        Ok(match name {
            Loop::All => Val::Bool(true),
            Loop::Exists => Val::Bool(false),
            Loop::ExistsOne => Val::Bool(matched == 1),
            _ => Val::List(results.into()),
        })
    }
}

fn look_up(of: &Val, key: &Val, optional: bool) -> Outcome {
    let found = match of {
        Val::Optional(None) => return Ok(Val::Optional(None)),
        Val::Optional(Some(inner)) => return look_up(inner, key, true),
        Val::Map(map) => key.key().and_then(|key| map.get(&key)).ok_or_else(|| match key {
            Val::Text(name) => format!("no such key: {name}"),
            other => format!("no such key: {}", functions::shown(other)),
        }),
        Val::List(items) => match key {
            Val::Int(index) => usize::try_from(*index)
                .ok()
                .and_then(|index| items.get(index))
                .ok_or_else(|| format!("index out of bounds: {index}")),
            other => Err(format!("unsupported index type '{}' in list", other.type_name())),
        },
        other => return Err(no_overload(&format!("{}[{}]", other.type_name(), key.type_name()))),
    };
    match (found, optional) {
        (Ok(value), false) => Ok(value.clone()),
        (Ok(value), true) => Ok(Val::Optional(Some(Arc::new(value.clone())))),
        (Err(_), true) => Ok(Val::Optional(None)),
        (Err(error), false) => Err(error),
    }
}

fn size_of(value: &Val) -> u64 {
    match value {
        Val::Text(text) => text.len() as u64,
        Val::List(items) => items.len() as u64,
        _ => 1,
    }
}

pub(super) fn no_overload(what: &str) -> String {
    format!("no such overload: {what}")
}

pub(super) fn overflow() -> String {
    "integer overflow".to_owned()
}
