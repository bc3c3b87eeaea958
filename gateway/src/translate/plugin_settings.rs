//! Judges plugin objects: where their settings come from, whether the plugin accepts them, and what serves when
//! it doesn't.
//!
//! An object that was valid once in this process keeps its last valid settings; one that never was makes its
//! requests fail, since what guards something must not be skipped because of a typo.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::service_tls::text;
use super::{Context, FieldError, names};
use crate::model::Protocol;
use crate::objects::{Kind, KongClusterPlugin, KongPlugin, ObjectKey, PluginSpec, SecretKeyRef, yaml};

/// Settings that the plugin accepted, with what else of the object goes with them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    uid: Option<String>,
    generation: Option<i64>,
    pub(super) plugin: String,
    pub(super) config: Value,
    pub(super) enabled: bool,
    pub(super) instance_name: Option<String>,
    pub(super) protocols: Vec<Protocol>,
}

/// One plugin object, judged.
pub(super) struct Judged {
    pub(super) key: ObjectKey,
    pub(super) tags: Vec<String>,
    /// When it was made, for "the oldest wins".
    pub(super) created: i64,
    /// What runs: the settings as written, or the last valid ones.
    pub(super) runs: Option<Settings>,
    /// What is wrong with the object as written.
    pub(super) faults: Vec<FieldError>,
    /// What is written and has no effect.
    pub(super) ignored: Vec<FieldError>,
    /// The name of its plugin; empty when it can't be read.
    pub(super) plugin: String,
    /// The last settings that passed.
    last_valid: Option<Settings>,
}

/// All of them.
pub(super) struct JudgedPlugins(BTreeMap<ObjectKey, Judged>);

impl JudgedPlugins {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Judged> {
        self.0.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Judged> {
        self.0.values()
    }

    /// What the next translation falls back to.
    pub(super) fn remembered(&self) -> BTreeMap<ObjectKey, Settings> {
        self.0.iter().filter_map(|(key, judged)| Some((key.clone(), judged.last_valid.clone()?))).collect()
    }
}

impl Judged {
    /// What is wrong, in one line.
    pub(super) fn fault(&self) -> String {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    }

