//! The model as Kong shows it: every entity with all its fields, and the whole of it as a file that loads again.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::entities::{SECTIONS, Section, consumers, upstreams};
use super::ids;
use crate::model::{Certificate, Consumer, Model, Secret, Target, Upstream};
use crate::schema::{PluginSchemas, Record};

/// Whether keys and passwords are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    Redacted,
    /// For a file that is to be loaded again.
    Shown,
}

/// All entities, by section and id.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Printed {
    sections: BTreeMap<&'static str, IndexMap<Uuid, Value>>,
}

/// Prints every entity of a model.
pub fn entities(model: &Model, secrets: Secrets) -> Printed {
    let mut printed = Printed::default();
    for (id, service) in &model.services {
        printed.put("services", *id, json!(service));
    }
    for (id, route) in &model.routes {
        printed.put("routes", *id, json!(route));
    }
    for (id, plugin) in &model.plugins {
        printed.put("plugins", *id, json!(plugin));
    }
    for upstream in model.upstreams.values() {
        printed.upstream(upstream);
    }
    for consumer in model.consumers.values() {
        printed.consumer(consumer, secrets);
    }
    for certificate in model.certificates.values() {
        printed.certificate(certificate, secrets);
    }
    for (id, authority) in &model.ca_certificates {
        printed.put("ca_certificates", *id, json!(authority));
    }
    printed
}

impl Printed {
    /// The entities of one section, as `GET /services` lists them; nothing for a word that is no section.
    pub fn list(&self, section: &str) -> Option<Value> {
        let section = SECTIONS.iter().find(|known| known.name == section)?;
        let entities = self.sections.get(section.name);
        let data: Vec<&Value> = entities.into_iter().flat_map(IndexMap::values).collect();
        Some(json!({"data": data, "next": null}))
    }

    /// One entity by id or name, as `GET /services/NAME` shows it.
    pub fn find(&self, section: &str, id_or_name: &str) -> Option<&Value> {
        let key = SECTIONS.iter().find(|known| known.name == section)?.key;
        let entities = self.sections.get(section)?;
        let by_id = id_or_name.parse().ok().and_then(|id: Uuid| entities.get(&id));
        let named =
            |entity: &&Value| key.is_some_and(|key| entity.get(key).is_some_and(|name| name == id_or_name));
        by_id.or_else(|| entities.values().find(named))
    }

    /// Adds the names of old that plugin settings still have in Kong's answers to `GET`.
    #[must_use]
    pub fn with_legacy_settings(mut self, plugins: &dyn PluginSchemas) -> Printed {
        for plugin in self.sections.get_mut("plugins").into_iter().flat_map(IndexMap::values_mut) {
            let Some(schema) = plugin["name"].as_str().and_then(|name| plugins.schema(name)) else {
                continue;
            };
            plugin["config"] = schema.echo(&plugin["config"]);
        }
        self
    }

    /// A declarative file that means the same.
    pub fn file(&self) -> Value {
        let mut file = Map::new();
        file.insert("_format_version".to_owned(), json!("3.0"));
        for section in &SECTIONS {
            let Some(entities) = self.sections.get(section.name) else { continue };
            let entities = entities.values().map(|entity| with_plain_references(section, entity));
            file.insert(section.name.to_owned(), entities.collect());
        }
        Value::Object(file)
    }

    fn put(&mut self, section: &'static str, id: Uuid, fields: Value) {
        let Some(record) = SECTIONS.iter().find(|known| known.name == section).map(|known| known.record)
        else {
            return;
        };
        self.sections.entry(section).or_default().insert(id, complete(record, fields));
    }

    fn upstream(&mut self, upstream: &Upstream) {
        self.put("upstreams", upstream.id, upstreams::print(upstream));
        for target in &upstream.targets {
            let fields = json!({
                "target": target_text(target),
                "weight": target.weight,
                "upstream": {"id": upstream.id},
                "created_at": upstream.created_at,
            });
            self.put_derived("targets", fields);
        }
    }

    fn consumer(&mut self, consumer: &Consumer, secrets: Secrets) {
        self.put("consumers", consumer.id, json!(consumer));
        let owner = || json!({"id": consumer.id});
        for group in &consumer.groups {
            let fields = json!({"group": group, "consumer": owner(), "created_at": consumer.created_at});
            self.put_derived("acls", fields);
        }
        for credential in &consumer.credentials {
            let (section, mut fields) = consumers::print(&credential.kind, |secret| shown(secret, secrets));
            fields["id"] = json!(credential.id);
            fields["consumer"] = owner();
            fields["created_at"] = json!(consumer.created_at);
            fields["tags"] = json!(credential.tags);
            self.put(section, credential.id, fields);
        }
    }

    fn certificate(&mut self, certificate: &Certificate, secrets: Secrets) {
        let mut fields = json!(certificate);
        fields["key"] = Value::from(shown(&certificate.key, secrets));
        self.put("certificates", certificate.id, fields);
        for name in &certificate.snis {
            self.put_derived("snis", json!({"name": name, "certificate": {"id": certificate.id}}));
        }
    }

    /// An entity that the model keeps without an id, under the one it would get from a file.
    fn put_derived(&mut self, section: &'static str, mut fields: Value) {
        let known = SECTIONS.iter().find(|known| known.name == section);
        let id = known.and_then(|known| ids::as_kong(known, fields.as_object()?, None));
        if let Some(id) = id {
            fields["id"] = json!(id);
            self.put(section, id, fields);
        }
    }
}

/// All fields of the record, in its order; what isn't there is null.
fn complete(record: &Record, mut fields: Value) -> Value {
    let mut take = |name: &str| fields.get_mut(name).map_or(Value::Null, Value::take);
    let fields = record.fields().iter().map(|field| (field.name.to_owned(), take(field.name)));
    Value::Object(fields.collect())
}

/// Files refer to entities by id, answers by `{"id": …}`.
fn with_plain_references(section: &Section, entity: &Value) -> Value {
    let mut entity = entity.clone();
    for (field, _) in section.references() {
        if let Some(id) = entity[field].get("id").cloned() {
            entity[field] = id;
        }
    }
    entity
}

fn shown(secret: &Secret, secrets: Secrets) -> String {
    match secrets {
        Secrets::Shown => secret.expose().to_owned(),
        Secrets::Redacted => "REDACTED".to_owned(),
    }
}

fn target_text(target: &Target) -> String {
    let Target { host, port, .. } = target;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
