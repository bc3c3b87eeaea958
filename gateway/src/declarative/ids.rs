//! Ids of entities that are not given one. They follow from what the entity is called, so the same file means
//! the same ids in every gateway, and where they break ties between routes, the same choice.

use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use super::entities::{Identity, Section};
use crate::schema::Type;

/// Kong's namespace of all entities; each section's is a name in it.
const ENTITIES: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// A nested entity's field that refers to its parent, and the parent's id.
type Parent = Option<(&'static str, Uuid)>;

/// The id Kong makes for an entity of a file, if it makes one that isn't random.
pub(super) fn as_kong(section: &Section, given: &Map<String, Value>, parent: Parent) -> Option<Uuid> {
    let name = match section.identity {
        Identity::Key => given.get(section.key?)?.as_str()?.to_owned(),
        Identity::Parts(parts) => joined(section, parts, given, parent)?,
        Identity::Contents => return None,
    };
    Some(id(section, &name))
}

/// Kong's cache key: section, workspace (any), and each part.
fn joined(
    section: &Section,
    parts: &[&'static str],
    given: &Map<String, Value>,
    parent: Parent,
) -> Option<String> {
    let mut words = vec![section.name.to_owned(), "*".to_owned()];
    for part in parts {
        match (parent.filter(|(field, _)| field == part), given.get(*part)) {
            (Some((_, id)), _) => words.push(id.to_string()),
            (None, Some(Value::String(word))) => words.push(word.clone()),
            (None, Some(Value::Object(reference))) => words.push(reference.get("id")?.as_str()?.to_owned()),
            (None, None) if section.record.ty(part).is_some_and(Type::is_required) => return None,
            (None, None) => words.push(String::new()),
            // Kong leaves such a part out altogether.
            (None, Some(_)) => {}
        }
    }
    Some(words.join(":"))
}

/// An id that stays the same as long as the entity does. `times` tells equal entities apart.
pub(super) fn of_contents(
    section: &Section,
    given: &Map<String, Value>,
    parent: Parent,
    times: usize,
) -> Uuid {
    let mut name = format!("contents:{times}:");
    if let Some((_, parent)) = parent {
        name.push_str(&parent.to_string());
    }
    write_sorted(&mut name, &Value::Object(given.clone()));
    id(section, &name)
}

fn id(section: &Section, name: &str) -> Uuid {
    let namespace = Uuid::new_v5(&ENTITIES, section.name.as_bytes());
    Uuid::new_v5(&namespace, name.as_bytes())
}

/// JSON with its names in order, so that rewriting a file doesn't count as a change.
fn write_sorted(out: &mut String, value: &Value) {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in entries {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_sorted(out, value);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(out, item);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
