//! Plugin objects and the objects that name them, to plugin bindings with a scope.
//!
//! Every relation gets an entity of its own. A plugin object named by a consumer and also by routes or
//! services runs for the pairs, and for none of the parts alone.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::annotation_values::{Values, comma_list};
use super::consumers::BuiltConsumer;
use super::plugin_settings::{Judged, JudgedPlugins};
use super::problems::{Problems, annotation};
use super::routes::BuiltRoute;
use super::services::Services;
use super::{Context, Programmed, Translation, Verdict, names};
use crate::model::{Plugin, Protocol, Scope};
use crate::objects::{Kind, KongClusterPlugin, ObjectKey, annotations};

/// A broken plugin refuses requests of every protocol.
const EVERYWHERE: [Protocol; 4] = [Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https];

/// What plugins can be attached to.
pub(super) struct Attachments<'a> {
    pub(super) routes: &'a [BuiltRoute],
    pub(super) services: &'a Services,
    pub(super) consumers: &'a [BuiltConsumer],
}

/// An object names a plugin.
struct Reference<'a> {
    referrer: &'a ObjectKey,
    /// Its place in the list of the object.
    place: usize,
    target: Target<'a>,
}

/// What the object became.
#[derive(Clone, Copy)]
enum Target<'a> {
    Route(&'a BuiltRoute),
    Service(Uuid, &'a str),
    Consumer(&'a BuiltConsumer),
}

/// Where an entity applies, with the names that Kong makes ids of.
#[derive(Default, Clone)]
struct Relation<'a> {
    scope: Scope,
    service: Option<&'a str>,
    route: Option<&'a BuiltRoute>,
    consumer: Option<&'a str>,
    place: usize,
}

/// An entity to be, before the contest for its place.
struct Binding<'a> {
    judged: &'a Judged,
    relation: Relation<'a>,
}

/// Attaches plugins, and says of every plugin object what became of it.
pub(super) fn build(
    context: &Context<'_>,
    attached: &Attachments<'_>,
    judged: &JudgedPlugins,
    out: &mut Translation,
    problems: &mut Problems,
) {
    let ingresses = ingress_lists(context, attached);
    let references = references(attached, &ingresses);
    let mut bindings: Vec<Binding<'_>> = Vec::new();
    for ((namespace, name), references) in &references {
        let Some(object) = resolve(namespace, name, references, judged, problems) else { continue };
        bindings.extend(
            relations(context, object, references, problems)
                .into_iter()
                .map(|relation| Binding { judged: object, relation }),
        );
    }
    bindings.extend(globals(context, judged));
    let used: BTreeSet<&ObjectKey> = bindings.iter().map(|binding| &binding.judged.key).collect();
    let defeats = settle(&bindings, out, problems);
    for object in judged.iter() {
        let defeat = defeats.get(&object.key).map(String::as_str);
        report(context, object, used.contains(&object.key), defeat, out, problems);
    }
}

/// A name as written, in the namespace it is looked up in.
type Name = (String, String);

/// The plugin lists of Ingresses that have routes.
fn ingress_lists(context: &Context<'_>, attached: &Attachments<'_>) -> BTreeMap<ObjectKey, Vec<String>> {
    let keys: BTreeSet<&ObjectKey> = attached.routes.iter().map(|route| &route.ingress).collect();
    keys.into_iter()
        .map(|key| {
            let annotations = context.store.meta(key).and_then(|meta| meta.annotations.as_ref());
            (key.clone(), comma_list(annotations.and_then(|all| all.get(annotations::PLUGINS))))
        })
        .collect()
}

fn references<'a>(
    attached: &'a Attachments<'a>,
    ingresses: &'a BTreeMap<ObjectKey, Vec<String>>,
) -> BTreeMap<Name, Vec<Reference<'a>>> {
    let mut all: BTreeMap<Name, Vec<Reference<'a>>> = BTreeMap::new();
    let mut add = |referrer: &'a ObjectKey, list: &[String], target: Target<'a>| {
        for (place, name) in list.iter().enumerate() {
            let key = (referrer.namespace.clone(), name.clone());
            all.entry(key).or_default().push(Reference { referrer, place, target });
        }
    };
    for route in attached.routes {
        if let Some(list) = ingresses.get(&route.ingress) {
            add(&route.ingress, list, Target::Route(route));
        }
    }
    for service in attached.services.iter() {
        if let Some((key, object)) = &service.object {
            let list = Values::of(key, &object.metadata).list(annotations::PLUGINS);
            add(key, &list, Target::Service(service.id, &service.name));
        }
    }
    for consumer in attached.consumers {
        let list = Values::of(&consumer.key, &consumer.object.metadata).list(annotations::PLUGINS);
        add(&consumer.key, &list, Target::Consumer(consumer));
    }
    all
}

