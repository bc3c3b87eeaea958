//! A refused file: everything wrong with it, as Kong's admin port answers and as a person reads it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::document::{Node, Position, Step};
use super::entities::{SECTIONS, Section};
use super::entity::{Entities, Entity};
use super::references::{ShownAt, Violation};
use crate::schema::{Errors, Fault, Kind, PluginSchemas, Record};

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
        let body = answer(&error, None);
        Refusal::new(400, Account { plain: body.clone(), flattened: body, notes: vec![note] })
    }

    /// A configuration with faults in it, if it has any.
    pub(super) fn of_entities(
        entities: &Entities,
        violations: &[Violation],
        file: &Node,
        plugins: &dyn PluginSchemas,
    ) -> Option<Refusal> {
        let report = Report::new(entities, violations, file, plugins);
        if report.sound && violations.is_empty() {
            return None;
        }
        let (unattributed, flattened) = report.flattened();
        let plain = answer(&report.tree(), None);
        let flattened = answer(&unattributed, Some(flattened));
        Some(Refusal::new(400, Account { plain, flattened, notes: report.notes() }))
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
        for note in self.notes() {
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
        out
    }
}

fn answer(errors: &Errors, flattened: Option<Vec<Value>>) -> Value {
    let mut body = Map::new();
    body.insert("message".to_owned(), json!(format!("declarative config is invalid: {}", errors.to_lua())));
    if let Some(flattened) = flattened {
        // Kong's encoder writes every empty table as an object.
        let list = if flattened.is_empty() { json!({}) } else { Value::Array(flattened) };
        body.insert("flattened_errors".to_owned(), list);
    }
    body.insert("fields".to_owned(), errors.to_json());
    body.insert("name".to_owned(), json!("invalid declarative configuration"));
    body.insert("code".to_owned(), json!(14));
    Value::Object(body)
}

/// Everything an answer is made from.
struct Report<'a> {
    entities: &'a Entities,
    violations: &'a [Violation],
    file: &'a Node,
    plugins: &'a dyn PluginSchemas,
    /// Whether every entity is right in itself. Only then does Kong look at what holds between them.
    sound: bool,
    /// What each entity breaks, by its position among all.
    broken: Vec<Vec<&'a Violation>>,
    /// What is nested in each, in the order of the sections.
    nested: Vec<Vec<usize>>,
}

