//! `KongConsumers` and their credential Secrets to consumers.
//!
//! A credential that can't be used is left out; the consumer stays. What must be unique belongs to the oldest
//! who claims it: a new object never takes away what already works.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret as KubeSecret;

use super::annotation_values::Values;
use super::problems::Problems;
use super::service_tls::text;
use super::{Context, Programmed, Translation, Verdict, class, names};
use crate::model::{Consumer, Credential, CredentialKind, Secret};
use crate::objects::{Kind, KongConsumer, ObjectKey, annotations};

/// A consumer that is in the model.
pub(super) struct BuiltConsumer {
    pub(super) id: uuid::Uuid,
    /// What Kong calls it: its user name, else its custom id.
    pub(super) name: String,
    pub(super) key: ObjectKey,
    pub(super) object: Arc<KongConsumer>,
}

/// What may exist only once: a name space and a value, and who has it.
type Unique = BTreeMap<(&'static str, String), ObjectKey>;

/// Everything wrong with one consumer, as it is found.
struct Faults<'a> {
    key: &'a ObjectKey,
    messages: Vec<String>,
    problems: &'a mut Problems,
}

/// Builds the consumers of our class, oldest first.
pub(super) fn build(
    context: &Context<'_>,
    out: &mut Translation,
    problems: &mut Problems,
) -> Vec<BuiltConsumer> {
    let mut objects: Vec<_> =
        context.store.all::<KongConsumer>().filter(|object| is_ours(context, object)).collect();
    objects.sort_by_cached_key(|object| class::age(&***object));
    let mut unique = Unique::new();
    let mut built = Vec::new();
    for object in objects {
        let key = ObjectKey::of_object(&**object);
        Values::of(&key, &object.metadata).report_strays(problems);
        let mut faults = Faults { key: &key, messages: Vec::new(), problems };
        let consumer = consumer(context, object, &mut unique, &mut faults);
        let verdict = verdict(consumer.is_some(), &faults.messages);
        out.verdicts.insert(key.clone(), verdict);
        if let Some(consumer) = consumer {
            let name = consumer.username.clone().or_else(|| consumer.custom_id.clone()).unwrap_or_default();
            built.push(BuiltConsumer { id: consumer.id, name, key, object: Arc::clone(object) });
            out.model.consumers.insert(consumer.id, consumer);
        }
    }
    built
}

fn is_ours(context: &Context<'_>, object: &KongConsumer) -> bool {
    let control_plane = object.spec.as_ref().and_then(|spec| spec.control_plane_ref.as_ref());
    context.class.takes(&object.metadata) && control_plane.is_none_or(|reference| reference.kind == "kic")
}

fn verdict(built: bool, faults: &[String]) -> Verdict {
    let (programmed, message) = match (built, faults) {
        (true, []) => (Programmed::Programmed, "in use".to_owned()),
        (true, faults) => (Programmed::Invalid, format!("in use, but: {}", faults.join("; "))),
        (false, faults) => (Programmed::Invalid, faults.join("; ")),
    };
    Verdict { programmed, message, used: true }
}

fn consumer(
    context: &Context<'_>,
    object: &KongConsumer,
    unique: &mut Unique,
    faults: &mut Faults<'_>,
) -> Option<Consumer> {
    const LEFT_OUT: &str = "the consumer is left out";
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let (username, custom_id) = (text(&object.username), text(&object.custom_id));
    let id = match (&username, &custom_id) {
        (Some(name), _) => names::entity_id("consumers", name),
        (None, Some(id)) => names::entity_id("consumers", &format!("custom_id/{id}")),
        (None, None) => {
            faults.add("", "no username or custom_id specified", LEFT_OUT);
            return None;
        }
    };
    for (space, value) in [("username", &username), ("custom_id", &custom_id)] {
        let Some(value) = value else { continue };
        if let Some(first) = unique.get(&(space, value.clone())) {
            let message = format!("{first} is older and has the same {space} {value:?}");
            faults.add(space, message, LEFT_OUT);
            return None;
        }
    }
    for (space, value) in [("username", &username), ("custom_id", &custom_id)] {
        if let Some(value) = value {
            unique.insert((space, value.clone()), faults.key.clone());
        }
    }
    let mut tags = names::tags(faults.key, &object.metadata);
    tags.extend(object.spec.iter().flat_map(|spec| spec.tags.iter().cloned()));
    let created = names::created(&object.metadata);
    let mut consumer = Consumer {
        id,
        username,
        custom_id,
        tags: Some(tags),
        created_at: created,
        updated_at: created,
        groups: Vec::new(),
        credentials: Vec::new(),
        origin: Some(names::origin(faults.key)),
    };
    for name in &object.credentials {
        add_credential(context, &mut consumer, name, unique, faults);
    }
    for group in &object.consumer_groups {
        let message = format!("consumer group {group:?}: consumer groups are not supported");
        faults.add("consumerGroups", message, "plugins of the group do not run for this consumer");
    }
    Some(consumer)
}

