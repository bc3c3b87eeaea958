//! TLS Secrets to certificates by server name.
//!
//! A Secret that stops being usable keeps serving in its last good form. Secrets with the same content become
//! one certificate, as Kong has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use k8s_openapi::api::networking::v1::Ingress;
use uuid::Uuid;

use super::problems::Problems;
use super::service_tls::text;
use super::{Context, Remembered, class, names};
use crate::model::{Certificate, Model, Secret};
use crate::objects::{Kind, ObjectKey};

/// A certificate and its key that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    uid: Option<String>,
    id: Uuid,
    cert: String,
    key: Secret,
}

/// The Secrets in use, and the server names they were asked for.
pub(super) struct Pairs<'a> {
    remembered: &'a BTreeMap<ObjectKey, Pair>,
    loaded: BTreeMap<ObjectKey, Pair>,
    /// By content: which certificate it became.
    merged: BTreeMap<(String, Secret), Uuid>,
    claims: BTreeMap<String, Claim>,
}

/// What an Ingress asks for.
struct Wish<'a> {
    ingress: ObjectKey,
    field: String,
    hosts: &'a [String],
    secret: ObjectKey,
}

/// Who serves a server name.
struct Claim {
    secret: ObjectKey,
    by: ObjectKey,
}

const NOT_SERVED: &str = "its hosts are served with another certificate";