    /// The refusal and what serves instead, when an older form does.
    pub(super) fn refusal(&self, meta: Option<&ObjectMeta>) -> Option<String> {
        let old = self.runs.as_ref().filter(|runs| !self.faults.is_empty() && runs.enabled)?;
        let refused = meta.and_then(|meta| meta.generation);
        Some(match (refused, old.generation) {
            (Some(new), Some(old)) if new != old => {
                format!("generation {new} refused; generation {old} still serves")
            }
            _ => "refused; the last valid settings still serve".to_owned(),
        })
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// Judges every plugin object there is, also those that nobody uses yet: their authors want to know.
pub(super) fn judge_all(context: &Context<'_>, remembered: &BTreeMap<ObjectKey, Settings>) -> JudgedPlugins {
    let mut all = BTreeMap::new();
    let namespaced = context
        .store
        .all::<KongPlugin>()
        .map(|object| (ObjectKey::of_object(&**object), &object.metadata, &object.spec));
    let cluster_wide = context
        .store
        .all::<KongClusterPlugin>()
        .map(|object| (ObjectKey::of_object(&**object), &object.metadata, &object.spec));
    for (key, meta, spec) in namespaced.chain(cluster_wide) {
        let judged = judge(context, &key, meta, spec, remembered.get(&key));
        all.insert(key, judged);
    }
    for unreadable in context.store.unreadable() {
        let key = &unreadable.key;
        if !matches!(key.kind, Kind::KongPlugin | Kind::KongClusterPlugin) {
            continue;
        }
        let fault =
            FieldError { field: String::new(), message: format!("can't be read: {}", unreadable.error) };
        // What was readable before has been judged above; its settings still run.
        let judged = all.entry(key.clone()).or_insert_with(|| Judged {
            key: key.clone(),
            tags: names::tags(key, &unreadable.meta),
            created: names::created(&unreadable.meta),
            runs: None,
            faults: Vec::new(),
            ignored: Vec::new(),
            plugin: String::new(),
            last_valid: None,
        });
        judged.faults.insert(0, fault);
    }
    JudgedPlugins(all)
}

fn judge(
    context: &Context<'_>,
    key: &ObjectKey,
    meta: &ObjectMeta,
    spec: &PluginSpec,
    remembered: Option<&Settings>,
) -> Judged {
    let mut ignored = ignored(spec);
    let protocols = protocols(context, spec, &mut ignored);
    let remembered = remembered.filter(|old| old.uid == meta.uid && old.plugin == spec.plugin);
    let as_written = |config: Value| Settings {
        uid: meta.uid.clone(),
        generation: meta.generation,
        plugin: spec.plugin.clone(),
        config,
        enabled: !spec.disabled,
        instance_name: spec.instance_name.clone().filter(|name| !name.is_empty()),
        protocols,
    };
    let checked = config(context, key, spec)
        .map_err(|fault| vec![fault])
        .and_then(|config| check(context, &spec.plugin, &config));
    let (runs, last_valid, faults) = match checked {
        Ok(config) => {
            let settings = as_written(config);
            (Some(settings.clone()), Some(settings), Vec::new())
        }
        // Switching a refused plugin off must always work.
        Err(faults) if spec.disabled => {
            (Some(as_written(Value::Object(Map::new()))), remembered.cloned(), faults)
        }
        Err(faults) => {
            let old = remembered.map(|old| Settings { enabled: true, ..old.clone() });
            (old.clone(), old, faults)
        }
    };
    Judged {
        key: key.clone(),
        tags: names::tags(key, meta),
        created: names::created(meta),
        runs,
        faults,
        ignored,
        plugin: spec.plugin.clone(),
        last_valid,
    }
}

/// Fields that are read and do nothing here.
fn ignored(spec: &PluginSpec) -> Vec<FieldError> {
    let mut ignored = Vec::new();
    if spec.ordering.as_ref().is_some_and(|ordering| !ordering.is_null()) {
        ignored.push(fault("ordering", "not supported; plugins run in Kong's fixed order"));
    }
    if spec.consumer_ref.is_some() {
        let message = "deprecated and without effect; name the plugin in an annotation of the KongConsumer";
        ignored.push(fault("consumerRef", message));
    }
    ignored
}

fn protocols(context: &Context<'_>, spec: &PluginSpec, ignored: &mut Vec<FieldError>) -> Vec<Protocol> {
    let mut protocols = Vec::new();
    for word in &spec.protocols {
        match Protocol::parse(word) {
            Some(protocol) if protocols.contains(&protocol) => {}
            Some(protocol) => protocols.push(protocol),
            None => ignored.push(fault("protocols", format!("{word:?} is no protocol"))),
        }
    }
    if protocols.is_empty() { context.checks.plugins.protocols(&spec.plugin) } else { protocols }
}

fn check(context: &Context<'_>, plugin: &str, config: &Value) -> Result<Value, Vec<FieldError>> {
    let plugins = &context.checks.plugins;
    let known = plugins.known();
    if known.contains(&plugin) {
        return plugins.check(plugin, config);
    }
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(name, plugin), *name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = nearest.map_or(String::new(), |(_, name)| format!(", did you mean {name:?}?"));
    Err(vec![fault("plugin", format!("there is no plugin '{plugin}'{hint}"))])
}

/// The settings as their author meant them, from wherever they are.
fn config(context: &Context<'_>, key: &ObjectKey, spec: &PluginSpec) -> Result<Value, FieldError> {
    let written = spec.config.clone().filter(|config| !config.is_null());
    let has_config =
        written.as_ref().is_some_and(|config| config.as_object().is_none_or(|map| !map.is_empty()));
    if let Some(source) = &spec.config_from {
        if has_config {
            let place = key.to_string().replacen(' ', " '", 1);
            return Err(fault("configFrom", format!("{place}' has both Config and ConfigFrom set")));
        }
        if !spec.config_patches.is_empty() {
            return Err(fault("configPatches", "can't be used together with configFrom"));
        }
        let text = secret_text(context, key, &source.secret_key_ref).map_err(|m| fault("configFrom", m))?;
        return from_secret(&text, &source.secret_key_ref).map_err(|m| fault("configFrom", m));
    }
    let mut config = written.unwrap_or_else(|| Value::Object(Map::new()));
    for (index, patch) in spec.config_patches.iter().enumerate() {
        let field = format!("configPatches[{index}]");
        let reference = &patch.value_from.secret_key_ref;
        let text = secret_text(context, key, reference).map_err(|m| fault(&field, m))?;
        // The parser's own words could quote the Secret.
        let value = serde_json::from_str(&text).map_err(|_| {
            let message = format!(
                "key '{}' of secret '{}' is no JSON (a text needs quotes)",
                reference.key, reference.name
            );
            fault(&field, message)
        })?;
        add_at(&mut config, &patch.path, value).map_err(|m| fault(&field, m))?;
    }
    if config.is_object() { Ok(config) } else { Err(fault("config", "expected a record")) }
}

fn from_secret(text: &str, reference: &SecretKeyRef) -> Result<Value, String> {
    let value = serde_json::from_str(text).ok().or_else(|| yaml::value(text).ok());
    value.filter(Value::is_object).ok_or_else(|| {
        format!(
            "key '{}' in secret '{}' contains neither valid JSON nor valid YAML",
            reference.key, reference.name
        )
    })
}

fn secret_text(context: &Context<'_>, key: &ObjectKey, reference: &SecretKeyRef) -> Result<String, String> {
    let namespace = match (&reference.namespace, key.kind.is_namespaced()) {
        (_, true) => key.namespace.as_str(),
        (Some(namespace), false) => namespace.as_str(),
        (None, false) => return Err("secretKeyRef needs a namespace".to_owned()),
    };
    let place = format!("'{namespace}/{}'", reference.name);
    let secret = context
        .store
        .get::<Secret>(namespace, &reference.name)
        .ok_or_else(|| format!("error fetching plugin configuration secret {place}: there is none"))?;
    text(secret.data.as_ref(), &reference.key)
        .ok_or_else(|| format!("no key '{}' in secret {place}", reference.key))
}

/// RFC 6902's `add`, with missing parents made.
fn add_at(target: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    if pointer.is_empty() {
        *target = value;
        return Ok(());
    }
    let path = pointer.strip_prefix('/').ok_or_else(|| format!("path {pointer:?} must start with /"))?;
    let tokens: Vec<String> =
        path.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let mut here = target;
    for (index, token) in tokens.iter().enumerate() {
        let Some(next) = tokens.get(index + 1) else {
            return put(here, token, value).ok_or_else(|| format!("path {pointer:?} leads nowhere"));
        };
        let empty = if is_index(next) { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        here = step(here, token, empty).ok_or_else(|| format!("path {pointer:?} leads nowhere"))?;
    }
    Ok(())
}

fn is_index(token: &str) -> bool {
    token == "-" || token.parse::<usize>().is_ok()
}

/// One step down; what isn't there is made.
fn step<'a>(here: &'a mut Value, token: &str, missing: Value) -> Option<&'a mut Value> {
    match here {
        Value::Object(map) => {
            let entry = map.entry(token).or_insert(Value::Null);
            if entry.is_null() {
                *entry = missing;
            }
            Some(entry)
        }
        Value::Array(list) => {
            let index = if token == "-" { list.len() } else { token.parse().ok()? };
            if index == list.len() {
                list.push(missing);
            }
            list.get_mut(index)
        }
        _ => None,
    }
}

fn put(here: &mut Value, token: &str, value: Value) -> Option<()> {
    match here {
        Value::Object(map) => {
            map.insert(token.to_owned(), value);
            Some(())
        }
        Value::Array(list) => {
            let index = if token == "-" { list.len() } else { token.parse().ok()? };
            (index <= list.len()).then(|| list.insert(index, value))
        }
        _ => None,
    }
}

fn fault(field: &str, message: impl Into<String>) -> FieldError {
    FieldError { field: field.to_owned(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn added(mut target: Value, pointer: &str) -> Result<Value, String> {
        add_at(&mut target, pointer, json!("v"))?;
        Ok(target)
    }

    #[test]
    fn patches_make_what_is_missing() {
        assert_eq!(added(json!({}), "/a"), Ok(json!({"a": "v"})));
        assert_eq!(added(json!({}), "/a/b/c"), Ok(json!({"a": {"b": {"c": "v"}}})));
        assert_eq!(added(json!({}), "/a/0"), Ok(json!({"a": ["v"]})));
        assert_eq!(added(json!({"a": ["x"]}), "/a/-"), Ok(json!({"a": ["x", "v"]})));
        assert_eq!(added(json!({"a": ["x"]}), "/a/0"), Ok(json!({"a": ["v", "x"]})));
        assert_eq!(added(json!({"a": 1}), ""), Ok(json!("v")));
        assert_eq!(added(json!({"a~b/c": 1}), "/a~0b~1c"), Ok(json!({"a~b/c": "v"})));
        assert!(added(json!({"a": 1}), "/a/b").is_err());
        assert!(added(json!({"a": []}), "/a/3").is_err());
        assert!(added(json!({}), "a").is_err());
    }
}
