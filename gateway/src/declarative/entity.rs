//! A file's entities, read from wherever they are nested, each checked on its own.

use std::collections::HashMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::entities::{Fields, SECTIONS, Section, plugins, routes};
use super::ids;
use crate::model::Origin;
use crate::schema::{Errors, Fault, Literal, PluginSchemas, Record, any, array, boolean, field, string};

/// One entity of a file.
#[derive(Debug)]
pub(super) struct Entity {
    pub section: &'static Section,
    /// The lists it stands in, from the top: `services[0].routes[2]`.
    pub place: Place,
    /// As written, without what is nested in it.
    pub given: Map<String, Value>,
    /// Checked, with defaults.
    pub fields: Map<String, Value>,
    pub errors: Errors,
    pub parent: Option<Parent>,
    pub id: Uuid,
    /// Whether the id is what Kong would give it too.
    pub id_is_kongs: bool,
    /// The entities its fields refer to.
    pub references: Vec<(&'static str, Uuid)>,
}

/// The entity another one is nested in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    pub index: usize,
    /// The nested entity's field that refers to it.
    pub field: &'static str,
}

/// Section names and positions from the top down.
pub(super) type Place = Vec<(&'static str, usize)>;

/// A file taken apart.
#[derive(Debug)]
pub(super) struct Entities {
    /// Each after the one it is nested in.
    pub all: Vec<Entity>,
    /// What is wrong above the entities.
    pub errors: Errors,
}

static HEAD: Record = Record::new(&[
    field("_format_version", string().required().one_of(FORMATS)),
    field("_transform", boolean().default(Literal::Bool(true))),
    field("_comment", string()),
    field("_ignore", array(&ANYTHING)),
]);
const FORMATS: &[Literal] = &[Literal::Text("1.1"), Literal::Text("2.1"), Literal::Text("3.0")];
static ANYTHING: crate::schema::Type = any();
/// What any entity may carry for people and tools.
static REMARKS: Record = Record::new(&[field("_comment", string()), field("_ignore", array(&ANYTHING))]);

/// Taking Kong's hash for a password would lock its owner out.
const HASHED: &str = "hashes are not supported: give the password itself and leave out '_transform: false'";

impl Entity {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.fields)
    }

    pub(super) fn reference(&self, field: &str) -> Option<Uuid> {
        self.references.iter().find(|(name, _)| *name == field).map(|(_, id)| *id)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::new(place_text(&self.place))
    }

    /// Its position in the list it stands in.
    pub(super) fn position(&self) -> usize {
        self.place.last().map_or(0, |(_, position)| *position)
    }
}

/// `services[0].routes[2]`.
pub(super) fn place_text(place: &Place) -> String {
    place.iter().map(|(name, position)| format!("{name}[{position}]")).collect::<Vec<_>>().join(".")
}

impl Entities {
    pub(super) fn read(file: Map<String, Value>, plugins: &dyn PluginSchemas) -> Entities {
        let (mut sections, head): (Map<_, _>, Map<_, _>) =
            file.into_iter().partition(|(name, _)| Section::named(name, plugins).is_some());
        let (head, errors) = HEAD.conform_as(&[], &[], &head);
        let hashed = head.get("_transform") == Some(&Value::Bool(false));
        let mut reader = Reader { plugins, hashed, all: Vec::new(), repeated: HashMap::new() };
        let mut entities = Entities { all: Vec::new(), errors };
        for section in &SECTIONS {
            let list = sections.get_mut(section.name).map(Value::take);
            let fault = list.and_then(|list| reader.list(section, list, None));
            entities.errors.fields.extend(fault.map(|fault| (section.name.to_owned(), fault)));
        }
        entities.all = reader.all;
        entities
    }
}

struct Reader<'a> {
    plugins: &'a dyn PluginSchemas,
    /// Whether the file says that its passwords are hashes already.
    hashed: bool,
    all: Vec<Entity>,
    /// How often the same contents were met.
    repeated: HashMap<Uuid, usize>,
}

