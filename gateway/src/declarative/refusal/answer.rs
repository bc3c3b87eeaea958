//! A refusal for programs: Kong's answers, as a tree and as a list by entity.

use serde_json::{Map, Value, json};

use super::super::entities::{SECTIONS, Section};
use super::super::entity::{Entities, Entity};
use super::super::references::{ShownAt, Violation};
use crate::schema::{Errors, Fault};

/// What answers are made from.
pub(super) struct Faults<'a> {
    entities: &'a Entities,
    violations: &'a [Violation],
    /// Whether every entity is right in itself. Only then does Kong look at what holds between them.
    sound: bool,
    /// What each entity breaks, by its position among all.
    broken: Vec<Vec<&'a Violation>>,
    /// What is nested in each, in the order of the sections.
    nested: Vec<Vec<usize>>,
}

impl<'a> Faults<'a> {
    pub(super) fn of(entities: &'a Entities, violations: &'a [Violation]) -> Faults<'a> {
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
        Faults { entities, violations, sound, broken, nested }
    }

    pub(super) fn none(&self) -> bool {
        self.sound && self.violations.is_empty()
    }

    /// The faults where they are.
    pub(super) fn plain_answer(&self) -> Value {
        answer(&self.tree(), None)
    }

    /// The faults by entity.
    pub(super) fn flattened_answer(&self) -> Value {
        let (rest, list) = self.flattened();
        answer(&rest, Some(list))
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
            ShownAt::Name(name) => by_name(tree, entity.section.name, |errors| {
                if violation.field.is_none() {
                    errors.fields.insert(name.clone(), message());
                    return;
                }
                let list = errors.fields.entry(name.clone()).or_insert_with(|| Fault::Items([].into()));
                if let Fault::Items(items) = list {
                    items.insert(items.len(), message());
                }
            }),
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
}

/// Kong's answer; with `flattened` also the faults that are told apart by entity.
pub(super) fn answer(errors: &Errors, flattened: Option<Vec<Value>>) -> Value {
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

/// Changes the faults of a section by name. What stands there by position gets its position, from 1, for a
/// name, as in Kong's tables.
fn by_name(tree: &mut Errors, section: &str, change: impl FnOnce(&mut Errors)) {
    let mut errors = match tree.fields.remove(section) {
        None => Errors::default(),
        Some(Fault::Record(errors)) => errors,
        Some(Fault::Text(message)) => Errors { entity: vec![message], ..Errors::default() },
        Some(Fault::Items(items)) => {
            let fields = items.into_iter().map(|(at, fault)| ((at + 1).to_string(), fault)).collect();
            Errors { entity: Vec::new(), fields }
        }
    };
    change(&mut errors);
    tree.fields.insert(section.to_owned(), errors.into());
}

/// Puts a fault to an entity's place in the tree; faults already there stay.
fn place(tree: &mut Errors, at: &[(&'static str, usize)], fault: Fault) {
    let Some(((section, position), rest)) = at.split_first() else { return };
    let nothing = || Fault::from(Errors::default());
    match tree.fields.entry((*section).to_owned()).or_insert_with(|| Fault::Items([].into())) {
        Fault::Items(items) => put(items.entry(*position).or_insert_with(nothing), rest, fault),
        _ => by_name(tree, section, |errors| {
            put(errors.fields.entry((position + 1).to_string()).or_insert_with(nothing), rest, fault);
        }),
    }
}

/// Puts a fault to where one entity's are, or further down.
fn put(at: &mut Fault, rest: &[(&'static str, usize)], fault: Fault) {
    let Fault::Record(errors) = at else { return };
    match fault {
        fault if !rest.is_empty() => place(errors, rest, fault),
        Fault::Record(more) => {
            errors.entity.extend(more.entity);
            errors.fields.extend(more.fields);
        }
        fault if errors.is_empty() => *at = fault,
        _ => {}
    }
}

fn section_order(section: &Section) -> usize {
    SECTIONS.iter().position(|other| other.name == section.name).unwrap_or(SECTIONS.len())
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
