//! The Common Expression Language, as far as rules of custom resource definitions and match conditions of webhooks
//! use it: the language, its macros, and Kubernetes' libraries for strings, lists, regular expressions, URLs,
//! addresses and quantities.
//!
//! Fields of `self` are checked against the schema when a rule is compiled; other types are checked when it runs.
//! The cost of a rule is bounded while it runs, not estimated before.

mod check;
mod evaluate;
mod functions;
mod lexer;
mod network;
mod parser;
mod quantity;
mod value;

use std::collections::HashMap;

pub(crate) use self::value::Val;
use crate::schema::Schema;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    root: parser::Expression,
}

/// Where and why an expression can't be compiled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompileError {
    /// Byte offset in the source.
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// A type of a variable for the check: shaped by a schema, or unknown.
pub(crate) type Shape<'a> = Option<&'a Schema>;

impl Program {
    pub(crate) fn compile(source: &str) -> Result<Program, CompileError> {
        Ok(Program { root: parser::parse(source)? })
    }

    /// Finds fields that can't be there and names that nobody declared.
    pub(crate) fn check(&self, variables: &[(&str, Shape<'_>)]) -> Result<(), CompileError> {
        check::check(&self.root, variables)
    }

    pub(crate) fn mentions(&self, variable: &str) -> bool {
        self.root.mentions(variable)
    }

    pub(crate) fn evaluate(&self, variables: &HashMap<&str, Val>) -> Result<Val, String> {
        evaluate::evaluate(&self.root, variables)
    }
}

impl CompileError {
    /// With the line and a mark below the place.
    pub(crate) fn shown(&self, source: &str) -> String {
        let before = &source[..self.at.min(source.len())];
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let text = source.lines().nth(line).unwrap_or_default();
        let (line, mark) = (line + 1, ".".repeat(column));
        format!("ERROR: <input>:{line}:{}: {}\n | {text}\n | {mark}^", column + 1, self.message)
    }
}

#[cfg(test)]
mod tests;