impl<'a> Report<'a> {
    fn new(
        entities: &'a Entities,
        violations: &'a [Violation],
        file: &'a Node,
        plugins: &'a dyn PluginSchemas,
    ) -> Report<'a> {
        let all = &entities.all;
        let sound = entities.errors.is_empty() && all.iter().all(|entity| entity.errors.is_empty());
        let mut broken = vec![Vec::new(); all.len()];
        for violation in violations {
            broken[violation.entity].push(violation);
        }
        let mut nested = vec![Vec::new(); all.len()];
        for (index, entity) in all.iter().enumerate() {
            if let Some(parent) = entity.parent {
                nested[parent.index].push(index);
            }
        }
        for nested in &mut nested {
            nested.sort_by_key(|index| section_order(all[*index].section));
        }
        Report { entities, violations, file, plugins, sound, broken, nested }
    }

    fn tree(&self) -> Errors {
        let mut tree = self.entities.errors.clone();
        if self.sound {
            for violation in self.violations {
                self.show(&mut tree, violation);
            }
            return tree;
        }
        for (index, entity) in self.entities.all.iter().enumerate() {
            let errors = self.errors_of(index);
            if !errors.is_empty() {
                place(&mut tree, &entity.place, errors.into());
            }
        }
        tree
    }

    /// Puts a violation where Kong's answer has it.
    fn show(&self, tree: &mut Errors, violation: &Violation) {
        let entity = &self.entities.all[violation.entity];
        let message = || Fault::from(violation.message.as_str());
        match &violation.shown_at {
            ShownAt::Position => place(tree, &[(entity.section.name, entity.position())], message()),
            ShownAt::Entity => place(tree, &entity.place[entity.place.len().saturating_sub(2)..], message()),
            ShownAt::Name(name) => {
                let under = tree.fields.entry(entity.section.name.to_owned());
                let Fault::Record(under) = under.or_insert_with(|| Errors::default().into()) else { return };
                if violation.field.is_none() {
                    under.fields.insert(name.clone(), message());
                    return;
                }
                let list = under.fields.entry(name.clone()).or_insert_with(|| Fault::Items([].into()));
                if let Fault::Items(items) = list {
                    items.insert(items.len(), message());
                }
            }
        }
    }

    /// What is wrong with an entity, in itself and with what it refers to or shares.
    fn errors_of(&self, index: usize) -> Errors {
        let mut errors = self.entities.all[index].errors.clone();
        for violation in &self.broken[index] {
            match violation.field {
                Some(field) => {
                    errors
                        .fields
                        .entry(field.to_owned())
                        .or_insert_with(|| violation.message.as_str().into());
                }
                None => errors.entity.push(violation.message.clone()),
            }
        }
        errors
    }

    /// The faults of entities as a list, and what is left: faults of the file itself.
    fn flattened(&self) -> (Errors, Vec<Value>) {
        let mut rest = self.entities.errors.clone();
        let mut list = Vec::new();
        let top = |entity: &&(usize, &Entity)| entity.1.parent.is_none();
        let entities: Vec<_> = self.entities.all.iter().enumerate().collect();
        let mut entities: Vec<_> = entities.iter().filter(top).collect();
        // Kong takes sections and the entities in them from the end.
        entities.sort_by_key(|(_, entity)| std::cmp::Reverse((entity.section.name, entity.position())));
        for (index, _) in entities {
            self.flatten(*index, &mut rest, &mut list);
        }
        (rest, list)
    }

    /// What is nested in an entity comes before it.
    fn flatten(&self, index: usize, rest: &mut Errors, list: &mut Vec<Value>) {
        for nested in &self.nested[index] {
            self.flatten(*nested, rest, list);
        }
        let entity = &self.entities.all[index];
        let mut errors = self.errors_of(index);
        if self.sound && entity.parent.is_some() {
            // Kong lists a nested entity's taken name under a section the file may not have, and leaves it there.
            for violation in self.broken[index].iter().filter(|v| matches!(v.shown_at, ShownAt::Position)) {
                self.show(rest, violation);
                errors.entity.retain(|message| *message != violation.message);
            }
        }
        if !errors.is_empty() {
            list.push(self.entry(entity, &errors));
        }
    }

    /// One entity with its faults.
    fn entry(&self, entity: &Entity, errors: &Errors) -> Value {
        let given = self.echo(entity);
        let mut faults = Vec::new();
        collect_record(errors, "", &mut faults);
        let text = |name: &str| given.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let tags = given.get("tags").filter(|tags| is_list_of_texts(tags));
        let mut out = Map::new();
        out.insert("errors".to_owned(), Value::Array(faults));
        out.insert("entity_type".to_owned(), json!(entity.section.singular()));
        out.insert("entity".to_owned(), without_empty_lists(&Value::Object(given.clone())));
        out.extend(text("name").map(|name| ("entity_name".to_owned(), json!(name))));
        out.extend(text("id").filter(|id| is_id(id)).map(|id| ("entity_id".to_owned(), json!(id))));
        out.extend(tags.map(|tags| ("entity_tags".to_owned(), tags.clone())));
        Value::Object(out)
    }

    /// The entity as written, with the ids Kong has given by the time it answers.
    fn echo(&self, entity: &Entity) -> Map<String, Value> {
        let id_of = |entity: &Entity| {
            let written = entity.given.get("id").and_then(Value::as_str).filter(|id| is_id(id));
            let made = (self.sound && entity.id_is_kongs).then(|| entity.id.to_string());
            written.map(str::to_owned).or(made)
        };
        let mut given = entity.given.clone();
        given.extend(id_of(entity).map(|id| ("id".to_owned(), Value::from(id))));
        if let Some(parent) = entity.parent
            && let Some(id) = id_of(&self.entities.all[parent.index])
        {
            given.entry(parent.field).or_insert_with(|| json!({"id": id}));
        }
        given
    }

    fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        self.note_errors(&self.entities.errors, None, &mut Vec::new(), &mut notes);
        for (index, entity) in self.entities.all.iter().enumerate() {
            let mut path = steps(entity);
            self.note_errors(&entity.errors, Some(entity), &mut path, &mut notes);
            for violation in &self.broken[index] {
                path.extend(violation.field.map(|field| Step::Name(field.to_owned())));
                let word = violation.field.and_then(|field| entity.fields().get(field)?.as_str());
                let hint =
                    word.and_then(|word| nearest(word, violation.candidates.iter().map(String::as_str)));
                notes.push(self.note(&path, &violation.harmless, hint));
                path.truncate(entity.place.len() * 2);
            }
        }
        notes.sort();
        notes
    }

    fn note_errors(&self, errors: &Errors, of: Option<&Entity>, path: &mut Vec<Step>, notes: &mut Vec<Note>) {
        for message in &errors.entity {
            notes.push(self.note(path, message, None));
        }
        for (name, fault) in &errors.fields {
            path.push(Step::Name(name.clone()));
            self.note_fault(fault, of, path, notes);
            path.pop();
        }
    }

    fn note_fault(&self, fault: &Fault, of: Option<&Entity>, path: &mut Vec<Step>, notes: &mut Vec<Note>) {
        match fault {
            Fault::Text(message) => notes.push(self.note(path, message, self.hint(message, of, path))),
            Fault::Record(errors) => self.note_errors(errors, of, path, notes),
            Fault::Items(items) => {
                for (at, fault) in items {
                    path.push(Step::Index(*at));
                    self.note_fault(fault, of, path, notes);
                    path.pop();
                }
            }
        }
    }

    fn note(&self, path: &[Step], message: &str, hint: Option<String>) -> Note {
        let position = self.file.nearest(path).position;
        Note { position, path: path_text(path), message: message.to_owned(), hint }
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

/// Kong's order of one entity's faults: from the last name to the first.
fn collect_record(errors: &Errors, path: &str, out: &mut Vec<Value>) {
    for (name, fault) in errors.fields.iter().rev() {
        collect(fault, &join(path, name), out);
    }
    out.extend(errors.entity.iter().map(|message| json!({"message": message, "type": "entity"})));
}

fn collect(fault: &Fault, path: &str, out: &mut Vec<Value>) {
    match fault {
        Fault::Text(message) => out.push(json!({"message": message, "field": path, "type": "field"})),
        Fault::Record(errors) => collect_record(errors, path, out),
        Fault::Items(items) => {
            for (at, fault) in items.iter().rev() {
                collect(fault, &join(path, &(at + 1).to_string()), out);
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Puts a fault to an entity's place in the tree; faults already there stay.
fn place(tree: &mut Errors, at: &[(&'static str, usize)], fault: Fault) {
    let Some(((section, position), rest)) = at.split_first() else { return };
    let list = tree.fields.entry((*section).to_owned()).or_insert_with(|| Fault::Items([].into()));
    let Fault::Items(items) = list else { return };
    if rest.is_empty() && !items.contains_key(position) {
        items.insert(*position, fault);
        return;
    }
    let Fault::Record(errors) = items.entry(*position).or_insert_with(|| Errors::default().into()) else {
        return;
    };
    match (rest.is_empty(), fault) {
        (false, fault) => place(errors, rest, fault),
        (true, Fault::Record(more)) => {
            errors.entity.extend(more.entity);
            errors.fields.extend(more.fields);
        }
        (true, _) => {}
    }
}

fn section_order(section: &Section) -> usize {
    SECTIONS.iter().position(|other| other.name == section.name).unwrap_or(SECTIONS.len())
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

fn is_id(text: &str) -> bool {
    text.parse::<uuid::Uuid>().is_ok()
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string))
}

/// Kong's encoder writes every empty table as an object.
fn without_empty_lists(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.is_empty() => json!({}),
        Value::Array(items) => items.iter().map(without_empty_lists).collect(),
        Value::Object(entries) => Value::Object(
            entries.iter().map(|(name, value)| (name.clone(), without_empty_lists(value))).collect(),
        ),
        other => other.clone(),
    }
}
