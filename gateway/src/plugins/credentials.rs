//! Consumers and their credentials, found by what a client presents.
//!
//! What is secret is looked up by its SHA-256 or compared in constant time, so that how long a lookup takes
//! tells nothing about what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::jwt::Verifier;
use crate::model::{Consumer, Credential, CredentialKind};

/// Everybody who may identify themselves.
#[derive(Default)]
pub struct Credentials {
    consumers: HashMap<Uuid, Arc<Consumer>>,
    by_name: HashMap<String, Arc<Consumer>>,
    keys: HashMap<[u8; 32], Holder>,
    passwords: HashMap<String, (Holder, [u8; 32])>,
    tokens: HashMap<String, (Holder, Verifier)>,
}

/// Whose credential it is, and which.
#[derive(Debug, Clone)]
pub struct Holder {
    pub consumer: Arc<Consumer>,
    pub credential: Uuid,
}

impl Credentials {
    /// An index of these consumers: the previous one if nothing has changed.
    pub fn of(consumers: &BTreeMap<Uuid, Consumer>, previous: Option<&Arc<Credentials>>) -> Arc<Credentials> {
        if let Some(previous) = previous.filter(|previous| previous.is_of(consumers)) {
            return previous.clone();
        }
        let mut index = Credentials::default();
        for consumer in consumers.values() {
            let consumer = Arc::new(consumer.clone());
            for credential in &consumer.credentials {
                index.add(&consumer, credential);
            }
            if let Some(name) = &consumer.username {
                index.by_name.insert(name.clone(), consumer.clone());
            }
            index.consumers.insert(consumer.id, consumer);
        }
        Arc::new(index)
    }

    /// A consumer by id or username, as the `anonymous` setting names one.
    pub fn consumer(&self, id_or_name: &str) -> Option<&Arc<Consumer>> {
        let by_id = id_or_name.parse().ok().and_then(|id: Uuid| self.consumers.get(&id));
        by_id.or_else(|| self.by_name.get(id_or_name))
    }

    /// Who has this API key.
    pub fn key(&self, key: &[u8]) -> Option<&Holder> {
        self.keys.get(&hash(&[key]))
    }

    /// Who has this name and password. An unknown name costs what a wrong password does.
    pub fn password(&self, username: &str, password: &[u8]) -> Option<&Holder> {
        let known = self.passwords.get(username);
        let expected = known.map_or([0; 32], |(_, expected)| *expected);
        let given = password_hash(known.map(|(holder, _)| holder.consumer.id).unwrap_or_default(), password);
        let right = bool::from(given.ct_eq(&expected));
        known.filter(|_| right).map(|(holder, _)| holder)
    }

    /// Who signs tokens with this key claim, and how that is verified.
    pub(super) fn token(&self, key: &str) -> Option<(&Holder, &Verifier)> {
        self.tokens.get(key).map(|(holder, verifier)| (holder, verifier))
    }

    fn is_of(&self, consumers: &BTreeMap<Uuid, Consumer>) -> bool {
        let same = |(id, consumer): (&Uuid, &Consumer)| {
            self.consumers.get(id).is_some_and(|known| **known == *consumer)
        };
        consumers.len() == self.consumers.len() && consumers.iter().all(same)
    }

    fn add(&mut self, consumer: &Arc<Consumer>, credential: &Credential) {
        let holder = Holder { consumer: consumer.clone(), credential: credential.id };
        match &credential.kind {
            CredentialKind::KeyAuth { key } => {
                self.keys.insert(hash(&[key.expose().as_bytes()]), holder);
            }
            CredentialKind::BasicAuth { username, password } => {
                let password = password_hash(consumer.id, password.expose().as_bytes());
                self.passwords.insert(username.clone(), (holder, password));
            }
            CredentialKind::Jwt { key, algorithm, secret, rsa_public_key } => {
                let verifier = Verifier::new(algorithm, secret, rsa_public_key.as_deref());
                self.tokens.insert(key.clone(), (holder, verifier));
            }
        }
    }
}

fn password_hash(consumer: Uuid, password: &[u8]) -> [u8; 32] {
    hash(&[consumer.as_bytes(), password])
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}
