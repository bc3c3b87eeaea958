//! Plugins. Their settings are checked by the schema each plugin brings.

use serde_json::{Map, Value};

use super::super::entity::Entity;
use crate::model::{Plugin, Scope};
use crate::schema::Literal::Bool;
use crate::schema::{
    Field, PluginSchema, PluginSchemas, Record, Type, any, boolean, field, foreign, integer, set, string,
    typedefs,
};

pub(in crate::declarative) static PLUGIN: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("name", string().required()),
    field("instance_name", typedefs::name()),
    field("created_at", integer().timestamp()),
    field("updated_at", any()),
    field("route", foreign("routes")),
    field("service", foreign("services")),
    field("consumer", foreign("consumers")),
    field("config", any()),
    field("protocols", set(&ANY_PROTOCOL).required()),
    field("enabled", boolean().required().default(Bool(true))),
    field("tags", typedefs::tags()),
]);

static ANY_PROTOCOL: Type = typedefs::protocol();
static HTTP_PROTOCOL: Type = string().one_of(typedefs::HTTP_PROTOCOLS);

/// The plugin an entity is an instance of; else what is wrong with its name.
pub(in crate::declarative) fn schema<'s>(
    plugin: &Map<String, Value>,
    plugins: &'s dyn PluginSchemas,
) -> Result<&'s PluginSchema, String> {
    match plugin.get("name") {
        None | Some(Value::Null) => Err("required field missing".to_owned()),
        Some(Value::String(name)) => plugins.schema(name).ok_or_else(|| {
            format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property")
        }),
        Some(_) => Err("expected a string".to_owned()),
    }
}

/// The fields of an instance of this plugin that differ from any plugin's.
pub(in crate::declarative) fn specialised(schema: &PluginSchema) -> Vec<Field> {
    let protocol = if schema.any_protocol { &ANY_PROTOCOL } else { &HTTP_PROTOCOL };
    let mut fields = vec![schema.config_field(), field("protocols", set(protocol).required())];
    if !schema.consumer_scope {
        fields.push(field("consumer", foreign("consumers").null_only()));
    }
    fields
}

/// What the instance serves unless it says.
pub(in crate::declarative) fn default_protocols(schema: &PluginSchema) -> Value {
    schema.protocols.iter().map(|protocol| Value::from(protocol.as_str())).collect()
}

pub(in crate::declarative) fn to_model(entity: &Entity) -> Plugin {
    let fields = entity.fields();
    Plugin {
        id: entity.id,
        name: fields.text("name").unwrap_or_default(),
        instance_name: fields.text("instance_name"),
        enabled: fields.flag("enabled").unwrap_or(true),
        config: fields.get("config").cloned().unwrap_or_default(),
        protocols: fields.protocols(),
        scope: Scope {
            route: entity.reference("route"),
            service: entity.reference("service"),
            consumer: entity.reference("consumer"),
        },
        tags: fields.texts("tags"),
        broken: None,
        origin: Some(entity.origin()),
    }
}