/// What a Secret makes of a consumer.
enum Read {
    Credential(Credential, Option<(&'static str, String)>),
    Group(String),
}

fn add_credential(
    context: &Context<'_>,
    consumer: &mut Consumer,
    name: &str,
    unique: &mut Unique,
    faults: &mut Faults<'_>,
) {
    let key = ObjectKey::new(Kind::Secret, faults.key.namespace.as_str(), name);
    let Some(secret) = context.store.get::<KubeSecret>(&key.namespace, name) else {
        let place = format!("{}/{name}", key.namespace);
        faults.credential(name, &format!("Failed to fetch secret: there is no {place}"));
        return;
    };
    Values::of(&key, &secret.metadata).report_strays(faults.problems);
    match read(&key, secret) {
        Err(fault) => {
            faults.credential(name, &fault);
            faults.problems.add(&key, "data", fault, "the credential is left out");
        }
        Ok(Read::Group(group)) => {
            if !consumer.groups.contains(&group) {
                consumer.groups.push(group);
            }
        }
        Ok(Read::Credential(credential, None)) => consumer.credentials.push(credential),
        Ok(Read::Credential(credential, Some(claim))) => {
            if let Some(first) = unique.get(&claim) {
                let message =
                    format!("conflict detected in {:?} index: {first} already has this value", claim.0);
                faults.credential(name, &format!("Consumer has conflicting credentials: {message}"));
                let message = format!("Secret has conflicting credential: {message}");
                faults.problems.add(&key, "data", message, "the credential is left out");
            } else {
                unique.insert(claim, faults.key.clone());
                consumer.credentials.push(credential);
            }
        }
    }
}

fn read(key: &ObjectKey, secret: &KubeSecret) -> Result<Read, String> {
    let labels = secret.metadata.labels.as_ref();
    let kind = labels
        .and_then(|labels| labels.get(annotations::CREDENTIAL_LABEL))
        .ok_or_else(|| missing_label(secret))?;
    let value = |name: &str| text(secret.data.as_ref(), name).filter(|text| !text.is_empty());
    let needed = |name: &str| {
        value(name).ok_or_else(|| format!("failed to provision credential: {kind} is invalid: no {name}"))
    };
    let tags = Some(names::tags(key, &secret.metadata));
    let (entity, index, name, kind) = match kind.as_str() {
        "key-auth" | "keyauth_credential" => {
            if value("ttl").is_some() {
                return Err("failed to provision credential: key-auth with a ttl is not supported".to_owned());
            }
            let kind = CredentialKind::KeyAuth { key: Secret::new(needed("key")?) };
            ("keyauth_credentials", "key-auth on 'key'", needed("key")?, kind)
        }
        "basic-auth" | "basicauth_credential" => {
            let username = needed("username")?;
            let password = Secret::new(needed("password")?);
            let kind = CredentialKind::BasicAuth { username: username.clone(), password };
            ("basicauth_credentials", "basic-auth on 'username'", username, kind)
        }
        "jwt" | "jwt_secret" => {
            let name = needed("key")?;
            ("jwt_secrets", "jwt-auth on 'key'", name.clone(), jwt(name, &value, &needed)?)
        }
        "acl" => return Ok(Read::Group(needed("group")?)),
        other @ ("hmac-auth" | "hmacauth_credential" | "oauth2" | "mtls-auth" | "konnect") => {
            return Err(format!("failed to provision credential: {other} credentials are not supported"));
        }
        other => {
            return Err(format!("failed to provision credential: unsupported credential type: {other:?}"));
        }
    };
    let credential = Credential { id: names::entity_id(entity, &name), kind, tags };
    Ok(Read::Credential(credential, Some((index, name))))
}

fn jwt(
    key: String,
    value: &dyn Fn(&str) -> Option<String>,
    needed: &dyn Fn(&str) -> Result<String, String>,
) -> Result<CredentialKind, String> {
    let algorithm = value("algorithm").unwrap_or_else(|| "HS256".to_owned());
    let (secret, rsa_public_key) = match algorithm.as_str() {
        "HS256" | "HS384" | "HS512" => (needed("secret")?, value("rsa_public_key")),
        "RS256" | "RS384" | "RS512" | "ES256" | "ES384" | "ES512" | "PS256" | "PS384" | "PS512" | "EdDSA" => {
            (value("secret").unwrap_or_default(), Some(needed("rsa_public_key")?))
        }
        other => return Err(format!("failed to provision credential: unknown jwt algorithm {other:?}")),
    };
    Ok(CredentialKind::Jwt { key, algorithm, secret: Secret::new(secret), rsa_public_key })
}

fn missing_label(secret: &KubeSecret) -> String {
    let old = secret.data.as_ref().is_some_and(|data| data.contains_key("kongCredType"));
    let hint = if old { " (the data key kongCredType no longer counts)" } else { "" };
    format!("could not load credential from Secret: it has no label {}{hint}", annotations::CREDENTIAL_LABEL)
}

impl Faults<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>, effect: &str) {
        let message = message.into();
        self.messages.push(message.clone());
        self.problems.add(self.key, field, message, effect);
    }

    fn credential(&mut self, name: &str, message: &str) {
        let message = format!("credential {name:?} failure: {message}");
        self.add("credentials", message, "the consumer serves without this credential");
    }
}
