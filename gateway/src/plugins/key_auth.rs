//! Kong's `key-auth`: a key in a header, a query argument or the body says who is asking.

mod body;

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use self::body::FormBody;
use super::credentials::Credentials;
use super::identity::{Anonymous, Refusal, authenticate};
use super::registry::Build;
use super::{Flow, Phases, Plugin};
use crate::exchange::Exchange;
use crate::http::fields::Fields;
use crate::http::head::Method;
use crate::http::query;
use crate::schema::Literal::{Bool, List, Text};
use crate::schema::{PluginSchema, Record, Type, array, boolean, field, string, typedefs};

static CONFIG: Record = Record::new(&[
    field(
        "key_names",
        array(&KEY_NAME)
            .required()
            .default(List(&[Text("apikey")]))
            .about("names under which a key is looked for, in order"),
    ),
    field(
        "hide_credentials",
        boolean().required().default(Bool(false)).about("keep the key from the upstream"),
    ),
    field(
        "anonymous",
        string().about("id or username of the consumer that requests without a valid key pass as"),
    ),
    field("key_in_header", boolean().required().default(Bool(true)).about("look at headers")),
    field("key_in_query", boolean().required().default(Bool(true)).about("look at query arguments")),
    field(
        "key_in_body",
        boolean()
            .required()
            .default(Bool(false))
            .about("look at form, JSON and multipart bodies of at most 1 MiB"),
    ),
    field(
        "run_on_preflight",
        boolean().required().default(Bool(true)).about("ask OPTIONS requests for a key too"),
    ),
    field("realm", string().about("the realm that a refused client reads")),
]);
static KEY_NAME: Type = typedefs::header_name();
pub static SCHEMA: PluginSchema =
    PluginSchema::new("key-auth", &CONFIG).no_consumer_scope().about("lets in who has an API key");

struct KeyAuth {
    settings: Settings,
    challenge: String,
    anonymous: Anonymous,
    credentials: Arc<Credentials>,
}

#[derive(Deserialize)]
struct Settings {
    key_names: Vec<String>,
    hide_credentials: bool,
    anonymous: Option<String>,
    key_in_header: bool,
    key_in_query: bool,
    key_in_body: bool,
    run_on_preflight: bool,
    realm: Option<String>,
}

/// What was found under a name.
enum Found {
    Nothing,
    Key(Vec<u8>),
    Several,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    Ok(Arc::new(KeyAuth {
        challenge: match &settings.realm {
            Some(realm) => format!("Key realm=\"{realm}\""),
            None => "Key".to_owned(),
        },
        anonymous: Anonymous::of(settings.anonymous.as_deref(), build.credentials),
        credentials: build.credentials.clone(),
        settings,
    }))
}

impl Plugin for KeyAuth {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn wants_body(&self) -> bool {
        self.settings.key_in_body
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let preflight = exchange.request.method() == Method::Options;
        if (preflight && !self.settings.run_on_preflight) || self.anonymous.is_settled(exchange) {
            return Flow::Next;
        }
        let message = match self.find(exchange) {
            Found::Several => "Duplicate API key found",
            Found::Nothing => "No API key found in request",
            Found::Key(key) => match self.credentials.key(&key) {
                Some(holder) => {
                    authenticate(exchange, holder, &holder.credential.to_string());
                    return Flow::Next;
                }
                None => "Unauthorized",
            },
        };
        self.anonymous.or_refuse(exchange, Refusal::unauthorized(message, self.challenge.clone()))
    }
}

impl KeyAuth {
    /// The first name under which there is anything decides.
    fn find(&self, exchange: &mut Exchange) -> Found {
        for name in &self.settings.key_names {
            let found = self.find_named(exchange, name);
            if let Found::Key(_) = found
                && self.settings.hide_credentials
            {
                self.hide(exchange, name);
            }
            match found {
                Found::Nothing => {}
                Found::Key(key) if key.is_empty() => return Found::Nothing,
                found => return found,
            }
        }
        Found::Nothing
    }

    fn find_named(&self, exchange: &Exchange, name: &str) -> Found {
        let mut found = Found::Nothing;
        if self.settings.key_in_header {
            found = Found::of(header(&exchange.request.fields, name).into_iter().map(<[u8]>::to_vec));
        }
        if matches!(found, Found::Nothing) && self.settings.key_in_query {
            let arguments = query::arguments(exchange.request.query().unwrap_or_default());
            let named = arguments.filter(|argument| *argument.name == *name.as_bytes());
            found = Found::of(named.filter_map(|argument| argument.value.map(std::borrow::Cow::into_owned)));
        }
        if matches!(found, Found::Nothing)
            && self.settings.key_in_body
            && let Some(body) = FormBody::of(exchange)
        {
            found = Found::of(body.values(name));
        }
        found
    }

    fn hide(&self, exchange: &mut Exchange, name: &str) {
        if self.settings.key_in_header {
            exchange.request.fields.remove(name);
            exchange.request.fields.remove(&*name.replace('_', "-"));
        }
        if self.settings.key_in_query
            && let Some(query) = exchange.request.query()
        {
            let kept = query::without(query, |argument| *argument.name == *name.as_bytes());
            exchange.set_query(&kept);
        }
        if self.settings.key_in_body
            && let Some(body) = FormBody::of(exchange).and_then(|body| body.without(name))
        {
            exchange.body = Some(Bytes::from(body));
        }
    }
}

/// Values of a header. A name with `_` also finds the header written with `-`.
fn header<'a>(fields: &'a Fields, name: &'a str) -> Vec<&'a [u8]> {
    let values: Vec<&[u8]> = fields.get_all(name).collect();
    if values.is_empty() && name.contains('_') {
        let dashed = name.replace('_', "-");
        return fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(dashed.as_bytes()))
            .map(|field| field.value)
            .collect();
    }
    values
}

impl Found {
    fn of(values: impl IntoIterator<Item = Vec<u8>>) -> Found {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Found::Nothing,
            (Some(value), None) => Found::Key(value),
            (Some(_), Some(_)) => Found::Several,
        }
    }
}

#[cfg(test)]
mod tests;