/// The object a name means: one of the referrer's namespace first, then a cluster-wide one.
fn resolve<'a>(
    namespace: &str,
    name: &str,
    references: &[Reference<'_>],
    judged: &'a JudgedPlugins,
    problems: &mut Problems,
) -> Option<&'a Judged> {
    let (lookup, plain) = match name.split_once(':') {
        Some((other, plain)) if other == namespace => (namespace, plain),
        Some(_) => {
            let message = format!(
                "no grant found to referenced {name:?} plugin in the requested remote KongPlugin bind \
                 (ReferenceGrants are not read); use a KongPlugin of {namespace} or a KongClusterPlugin"
            );
            blame(references, &message, problems);
            return None;
        }
        None => (namespace, name),
    };
    let found = judged
        .get(&ObjectKey::new(Kind::KongPlugin, lookup, plain))
        .or_else(|| judged.get(&ObjectKey::new(Kind::KongClusterPlugin, "", plain)));
    if found.is_none() {
        let message = format!("referenced KongPlugin or KongClusterPlugin {plain:?} does not exist");
        blame(references, &message, problems);
    }
    found
}

fn blame(references: &[Reference<'_>], message: &str, problems: &mut Problems) {
    for reference in references {
        let field = annotation(annotations::PLUGINS);
        problems.add(reference.referrer, field, message, "everything else of the object works without it");
    }
}

/// Consumers times what they share the plugin with; without consumers, each part alone.
fn relations<'a>(
    context: &Context<'_>,
    object: &Judged,
    references: &[Reference<'a>],
    problems: &mut Problems,
) -> Vec<Relation<'a>> {
    let mut parts = Vec::new();
    let mut consumers = Vec::new();
    for reference in references {
        match reference.target {
            Target::Consumer(consumer) if context.checks.plugins.takes_consumer(&object.plugin) => {
                consumers.push(consumer);
            }
            Target::Consumer(_) => {
                let message = format!(
                    "{} can't be meant for one consumer: it finds out who is calling; name it on an Ingress or a Service",
                    object.plugin
                );
                let field = annotation(annotations::PLUGINS);
                problems.add(
                    reference.referrer,
                    field,
                    message,
                    "the plugin is not limited to this consumer",
                );
            }
            Target::Route(route) => parts.push(Relation {
                scope: Scope { route: Some(route.id), ..Scope::default() },
                route: Some(route),
                place: reference.place,
                ..Relation::default()
            }),
            Target::Service(id, name) => parts.push(Relation {
                scope: Scope { service: Some(id), ..Scope::default() },
                service: Some(name),
                place: reference.place,
                ..Relation::default()
            }),
        }
    }
    if consumers.is_empty() {
        return parts;
    }
    if parts.is_empty() {
        parts.push(Relation::default());
    }
    let mut pairs = Vec::with_capacity(parts.len() * consumers.len());
    for consumer in consumers {
        for part in &parts {
            let mut pair = part.clone();
            pair.scope.consumer = Some(consumer.id);
            pair.consumer = Some(&consumer.name);
            pairs.push(pair);
        }
    }
    pairs
}

/// Cluster-wide plugins of our class that run for every request.
fn globals<'a>(context: &Context<'_>, judged: &'a JudgedPlugins) -> Vec<Binding<'a>> {
    let is_global = |object: &KongClusterPlugin| {
        let labels = object.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(annotations::GLOBAL_LABEL)).is_some_and(|value| value == "true")
            && context.class.takes(&object.metadata)
    };
    context
        .store
        .all::<KongClusterPlugin>()
        .filter(|object| is_global(object))
        .filter_map(|object| judged.get(&ObjectKey::of_object(&**object)))
        .map(|judged| Binding { judged, relation: Relation::default() })
        .collect()
}

