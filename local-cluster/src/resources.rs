//! The kinds that are served: those of Kubernetes, from one table, and those that `CustomResourceDefinitions` add
//! while we run.

pub(crate) mod built_in;
mod custom;
pub(crate) mod names;
mod rules;

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::RwLock;

pub(crate) use self::built_in::BuiltIn;
pub(crate) use self::custom::{CREATED, Custom, ScalePaths, kinds as custom_kinds};
pub(crate) use self::names::NameRule;
use crate::objects::Resource;
use crate::schema::Schema;

/// A kind in one of its versions.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the words of discovery")]
pub(crate) struct Kind {
    pub(crate) resource: Resource,
    pub(crate) version: Arc<str>,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) schema: Schema,
    pub(crate) origin: Origin,
}

#[derive(Debug)]
pub(crate) enum Origin {
    BuiltIn(&'static BuiltIn),
    Custom(Box<Custom>),
}

impl Kind {
    pub(crate) fn group(&self) -> &str {
        &self.resource.group
    }

    /// `v1`, `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group() {
            "" => self.version.to_string(),
            group => format!("{group}/{}", self.version),
        }
    }

    pub(crate) fn custom(&self) -> Option<&Custom> {
        match &self.origin {
            Origin::Custom(custom) => Some(custom),
            Origin::BuiltIn(_) => None,
        }
    }

    pub(crate) fn built_in(&self) -> Option<&'static BuiltIn> {
        match self.origin {
            Origin::BuiltIn(row) => Some(row),
            Origin::Custom(_) => None,
        }
    }

    /// `status`, `scale`, `log`…
    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        self.subresources().contains(&name)
    }

    pub(crate) fn subresources(&self) -> Vec<&'static str> {
        match &self.origin {
            Origin::BuiltIn(row) => row.subresources.to_vec(),
            Origin::Custom(custom) => {
                let status = custom.status.then_some("status");
                status.into_iter().chain(custom.scale.as_ref().map(|_| "scale")).collect()
            }
        }
    }

    /// Whether there can be objects of it; the other kinds are questions, and views of another kind's objects.
    pub(crate) fn is_stored(&self) -> bool {
        self.built_in().is_none_or(|row| !row.question && row.group != "events.k8s.io")
    }

    /// Whether the server counts the changes of what is asked for in `metadata.generation`.
    pub(crate) fn has_generation(&self) -> bool {
        self.built_in().is_none_or(|row| row.generation)
    }
}

type GroupVersion = (Arc<str>, Arc<str>);

/// What is served now. A request works on one table to its end.
#[derive(Debug)]
pub(crate) struct Table {
    /// By group and version, in the order in which discovery tells them.
    kinds: IndexMap<GroupVersion, Vec<Arc<Kind>>>,
}

impl Table {
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.of(group, version).iter().find(|kind| &*kind.resource.plural == plural)
    }

    pub(crate) fn of(&self, group: &str, version: &str) -> &[Arc<Kind>] {
        self.kinds.get(&(group.into(), version.into())).map_or(&[], Vec::as_slice)
    }

    /// The kind in the version in which it is stored.
    pub(crate) fn stored(&self, resource: &Resource) -> Option<&Arc<Kind>> {
        self.iter().find(|kind| {
            let stored = kind.custom().is_none_or(|custom| custom.storage_version == *kind.version);
            stored && kind.resource == *resource
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values().flatten()
    }

    /// Groups with their versions, the preferred one first.
    pub(crate) fn groups(&self) -> IndexMap<&str, Vec<&str>> {
        let mut groups: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (group, version) in self.kinds.keys() {
            groups.entry(group).or_default().push(version);
        }
        for versions in groups.values_mut() {
            versions.sort_by_key(|version| names::preference(version));
        }
        groups
    }
}

/// The table, replaced whole when a definition comes or goes.
#[derive(Debug)]
pub(crate) struct Kinds {
    table: RwLock<Arc<Table>>,
    built_in: Vec<Arc<Kind>>,
}

impl Default for Kinds {
    fn default() -> Kinds {
        let built_in: Vec<_> = built_in::TABLE.iter().map(|row| Arc::new(row.kind())).collect();
        let table = RwLock::new(Arc::new(table(&built_in)));
        Kinds { table, built_in }
    }
}

impl Kinds {
    pub(crate) fn now(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    /// Serves these custom kinds instead of those so far.
    pub(crate) fn replace_custom(&self, custom: Vec<Arc<Kind>>) {
        let all: Vec<_> = self.built_in.iter().cloned().chain(custom).collect();
        *self.table.write() = Arc::new(table(&all));
    }
}

fn table(all: &[Arc<Kind>]) -> Table {
    let mut kinds: IndexMap<_, Vec<_>> = IndexMap::new();
    for kind in all {
        let key = (Arc::clone(&kind.resource.group), Arc::clone(&kind.version));
        kinds.entry(key).or_default().push(Arc::clone(kind));
    }
    Table { kinds }
}
