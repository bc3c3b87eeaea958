//! What holds between entities: references lead somewhere, names and ids are not taken twice.

use std::collections::HashMap;

use serde_json::Value;

use super::entity::Entity;
use crate::schema::Type;

/// A rule between entities that one of them breaks.
#[derive(Debug)]
pub(super) struct Violation {
    /// The entity at fault, by its position among all.
    pub entity: usize,
    /// The field at fault, if it is a reference.
    pub field: Option<&'static str>,
    pub message: String,
    /// The message without secrets in it.
    pub harmless: String,
    pub shown_at: ShownAt,
    /// Names that exist, for a hint.
    pub candidates: Vec<String>,
}

/// Where Kong's answer shows a violation: not always where the entity stands.
#[derive(Debug)]
pub(super) enum ShownAt {
    /// In the section, at the entity's position in its own list.
    Position,
    /// At the entity itself.
    Entity,
    /// In the section, under the entity's name or id.
    Name(String),
}

/// Resolves all references and finds what breaks a rule.
pub(super) fn resolve(all: &mut [Entity]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut names = HashMap::new();
    let mut ids = HashMap::new();
    for (index, entity) in all.iter().enumerate() {
        let key = entity.section.key.and_then(|key| Some((key, entity.fields().get(key)?.as_str()?)));
        let taken = key.is_some_and(|(_, key)| names.contains_key(&(entity.section.name, key.to_owned())));
        if let Some((field, key)) = key {
            if taken {
                violations.push(repeated(index, entity, field, key, ShownAt::Position));
            } else {
                names.insert((entity.section.name, key.to_owned()), index);
            }
        }
        let id = entity.id.to_string();
        if !taken && ids.contains_key(&(entity.section.name, id.clone())) {
            violations.push(repeated(index, entity, "primary key", &id, ShownAt::Entity));
        } else {
            ids.insert((entity.section.name, id), index);
        }
    }
    violations.extend(shared_values(all));
    for index in 0..all.len() {
        let (found, broken) = lookup(all, index, &names, &ids);
        all[index].references.extend(found);
        violations.extend(broken);
    }
    violations
}

/// Further fields no two entities may share.
fn shared_values(all: &[Entity]) -> Vec<Violation> {
    let mut seen = std::collections::HashSet::new();
    let mut violations = Vec::new();
    for (index, entity) in all.iter().enumerate() {
        for field in entity.section.unique {
            let Some(value) = entity.fields().get(field).and_then(Value::as_str) else { continue };
            if !seen.insert((entity.section.name, field, value)) {
                let at = ShownAt::Name(name_or_id(entity));
                violations.push(repeated(index, entity, field, value, at));
            }
        }
    }
    violations
}

fn repeated(index: usize, entity: &Entity, field: &str, value: &str, shown_at: ShownAt) -> Violation {
    let section = entity.section.name;
    let says = |value: &str| {
        format!("uniqueness violation: '{section}' entity with {field} set to '{value}' already declared")
    };
    let secret = entity.section.record.ty(field).is_some_and(Type::is_secret);
    Violation {
        entity: index,
        field: None,
        message: says(value),
        harmless: if secret { says("REDACTED") } else { says(value) },
        shown_at,
        candidates: Vec::new(),
    }
}

type Index = HashMap<(&'static str, String), usize>;

fn lookup(
    all: &[Entity],
    index: usize,
    names: &Index,
    ids: &Index,
) -> (Vec<(&'static str, uuid::Uuid)>, Vec<Violation>) {
    let entity = &all[index];
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for (field, section) in entity.section.references() {
        if entity.parent.is_some_and(|parent| parent.field == field) {
            continue;
        }
        let Some(value) = entity.fields().get(field) else { continue };
        let Some(word) = value.get("id").unwrap_or(value).as_str() else { continue };
        let target = names
            .get(&(section, word.to_owned()))
            .or_else(|| ids.get(&(section, word.to_owned())))
            .or_else(|| ids.get(&(section, word.to_ascii_lowercase())));
        if let Some(target) = target {
            found.push((field, all[*target].id));
            continue;
        }
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let message = format!("invalid reference '{field}: {shown}' (no such entry in '{section}')");
        let candidates = names.keys().filter(|(of, _)| *of == section).map(|(_, name)| name.clone());
        broken.push(Violation {
            entity: index,
            field: Some(field),
            harmless: message.clone(),
            message,
            shown_at: ShownAt::Name(name_or_id(entity)),
            candidates: candidates.collect(),
        });
    }
    (found, broken)
}

/// What Kong's list of broken references calls an entity.
fn name_or_id(entity: &Entity) -> String {
    let key = entity.section.key.and_then(|key| entity.fields().get(key)).and_then(Value::as_str);
    key.map_or_else(|| entity.id.to_string(), str::to_owned)
}
