//! A refusal for people: every fault with its line and what may have been meant.

use std::fmt::Write;

use super::super::document::{Node, Step};
use super::super::entities::{SECTIONS, Section};
use super::super::entity::{Entities, Entity};
use super::super::references::Violation;
use super::Note;
use crate::schema::{Errors, Fault, Kind, PluginSchemas, Record};

/// What notes are made from.
struct Reader<'a> {
    file: &'a Node,
    plugins: &'a dyn PluginSchemas,
    notes: Vec<Note>,
}

/// Everything wrong, in the order of the file.
pub(super) fn of(
    entities: &Entities,
    violations: &[Violation],
    file: &Node,
    plugins: &dyn PluginSchemas,
) -> Vec<Note> {
    let mut reader = Reader { file, plugins, notes: Vec::new() };
    reader.errors(&entities.errors, None, &mut Vec::new());
    for entity in &entities.all {
        reader.errors(&entity.errors, Some(entity), &mut steps(entity));
    }
    for violation in violations {
        reader.violation(violation, &entities.all[violation.entity]);
    }
    reader.notes.sort();
    reader.notes
}

impl Reader<'_> {
    fn violation(&mut self, violation: &Violation, entity: &Entity) {
        let mut path = steps(entity);
        path.extend(violation.field.map(|field| Step::Name(field.to_owned())));
        let word = violation.field.and_then(|field| entity.fields().get(field)?.as_str());
        let hint = word.and_then(|word| nearest(word, violation.candidates.iter().map(String::as_str)));
        self.note(&path, &violation.harmless, hint);
    }

    fn errors(&mut self, errors: &Errors, of: Option<&Entity>, path: &mut Vec<Step>) {
        for message in &errors.entity {
            self.note(path, message, None);
        }
        for (name, fault) in &errors.fields {
            path.push(Step::Name(name.clone()));
            self.fault(fault, of, path);
            path.pop();
        }
    }

    fn fault(&mut self, fault: &Fault, of: Option<&Entity>, path: &mut Vec<Step>) {
        match fault {
            Fault::Text(message) => self.note(path, message, self.hint(message, of, path)),
            Fault::Record(errors) => self.errors(errors, of, path),
            Fault::Items(items) => {
                for (at, fault) in items {
                    path.push(Step::Index(*at));
                    self.fault(fault, of, path);
                    path.pop();
                }
            }
        }
    }

    fn note(&mut self, path: &[Step], message: &str, hint: Option<String>) {
        let position = self.file.nearest(path).position;
        self.notes.push(Note { position, path: path_text(path), message: message.to_owned(), hint });
    }

    fn hint(&self, message: &str, of: Option<&Entity>, path: &[Step]) -> Option<String> {
        let Some(Step::Name(name)) = path.last() else { return None };
        if message.ends_with("add it to the 'plugins' configuration property") {
            return nearest(of?.given.get("name")?.as_str()?, self.plugins.names().into_iter());
        }
        if message != "unknown field" {
            return None;
        }
        let known = match of {
            Some(entity) => self.known_names(entity, &path[entity.place.len() * 2..path.len() - 1]),
            None => SECTIONS.iter().map(|section| section.name).collect(),
        };
        nearest(name, known.into_iter())
    }

    /// The names that could stand in a record of an entity.
    fn known_names(&self, entity: &Entity, path: &[Step]) -> Vec<&'static str> {
        let nests = |section: &&Section| path.is_empty() && section.nested_by(entity.section).is_some();
        let nested = SECTIONS.iter().filter(nests).map(|section| section.name);
        let mut record = entity.section.record;
        for step in path {
            let Step::Name(name) = step else { continue };
            let settings = || Some(self.plugins.schema(entity.given.get("name")?.as_str()?)?.config);
            let inner =
                if name == "config" { settings() } else { record.ty(name).and_then(|ty| inner(ty.kind())) };
            match inner {
                Some(inner) => record = inner,
                None => return Vec::new(),
            }
        }
        nested.chain(record.fields().iter().map(|field| field.name)).collect()
    }
}

/// The record a type holds, itself or in a list.
fn inner(kind: Kind) -> Option<&'static Record> {
    match kind {
        Kind::Record(record) => Some(record),
        Kind::Array(elements) | Kind::Set(elements) => inner(elements.kind()),
        _ => None,
    }
}

fn steps(entity: &Entity) -> Vec<Step> {
    let step =
        |(name, position): &(&'static str, usize)| [Step::Name((*name).to_owned()), Step::Index(*position)];
    entity.place.iter().flat_map(step).collect()
}

fn path_text(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        let _ = match step {
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Name(name) if name.is_empty() => write!(out, "\"\""),
            Step::Name(name) if out.is_empty() => write!(out, "{name}"),
            Step::Name(name) => write!(out, ".{name}"),
        };
    }
    out
}

/// The known word that was probably meant.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<String> {
    let rated = known.map(|other| (strsim::jaro_winkler(word, other), other));
    let (_, other) =
        rated.filter(|(alike, _)| *alike > 0.84).max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!("did you mean '{other}'?"))
}
