//! The kinds of entities a file can hold: how each is checked, named, and told apart.
//!
//! One file per kind has its schema and its way into the model and out again.

pub(super) mod certificates;
pub(super) mod consumers;
mod fields;
pub(super) mod plugins;
mod regex;
pub(super) mod routes;
pub(super) mod services;
pub(super) mod upstreams;

use crate::schema::{Kind, PluginSchemas, Record};

pub(super) use fields::Fields;

/// One kind of entity, and the list of them in a file.
#[derive(Debug)]
pub(super) struct Section {
    pub name: &'static str,
    pub record: &'static Record,
    /// The field by which others may refer to it, unique among all of the kind.
    pub key: Option<&'static str>,
    /// Further fields no two may share.
    pub unique: &'static [&'static str],
    pub identity: Identity,
    /// The plugin without which the section is unknown.
    pub plugin: Option<&'static str>,
}

/// What an entity's generated id is made from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Identity {
    /// The section's key.
    Key,
    /// These fields together, references among them.
    Parts(&'static [&'static str]),
    /// Nothing in Kong, where the id is random; here what it contains, so that it stays when the file is
    /// loaded again.
    Contents,
}

/// Each after what it refers to.
pub(super) static SECTIONS: [Section; 13] = [
    Section::new("consumers", &consumers::CONSUMER, Identity::Key).key("username").unique(&["custom_id"]),
    Section::new("certificates", &certificates::CERTIFICATE, Identity::Contents),
    Section::new("ca_certificates", &certificates::CA_CERTIFICATE, Identity::Contents),
    Section::new("services", &services::SERVICE, Identity::Key).key("name"),
    Section::new("routes", &routes::ROUTE, Identity::Key).key("name"),
    Section::new("snis", &certificates::SNI, Identity::Key).key("name"),
    Section::new("upstreams", &upstreams::UPSTREAM, Identity::Key).key("name"),
    Section::new("targets", &upstreams::TARGET, Identity::Parts(&["upstream", "target"])),
    Section::new("plugins", &plugins::PLUGIN, Identity::Parts(&["name", "route", "service", "consumer"]))
        .key("instance_name"),
    Section::new("acls", &consumers::ACL, Identity::Parts(&["consumer", "group"])).with("acl"),
    Section::new("basicauth_credentials", &consumers::BASIC_AUTH, Identity::Parts(&["username"]))
        .key("username")
        .with("basic-auth"),
    Section::new("jwt_secrets", &consumers::JWT, Identity::Contents).key("key").with("jwt"),
    Section::new("keyauth_credentials", &consumers::KEY_AUTH, Identity::Contents).key("key").with("key-auth"),
];

impl Section {
    const fn new(name: &'static str, record: &'static Record, identity: Identity) -> Section {
        Section { name, record, key: None, unique: &[], identity, plugin: None }
    }

    const fn key(mut self, field: &'static str) -> Section {
        self.key = Some(field);
        self
    }

    const fn unique(mut self, fields: &'static [&'static str]) -> Section {
        self.unique = fields;
        self
    }

    const fn with(mut self, plugin: &'static str) -> Section {
        self.plugin = Some(plugin);
        self
    }

    /// The section a file means by a word.
    pub(super) fn named(name: &str, plugins: &dyn PluginSchemas) -> Option<&'static Section> {
        let section = SECTIONS.iter().find(|section| section.name == name)?;
        section.plugin.is_none_or(|plugin| plugins.schema(plugin).is_some()).then_some(section)
    }

    /// The fields that refer to other entities, with the section they refer to.
    pub(super) fn references(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        self.record.fields().iter().filter_map(|field| match field.ty.kind() {
            Kind::Foreign(section) => Some((field.name, section)),
            _ => None,
        })
    }

    /// The field that refers to an entity of `parent`, if entities of this kind may be nested there.
    pub(super) fn nested_by(&self, parent: &Section) -> Option<&'static str> {
        self.references().find(|(_, section)| *section == parent.name).map(|(field, _)| field)
    }

    /// `service`, for messages about one entity.
    pub(super) fn singular(&self) -> &'static str {
        self.name.strip_suffix('s').unwrap_or(self.name)
    }
}
