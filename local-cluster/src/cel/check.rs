//! What can be said of an expression before it runs: fields that the schema doesn't have, and names that nobody
//! declared.

use super::parser::{Expression, Loop, Node};
use super::{CompileError, Shape, functions};
use crate::schema::{Additional, Schema, Type};

type Scope<'a> = Vec<(String, Shape<'a>)>;

pub(super) fn check(expression: &Expression, variables: &[(&str, Shape<'_>)]) -> Result<(), CompileError> {
    let mut scope = variables.iter().map(|(name, shape)| ((*name).to_owned(), *shape)).collect();
    infer(expression, &mut scope).map(drop)
}

/// The shape of the value, where it is known.
fn infer<'a>(expression: &Expression, scope: &mut Scope<'a>) -> Result<Shape<'a>, CompileError> {
    let at = expression.at;
    match &expression.node {
        Node::Literal(_) => Ok(None),
        Node::Name(name) => match scope.iter().rev().find(|(known, _)| known == name) {
            Some((_, shape)) => Ok(*shape),
            None if functions::is_type(name) => Ok(None),
            None => Err(CompileError {
                at,
                message: format!("undeclared reference to '{name}' (in container '')"),
            }),
        },
        Node::Select { of, field, .. } | Node::Has { of, field } => {
            let shape = infer(of, scope)?;
            select(shape, field, at)
        }
        Node::Index { of, key, .. } => {
            let shape = infer(of, scope)?;
            infer(key, scope)?;
            Ok(shape.and_then(element))
        }
        Node::Call { name, of, arguments } => {
            if let Some(of) = of {
                // `optional.of(x)`, `ip.isCanonical(x)`: a name of a library, not a variable.
                if !matches!(&of.node, Node::Name(name) if functions::is_namespace(name)) {
                    infer(of, scope)?;
                }
            }
            if !functions::is_known(name, of.is_some()) {
                return Err(CompileError {
                    at,
                    message: format!("undeclared reference to '{name}' (in container '')"),
                });
            }
            for argument in arguments {
                infer(argument, scope)?;
            }
            // What is found in a list or map by these has the shape of its elements.
            Ok(None)
        }
        Node::Unary(_, operand) => infer(operand, scope).map(|_| None),
        Node::Binary(_, left, right) => {
            infer(left, scope)?;
            infer(right, scope).map(|_| None)
        }
        Node::Condition(condition, yes, no) => {
            infer(condition, scope)?;
            let shape = infer(yes, scope)?;
            infer(no, scope)?;
            Ok(shape)
        }
        Node::List(items) => {
            for (item, _) in items {
                infer(item, scope)?;
            }
            Ok(None)
        }
        Node::Map(entries) => {
            for (key, value, _) in entries {
                infer(key, scope)?;
                infer(value, scope)?;
            }
            Ok(None)
        }
        Node::Bind { name, value, body } => {
            let shape = infer(value, scope)?;
            scope.push((name.clone(), shape));
            let result = infer(body, scope);
            scope.pop();
            result
        }
        Node::Loop { name, over, variables, body } => {
            let shape = infer(over, scope)?;
            let is_list = shape.is_some_and(|schema| schema.kind == Some(Type::Array));
            let inner = match name {
                Loop::OptionalMap | Loop::OptionalFlatMap => None,
                // Of a map the keys are bound, which are texts.
                _ if is_list => shape.and_then(element),
                _ => None,
            };
            let depth = scope.len();
            match variables.as_slice() {
                [key, value] => {
                    scope.push((key.clone(), None));
                    scope.push((value.clone(), shape.and_then(element)));
                }
                names => scope.extend(names.iter().map(|name| (name.clone(), inner))),
            }
            for expression in body {
                infer(expression, scope)?;
            }
            scope.truncate(depth);
            Ok(if *name == Loop::Filter { shape } else { None })
        }
    }
}

fn select<'a>(shape: Shape<'a>, field: &str, at: usize) -> Result<Shape<'a>, CompileError> {
    let Some(schema) = shape else { return Ok(None) };
    let name = functions::unescape(field);
    if let Some(found) = schema.properties.get(&name) {
        return Ok(Some(found));
    }
    match &schema.additional {
        Additional::Of(value) => return Ok(Some(value)),
        Additional::Any => return Ok(None),
        Additional::Unsaid => {}
    }
    let open = schema.preserve_unknown && schema.properties.is_empty();
    let embedded = schema.embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
    if schema.kind != Some(Type::Object) || open || embedded {
        return Ok(None);
    }
    Err(CompileError { at, message: format!("undefined field '{field}'") })
}

fn element(schema: &Schema) -> Shape<'_> {
    match (&schema.items, &schema.additional) {
        (Some(item), _) => Some(item),
        (None, Additional::Of(value)) => Some(value),
        _ => None,
    }
}