impl Reader<'_> {
    /// Reads a list of entities; what is wrong with the list itself comes back.
    fn list(&mut self, section: &'static Section, list: Value, parent: Option<Parent>) -> Option<Fault> {
        let items = match list {
            Value::Null => return None,
            Value::Array(items) => items,
            Value::Object(entries) if entries.is_empty() => return None,
            _ => return Some("expected an array".into()),
        };
        let mut strangers = std::collections::BTreeMap::new();
        for (position, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(given) => self.entity(section, given, position, parent),
                _ => {
                    strangers.insert(position, Fault::from("expected a record"));
                }
            }
        }
        (!strangers.is_empty()).then_some(Fault::Items(strangers))
    }

    fn entity(
        &mut self,
        section: &'static Section,
        given: Map<String, Value>,
        position: usize,
        parent: Option<Parent>,
    ) {
        let (nested, given): (Map<_, _>, Map<_, _>) = given.into_iter().partition(|(name, _)| {
            Section::named(name, self.plugins).is_some_and(|child| child.nested_by(section).is_some())
        });
        let mut place = parent.map_or_else(Vec::new, |parent| self.all[parent.index].place.clone());
        place.push((section.name, position));
        let (id, id_is_kongs) = self.id(section, &given, parent);
        let (fields, errors) = self.check(section, &given, parent);
        let index = self.all.len();
        let references = parent.map(|parent| (parent.field, self.all[parent.index].id)).into_iter().collect();
        self.all.push(Entity { section, place, given, fields, errors, parent, id, id_is_kongs, references });
        for (name, list) in nested {
            let Some(child) = Section::named(&name, self.plugins) else { continue };
            let Some(field) = child.nested_by(section) else { continue };
            let fault = self.list(child, list, Some(Parent { index, field }));
            self.all[index].errors.fields.extend(fault.map(|fault| (name, fault)));
        }
    }

    fn id(&mut self, section: &Section, given: &Map<String, Value>, parent: Option<Parent>) -> (Uuid, bool) {
        if let Some(id) = given.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok()) {
            return (id, true);
        }
        let parent = parent.map(|parent| (parent.field, self.all[parent.index].id));
        if let Some(id) = ids::as_kong(section, given, parent) {
            return (id, true);
        }
        let id = ids::of_contents(section, given, parent, 0);
        let times = self.repeated.entry(id).or_default();
        *times += 1;
        (if *times == 1 { id } else { ids::of_contents(section, given, parent, *times) }, false)
    }

    fn check(
        &self,
        section: &Section,
        given: &Map<String, Value>,
        parent: Option<Parent>,
    ) -> (Map<String, Value>, Errors) {
        let (remarks, mut own): (Map<_, _>, Map<_, _>) =
            given.clone().into_iter().partition(|(name, _)| name == "_comment" || name == "_ignore");
        let (_, mut errors) = REMARKS.conform_as(&[], &[], &remarks);
        if let Some(parent) = parent {
            let holder = &self.all[parent.index];
            let said = own.insert(parent.field.to_owned(), Value::from(holder.id.to_string()));
            if said.is_some_and(|said| !says_parent(&said, holder)) {
                errors.fields.insert(parent.field.to_owned(), "value must be null".into());
            }
        }
        let (fields, more) = match section.name {
            "plugins" => self.check_plugin(&mut own, parent),
            "routes" => match routes::family(&own) {
                Ok(family) => section.record.conform_as(family.fields, family.checks, &own),
                Err(message) => (own, Errors::of("protocols", message)),
            },
            _ => section.record.conform_as(&[], &[], &own),
        };
        errors.entity.extend(more.entity);
        errors.fields.extend(more.fields);
        if self.hashed && section.name == "basicauth_credentials" {
            errors.fields.entry("password".to_owned()).or_insert_with(|| HASHED.into());
        }
        (fields, errors)
    }

    fn check_plugin(
        &self,
        own: &mut Map<String, Value>,
        parent: Option<Parent>,
    ) -> (Map<String, Value>, Errors) {
        let schema = match plugins::schema(own, self.plugins) {
            Ok(schema) => schema,
            Err(message) => return (own.clone(), Errors::of("name", message)),
        };
        own.entry("protocols").or_insert_with(|| plugins::default_protocols(schema));
        let mut specialised = plugins::specialised(schema);
        // Kong refuses such a plugin a consumer only where one is written beside it.
        specialised.retain(|field| parent.is_none_or(|parent| parent.field != field.name));
        plugins::PLUGIN.conform_as(&specialised, schema.checks, own)
    }
}

/// Whether a nested entity's own reference names the entity it is nested in.
fn says_parent(said: &Value, holder: &Entity) -> bool {
    let said = said.get("id").unwrap_or(said);
    let key = holder.section.key.and_then(|key| holder.given.get(key));
    said.is_null() || Some(said) == key || said.as_str() == Some(holder.id.to_string().as_str())
}
