//! Kong's `basic-auth`: name and password of RFC 7617, from `Proxy-Authorization` or `Authorization`.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::credentials::{Credentials, Holder};
use super::identity::{Anonymous, Refusal, authenticate};
use super::registry::Build;
use super::{Flow, Phases, Plugin};
use crate::exchange::Exchange;
use crate::http::name::Name;
use crate::schema::Literal::{Bool, Text};
use crate::schema::{PluginSchema, Record, boolean, field, string};

static CONFIG: Record = Record::new(&[
    field(
        "anonymous",
        string().about("id or username of the consumer that requests without valid credentials pass as"),
    ),
    field(
        "hide_credentials",
        boolean().required().default(Bool(false)).about("keep the credentials from the upstream"),
    ),
    field(
        "realm",
        string().required().default(Text("service")).about("the realm that a refused client reads"),
    ),
]);
pub static SCHEMA: PluginSchema = PluginSchema::new("basic-auth", &CONFIG)
    .no_consumer_scope()
    .about("lets in who knows a name and its password");

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

struct BasicAuth {
    hide_credentials: bool,
    challenge: String,
    anonymous: Anonymous,
    credentials: Arc<Credentials>,
}

#[derive(Deserialize)]
struct Settings {
    anonymous: Option<String>,
    hide_credentials: bool,
    realm: String,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    Ok(Arc::new(BasicAuth {
        hide_credentials: settings.hide_credentials,
        challenge: format!("Basic realm=\"{}\"", settings.realm),
        anonymous: Anonymous::of(settings.anonymous.as_deref(), build.credentials),
        credentials: build.credentials.clone(),
    }))
}

impl Plugin for BasicAuth {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        if self.anonymous.is_settled(exchange) {
            return Flow::Next;
        }
        let found = self.find(exchange, Name::ProxyAuthorization);
        if let Some((holder, username)) = found.or_else(|| self.find(exchange, Name::Authorization)) {
            authenticate(exchange, &holder, &username);
            return Flow::Next;
        }
        self.anonymous.or_refuse(exchange, Refusal::unauthorized("Unauthorized", self.challenge.clone()))
    }
}

impl BasicAuth {
    fn find(&self, exchange: &mut Exchange, header: Name) -> Option<(Holder, String)> {
        let headers = &mut exchange.request.fields;
        let given = headers.get(header).map(parse)?;
        if self.hide_credentials {
            headers.remove(header);
        }
        let (username, password) = given?;
        let holder = self.credentials.password(&username, &password)?.clone();
        Some((holder, username))
    }
}

/// The name, which can't be empty, and the password, which may contain colons.
fn parse(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let value = value.trim_ascii();
    let encoded = value.strip_prefix(b"Basic").or_else(|| value.strip_prefix(b"basic"))?;
    let mut decoded = BASE64.decode(encoded.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &decoded).filter(|at| *at > 0)?;
    let password = decoded.split_off(colon + 1);
    decoded.pop();
    Some((String::from_utf8(decoded).ok()?, password))
}

#[cfg(test)]
mod tests;