/// Two instances of the same plugin can't have the same scope. The one named first wins, of global ones the
/// oldest. Says which objects lost, and to whom.
fn settle(
    bindings: &[Binding<'_>],
    out: &mut Translation,
    problems: &mut Problems,
) -> BTreeMap<ObjectKey, String> {
    let mut defeats = BTreeMap::new();
    let mut contests: BTreeMap<(Scope, &str), Vec<&Binding<'_>>> = BTreeMap::new();
    for binding in bindings {
        let slot = (binding.relation.scope, binding.judged.plugin.as_str());
        contests.entry(slot).or_default().push(binding);
    }
    for (_, mut contest) in contests {
        contest.sort_by_key(|binding| (binding.relation.place, binding.judged.created, &binding.judged.key));
        let Some((winner, losers)) = contest.split_first() else { continue };
        for loser in losers.iter().filter(|loser| loser.judged.key != winner.judged.key) {
            let message = format!(
                "{} configures {} for {} too; only one can run",
                winner.judged.key, winner.judged.plugin, winner.relation
            );
            problems.add(&loser.judged.key, "", message.as_str(), "this one does not run there");
            defeats.insert(loser.judged.key.clone(), message);
        }
        let plugin = entity(winner);
        report_protocols(winner, &plugin.protocols, problems);
        out.model.plugins.insert(plugin.id, plugin);
    }
    defeats
}

fn entity(binding: &Binding<'_>) -> Plugin {
    let Binding { judged, relation } = binding;
    let id = names::entity_id("plugins", &format!("{}{}", judged.plugin, relation.id_suffix()));
    let settings = judged.runs.as_ref();
    Plugin {
        id,
        name: judged.plugin.clone(),
        instance_name: settings
            .and_then(|settings| settings.instance_name.as_deref())
            .map(|name| relation.instance_name(name)),
        enabled: settings.is_none_or(|settings| settings.enabled),
        config: settings.map_or(serde_json::Value::Null, |settings| settings.config.clone()),
        protocols: settings.map_or_else(|| EVERYWHERE.to_vec(), |settings| settings.protocols.clone()),
        scope: relation.scope,
        tags: Some(judged.tags.clone()),
        broken: settings.is_none().then(|| judged.fault()),
        origin: Some(names::origin(&judged.key)),
    }
}

/// Kong would refuse the whole configuration. The plugin runs all the same: better than to skip a guard.
fn report_protocols(binding: &Binding<'_>, protocols: &[Protocol], problems: &mut Problems) {
    let Some(route) = binding.relation.route else { return };
    if protocols.is_empty() || protocols.iter().any(|protocol| route.protocols.contains(protocol)) {
        return;
    }
    let message = format!("must match the associated route's protocols: those of {}", route.name);
    problems.add(&binding.judged.key, "protocols", message, "the plugin runs there all the same");
}

/// Problems and verdict of one object.
fn report(
    context: &Context<'_>,
    object: &Judged,
    used: bool,
    defeat: Option<&str>,
    out: &mut Translation,
    problems: &mut Problems,
) {
    let key = &object.key;
    let meta = context.store.meta(key);
    let refusal = object.refusal(meta);
    let effect = match (&refusal, &object.runs, used) {
        (Some(refusal), ..) => refusal.as_str(),
        (None, None, true) => "requests it applies to are answered 500",
        (None, Some(_), _) => "it is switched off",
        _ => "nothing uses it yet",
    };
    for fault in &object.faults {
        problems.add(key, fault.field.as_str(), fault.message.as_str(), effect);
    }
    for ignored in &object.ignored {
        problems.add(key, ignored.field.as_str(), ignored.message.as_str(), "the field is ignored");
    }
    let verdict = match (object.faults.is_empty(), &refusal, used) {
        (false, Some(refusal), _) => (Programmed::Invalid, format!("{} ({refusal})", object.fault())),
        (false, None, _) => (Programmed::Invalid, object.fault()),
        (true, _, true) => match defeat {
            Some(defeat) => (Programmed::Invalid, defeat.to_owned()),
            None => (Programmed::Programmed, "in use".to_owned()),
        },
        (true, _, false) => {
            let message = "valid, but no Ingress, Service or KongConsumer of this gateway names it";
            (Programmed::Pending, message.to_owned())
        }
    };
    if let Some(meta) = meta {
        Values::of(key, meta).report_strays(problems);
        report_mislabelled(key, meta.labels.as_ref(), problems);
    }
    out.verdicts.insert(key.clone(), Verdict { programmed: verdict.0, message: verdict.1, used });
}

/// A label that was meant to make the plugin global and doesn't.
fn report_mislabelled(key: &ObjectKey, labels: Option<&BTreeMap<String, String>>, problems: &mut Problems) {
    let Some(value) = labels.and_then(|labels| labels.get(annotations::GLOBAL_LABEL)) else { return };
    let message = match key.kind {
        Kind::KongPlugin => "only a KongClusterPlugin can be global".to_owned(),
        _ if value == "true" || value == "false" => return,
        _ => format!("expected \"true\" or \"false\", got {value:?}"),
    };
    problems.add(key, "metadata.labels[global]", message, "the label is ignored");
}

impl Relation<'_> {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let route = self.route.map(|route| route.name.as_str());
        [("service", self.service), ("route", route), ("consumer", self.consumer)]
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name?)))
    }

    /// What tells apart the ids of one plugin's instances.
    fn id_suffix(&self) -> String {
        self.parts().fold(String::new(), |id, (kind, name)| id + ":" + kind + "/" + name)
    }

    /// Instance names are unique: the relation is hashed into all but a global one.
    fn instance_name(&self, name: &str) -> String {
        let relation = self.parts().fold(String::new(), |id, (kind, part)| id + "_" + kind + "-" + part);
        if relation.is_empty() {
            return name.to_owned();
        }
        let digest = Sha256::digest(relation.as_bytes());
        let first = digest.iter().take(5).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        // Nine hexadecimal digits of the ten.
        format!("{name}-{:09x}", first >> 4)
    }
}

impl std::fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self.parts().map(|(kind, name)| format!("{kind} {name}")).collect();
        if parts.is_empty() { f.write_str("every request") } else { f.write_str(&parts.join(" and ")) }
    }
}
