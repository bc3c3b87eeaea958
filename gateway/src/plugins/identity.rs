//! What all authentication plugins do alike: say who is asking, to the plugins behind them and to the
//! upstream, and treat those who don't say it.
//!
//! Whatever a client sends under one of the names that tell an upstream who is asking is removed, in every
//! spelling that an upstream might take for it.

use std::borrow::Cow;
use std::sync::Arc;

use admin_api::Reason;

use super::Flow;
use super::credentials::{Credentials, Holder};
use crate::exchange::{Answer, Exchange};
use crate::http::fields::Fields;
use crate::http::name::Name;
use crate::model::Consumer;

/// Names that only the gateway may use.
const NAMES: &[&str] = &[
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "x-authenticated-groups",
];

/// Who passes without a credential, by the `anonymous` setting.
pub(super) enum Anonymous {
    /// Nobody.
    Nobody,
    /// Everybody, as this consumer.
    As(Arc<Consumer>),
    /// The setting names a consumer that there isn't.
    Missing(String),
}

/// Why somebody is not let in.
pub(super) struct Refusal {
    pub answer: Answer,
    /// What `WWW-Authenticate` demands.
    pub challenge: Option<String>,
}

impl Anonymous {
    pub(super) fn of(setting: Option<&str>, credentials: &Credentials) -> Anonymous {
        match setting.filter(|setting| !setting.is_empty()) {
            None => Anonymous::Nobody,
            Some(setting) => match credentials.consumer(setting) {
                Some(consumer) => Anonymous::As(consumer.clone()),
                None => Anonymous::Missing(setting.to_owned()),
            },
        }
    }

    /// Whether a plugin in front has found out already who is asking, and that will do.
    pub(super) fn is_settled(&self, exchange: &Exchange) -> bool {
        !matches!(self, Anonymous::Nobody) && exchange.credential.is_some()
    }

    /// Lets the request pass as the anonymous consumer, or refuses it.
    pub(super) fn or_refuse<'a>(&self, exchange: &mut Exchange, refusal: Refusal) -> Flow<'a> {
        match self {
            Anonymous::As(consumer) => {
                identify(exchange, consumer.clone(), None);
                Flow::Next
            }
            Anonymous::Missing(name) => Flow::Fail(Cow::Owned(format!(
                "anonymous consumer {name} is configured but doesn't exist: create it or change the setting"
            ))),
            Anonymous::Nobody => {
                if let Some(challenge) = refusal.challenge {
                    exchange.on_response.set(Name::WwwAuthenticate, challenge);
                }
                Flow::Answer(refusal.answer)
            }
        }
    }
}

impl Refusal {
    /// Kong's error answer to somebody without a valid credential.
    pub(super) fn unauthorized(message: &'static str, challenge: String) -> Refusal {
        let answer = Answer::Error { status: 401, message: message.into(), reason: Reason::Unauthorized };
        Refusal { answer, challenge: Some(challenge) }
    }
}

/// The request is the holder's. `identifier` is what the upstream is told about the credential.
pub(super) fn authenticate(exchange: &mut Exchange, holder: &Holder, identifier: &str) {
    identify(exchange, holder.consumer.clone(), Some(identifier));
    exchange.credential = Some(holder.credential);
}

fn identify(exchange: &mut Exchange, consumer: Arc<Consumer>, credential: Option<&str>) {
    let headers = &mut exchange.request.fields;
    remove_claims(headers);
    headers.append(Name::XConsumerId, consumer.id.to_string());
    if let Some(custom_id) = &consumer.custom_id {
        headers.append(Name::XConsumerCustomId, custom_id);
    }
    if let Some(username) = &consumer.username {
        headers.append(Name::XConsumerUsername, username);
    }
    match credential {
        Some(identifier) => headers.append(Name::XCredentialIdentifier, identifier),
        None => headers.append(Name::XAnonymousConsumer, "true"),
    }
    exchange.credential = None;
    exchange.consumer = Some(consumer);
}

/// Removes what only the gateway may say. `_` counts as `-`: applications behind CGI-like interfaces can't
/// tell them apart.
pub(super) fn remove_claims(headers: &mut Fields) {
    headers.retain(|field| {
        let is_claim = |name: &str| {
            name.len() == field.name.len()
                && name.bytes().zip(field.name).all(|(known, byte)| {
                    known == byte.to_ascii_lowercase() || (known == b'-' && *byte == b'_')
                })
        };
        !NAMES.iter().any(|name| is_claim(name))
    });
}