impl<'a> Pairs<'a> {
    pub(super) fn new(remembered: &'a Remembered) -> Pairs<'a> {
        Pairs {
            remembered: &remembered.certificates,
            loaded: BTreeMap::new(),
            merged: BTreeMap::new(),
            claims: BTreeMap::new(),
        }
    }

    /// Reads a Secret that exists. The id is that of the certificate it becomes.
    pub(super) fn load(
        &mut self,
        context: &Context<'_>,
        secret: &ObjectKey,
        users: &[&ObjectKey],
        effect: &str,
        problems: &mut Problems,
    ) -> Option<Uuid> {
        if !self.loaded.contains_key(secret) {
            let object = context.store.get::<KubeSecret>(&secret.namespace, &secret.name)?;
            let pair = match read(context, secret, object, self.remembered.get(secret)) {
                Ok(pair) => pair,
                Err(fault) => {
                    let old = self.remembered.get(secret).filter(|old| old.uid == object.metadata.uid);
                    let effect = if old.is_some() {
                        "the last good certificate of this Secret still serves"
                    } else {
                        effect
                    };
                    let message = format!("failed to construct certificate from secret: {fault}");
                    for object in users.iter().copied().chain([secret]) {
                        problems.add(object, "", message.clone(), effect);
                    }
                    old?.clone()
                }
            };
            self.loaded.insert(secret.clone(), pair);
        }
        let pair = self.loaded.get(secret)?;
        Some(*self.merged.entry(pair.content()).or_insert(pair.id))
    }

    /// The id that Secrets of this content share.
    fn merged_id(&self, pair: &Pair) -> Uuid {
        self.merged.get(&pair.content()).copied().unwrap_or(pair.id)
    }

    pub(super) fn into_remembered(self) -> BTreeMap<ObjectKey, Pair> {
        self.loaded
    }
}

impl Pair {
    fn content(&self) -> (String, Secret) {
        (self.cert.clone(), self.key.clone())
    }
}

/// A pair that was good before needn't be parsed again.
fn read(
    context: &Context<'_>,
    key: &ObjectKey,
    secret: &KubeSecret,
    before: Option<&Pair>,
) -> Result<Pair, String> {
    let part = |name: &str| {
        text(secret.data.as_ref(), name)
            .map(|text| text.trim().to_owned())
            .ok_or_else(|| format!("it has no {name}"))
    };
    let (cert, private) = (part("tls.crt")?, part("tls.key")?);
    let known = before.is_some_and(|before| before.cert == cert && before.key.expose() == private);
    if !known {
        (context.checks.certificate)(&cert, &private)?;
    }
    Ok(Pair {
        uid: secret.metadata.uid.clone(),
        id: names::object_id("certificates", key, &secret.metadata),
        cert,
        key: Secret::new(private),
    })
}

/// Puts every certificate that is asked for into the model. Each server name belongs to the first who claims
/// it, the oldest Ingress first; a Secret that can't be used claims nothing.
pub(super) fn build(
    context: &Context<'_>,
    ingresses: &[&Arc<Ingress>],
    pairs: &mut Pairs<'_>,
    model: &mut Model,
    problems: &mut Problems,
) {
    let wishes: Vec<Wish<'_>> =
        ingresses.iter().flat_map(|ingress| wishes(context, ingress, problems)).collect();
    load_oldest_first(context, &wishes, pairs, problems);
    for wish in wishes.iter().filter(|wish| pairs.loaded.contains_key(&wish.secret)) {
        claim(wish, &mut pairs.claims, problems);
    }
    for (key, pair) in &pairs.loaded {
        let certificate = model.certificates.entry(pairs.merged_id(pair)).or_insert_with(|| Certificate {
            id: pairs.merged_id(pair),
            cert: pair.cert.clone(),
            key: pair.key.clone(),
            snis: Vec::new(),
            origin: Some(names::origin(key)),
        });
        let claimed = pairs.claims.iter().filter(|(_, claim)| claim.secret == *key);
        certificate.snis.extend(claimed.map(|(host, _)| host.clone()));
        certificate.snis.sort();
    }
}

/// One `tls` section of an Ingress that names hosts and a Secret that exists; others mean nothing.
fn wishes<'a>(context: &Context<'_>, ingress: &'a Ingress, problems: &mut Problems) -> Vec<Wish<'a>> {
    let key = ObjectKey::of_object(ingress);
    let mut wishes = Vec::new();
    let sections = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    for (index, section) in sections.enumerate() {
        let hosts = section.hosts.as_deref().unwrap_or_default();
        let named = section.secret_name.as_ref().filter(|name| !name.is_empty() && !hosts.is_empty());
        let Some(name) = named else { continue };
        let field = format!("spec.tls[{index}]");
        let secret = ObjectKey::new(Kind::Secret, key.namespace.as_str(), name.as_str());
        if context.store.object(&secret).is_none() {
            let message = format!("Failed to fetch the secret ({}/{name}): there is none", key.namespace);
            problems.add(&key, format!("{field}.secretName"), message, NOT_SERVED);
            continue;
        }
        wishes.push(Wish { ingress: key.clone(), field, hosts, secret });
    }
    wishes
}

/// The oldest Secret gives its id to all that have the same content.
fn load_oldest_first(
    context: &Context<'_>,
    wishes: &[Wish<'_>],
    pairs: &mut Pairs<'_>,
    problems: &mut Problems,
) {
    let mut users: BTreeMap<&ObjectKey, Vec<&ObjectKey>> = BTreeMap::new();
    for wish in wishes {
        users.entry(&wish.secret).or_default().push(&wish.ingress);
    }
    let age = |key: &ObjectKey| {
        context.store.get::<KubeSecret>(&key.namespace, &key.name).map(|secret| class::age(&**secret))
    };
    let mut secrets: Vec<_> = users.into_iter().collect();
    secrets.sort_by_cached_key(|(secret, _)| age(secret));
    for (secret, users) in secrets {
        pairs.load(context, secret, &users, NOT_SERVED, problems);
    }
}

fn claim(wish: &Wish<'_>, claims: &mut BTreeMap<String, Claim>, problems: &mut Problems) {
    for host in wish.hosts {
        match claims.get(host) {
            None => {
                let claim = Claim { secret: wish.secret.clone(), by: wish.ingress.clone() };
                claims.insert(host.clone(), claim);
            }
            Some(first) if first.secret == wish.secret => {}
            Some(first) => {
                let Claim { secret, by } = first;
                let message = format!("{host} is already served with {secret}, which {by} asked for");
                let field = format!("{}.hosts", wish.field);
                problems.add(&wish.ingress, field, message, "that certificate serves this host");
            }
        }
    }
}
