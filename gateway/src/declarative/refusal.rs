//! A refused file: everything wrong with it, as Kong's admin port answers and as a person reads it.

mod answer;
mod notes;

use std::fmt::Write;

use serde_json::{Value, json};

use answer::Faults;

use super::document::{Node, Position};
use super::entity::Entities;
use super::references::Violation;
use crate::schema::{Errors, PluginSchemas};

/// More faults than this nobody reads in one go.
const SHOWN: usize = 100;

/// Why a configuration was not taken. Nothing of it is in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status of the answer.
    pub status: u16,
    account: Box<Account>,
}

/// The same faults in each of their forms.
#[derive(Debug, Clone, PartialEq)]
struct Account {
    plain: Value,
    flattened: Value,
    notes: Vec<Note>,
}

/// One thing wrong, for a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub position: Option<Position>,
    /// `services[0].routes[1].paths[0]`; empty for the file as a whole.
    pub path: String,
    /// Kong's words, without secrets.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl Refusal {
    /// A request that holds no configuration at all.
    pub(super) fn of_request(status: u16, message: &str) -> Refusal {
        let body = json!({"message": message});
        let note = Note { position: None, path: String::new(), message: message.to_owned(), hint: None };
        Refusal::new(status, Account { plain: body.clone(), flattened: body, notes: vec![note] })
    }

    /// A text that is neither JSON nor YAML, or holds no map.
    pub(super) fn of_text(position: Option<Position>, message: &str) -> Refusal {
        let place = position.map_or_else(String::new, |at| format!("{}:{}: ", at.line, at.column));
        let error =
            Errors::of("error", format!("failed parsing declarative configuration: {place}{message}"));
        let note = Note { position, path: String::new(), message: message.to_owned(), hint: None };
        let body = answer::answer(&error, None);
        Refusal::new(400, Account { plain: body.clone(), flattened: body, notes: vec![note] })
    }

    /// A configuration with faults in it, if it has any.
    pub(super) fn of_entities(
        entities: &Entities,
        violations: &[Violation],
        file: &Node,
        plugins: &dyn PluginSchemas,
    ) -> Option<Refusal> {
        let faults = Faults::of(entities, violations);
        if faults.none() {
            return None;
        }
        let notes = notes::of(entities, violations, file, plugins);
        let (plain, flattened) = (faults.plain_answer(), faults.flattened_answer());
        Some(Refusal::new(400, Account { plain, flattened, notes }))
    }

    fn new(status: u16, account: Account) -> Refusal {
        Refusal { status, account: Box::new(account) }
    }

    /// The answer's body: Kong's tree of faults, or with `flatten` (`?flatten_errors=1`) a list by entity.
    pub fn body(&self, flatten: bool) -> &Value {
        if flatten { &self.account.flattened } else { &self.account.plain }
    }

    /// What is wrong, in the order of the file.
    pub fn notes(&self) -> &[Note] {
        &self.account.notes
    }

    /// One fault per line, as compilers print them.
    pub fn text(&self, file: &str) -> String {
        let mut out = String::new();
        for note in self.notes().iter().take(SHOWN) {
            let _ = match note.position {
                Some(Position { line, column }) => write!(out, "{file}:{line}:{column}: "),
                None => write!(out, "{file}: "),
            };
            if !note.path.is_empty() {
                let _ = write!(out, "{}: ", note.path);
            }
            let _ = writeln!(out, "{}", note.message);
            if let Some(hint) = &note.hint {
                let _ = writeln!(out, "  hint: {hint}");
            }
        }
        if let Some(more) = self.notes().len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(out, "{file}: and {more} more");
        }
        out
    }
}
