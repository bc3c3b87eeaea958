//! Kong's `jwt`: a signed token (RFC 7519) in a header, a cookie or the query says who is asking.
//!
//! The algorithm is the credential's, never the token's: one that states another is refused before its
//! signature is looked at. Refusals are Kong's exits, `{"message": …}`, with Kong's words.

mod signature;
mod token;

use std::collections::BTreeSet;
use std::sync::Arc;

use admin_api::Reason;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) use self::signature::Verifier;
use self::token::Token;
use super::credentials::{Credentials, Holder};
use super::identity::{Anonymous, Refusal, authenticate};
use super::registry::Build;
use super::{Flow, Phases, Plugin, json as kong_json};
use crate::clock::Clock;
use crate::exchange::{Answer, Exchange};
use crate::http::head::Method;
use crate::http::name::Name;
use crate::http::query;
use crate::schema::Literal::{Bool, Int, List, Text};
use crate::schema::{Check, PluginSchema, Record, Type, any, boolean, field, number, set, string, typedefs};

static CONFIG: Record = Record::new(&[
    field(
        "uri_param_names",
        set(&TEXT).default(List(&[Text("jwt")])).about("query arguments that may hold a token"),
    ),
    field("cookie_names", set(&TEXT).default(List(&[])).about("cookies that may hold a token")),
    field(
        "key_claim_name",
        string().default(Text("iss")).about("the claim, or else header parameter, that names the credential"),
    ),
    field(
        "secret_is_base64",
        boolean().required().default(Bool(false)).about("the secrets of HS algorithms are base64"),
    ),
    field("claims_to_verify", set(&CLAIM).about("`exp` and `nbf`: claims that must be there and hold")),
    field(
        "anonymous",
        string().about("id or username of the consumer that requests without a valid token pass as"),
    ),
    field(
        "run_on_preflight",
        boolean().required().default(Bool(true)).about("ask OPTIONS requests for a token too"),
    ),
    field(
        "maximum_expiration",
        number()
            .default(Int(0))
            .between(0.0, 31_536_000.0)
            .about("seconds that `exp` may lie in the future; 0: any"),
    ),
    field(
        "header_names",
        set(&HEADER).default(List(&[Text("authorization")])).about("headers that may hold `Bearer TOKEN`"),
    ),
    field("realm", string().about("the realm that a refused client reads")),
]);
static TEXT: Type = string();
static HEADER: Type = typedefs::header_name();
static CLAIM: Type = string().one_of(&[Text("exp"), Text("nbf")]);
static ABOVE_ZERO: Type = any().greater_than(0.0);
static HAS_EXP: Type = any().contains(Text("exp"));
pub static SCHEMA: PluginSchema = PluginSchema::new("jwt", &CONFIG)
    .no_consumer_scope()
    .checks(&[Check::If {
        field: "config.maximum_expiration",
        is: &ABOVE_ZERO,
        then: "config.claims_to_verify",
        must: &HAS_EXP,
        error: None,
    }])
    .about("lets in who has a signed token");

struct Jwt {
    settings: Settings,
    anonymous: Anonymous,
    credentials: Arc<Credentials>,
    clock: Clock,
}

#[derive(Deserialize)]
struct Settings {
    uri_param_names: Vec<String>,
    cookie_names: Vec<String>,
    key_claim_name: String,
    secret_is_base64: bool,
    #[serde(default)]
    claims_to_verify: Option<Vec<String>>,
    anonymous: Option<String>,
    run_on_preflight: bool,
    maximum_expiration: f64,
    header_names: Vec<String>,
    realm: Option<String>,
}

/// What is wrong with a token: the body of the refusal.
enum Wrong {
    /// There is none.
    Absent,
    Message(String),
    Claims(Map<String, Value>),
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = build.settings()?;
    Ok(Arc::new(Jwt {
        anonymous: Anonymous::of(settings.anonymous.as_deref(), build.credentials),
        credentials: build.credentials.clone(),
        clock: build.environment.clock.clone(),
        settings,
    }))
}

impl Plugin for Jwt {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let preflight = exchange.request.method() == Method::Options;
        if (preflight && !self.settings.run_on_preflight) || self.anonymous.is_settled(exchange) {
            return Flow::Next;
        }
        match self.judge(exchange) {
            Ok((holder, key)) => {
                authenticate(exchange, &holder, &key);
                Flow::Next
            }
            Err(wrong) => self.anonymous.or_refuse(exchange, self.refusal(wrong)),
        }
    }
}

impl Jwt {
    /// Whose token it is, with the value that names the credential.
    fn judge(&self, exchange: &Exchange) -> Result<(Holder, String), Wrong> {
        let say = |text: &str| Wrong::Message(text.to_owned());
        let mut tokens = self.tokens(exchange).into_iter();
        let encoded = match (tokens.next(), tokens.next()) {
            (None, _) => return Err(Wrong::Absent),
            (Some(_), Some(_)) => return Err(say("Multiple tokens provided")),
            (Some(token), None) => token,
        };
        let token = Token::decode(&encoded).map_err(|what| Wrong::Message(format!("Bad token; {what}")))?;
        let claim = &self.settings.key_claim_name;
        let key = match token.claims.get(claim).or_else(|| token.header.get(claim)) {
            None | Some(Value::Null) => {
                return Err(Wrong::Message(format!("No mandatory '{claim}' in claims")));
            }
            Some(Value::String(key)) if key.is_empty() => {
                return Err(Wrong::Message(format!("Invalid '{claim}' in claims")));
            }
            Some(key) => key.as_str().map_or_else(|| key.to_string(), str::to_owned),
        };
        let Some((holder, verifier)) = self.credentials.token(&key) else {
            return Err(Wrong::Message(format!("No credentials found for given '{claim}'")));
        };
        if verifier.algorithm() != token.algorithm {
            return Err(say("Invalid algorithm"));
        }
        match verifier.verify(&token, self.settings.secret_is_base64) {
            None => return Err(say("Invalid key/secret")),
            Some(false) => return Err(say("Invalid signature")),
            Some(true) => {}
        }
        self.check_claims(&token)?;
        Ok((holder.clone(), key))
    }

    fn check_claims(&self, token: &Token<'_>) -> Result<(), Wrong> {
        let now = self.clock.unix().as_secs_f64();
        let mut wrong = Map::new();
        for claim in self.settings.claims_to_verify.iter().flatten() {
            let text = match (claim.as_str(), token.claims.get(claim).and_then(Value::as_f64)) {
                (_, None) => "must be a number",
                ("exp", Some(time)) if time <= now => "token expired",
                ("nbf", Some(time)) if time > now => "token not valid yet",
                _ => continue,
            };
            wrong.insert(claim.clone(), json!(text));
        }
        let limit = self.settings.maximum_expiration;
        let expires = token.claims.get("exp").and_then(Value::as_f64);
        if wrong.is_empty() && limit > 0.0 && expires.is_some_and(|expires| expires - now > limit) {
            wrong.insert("exp".to_owned(), json!("exceeds maximum allowed expiration"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Wrong::Claims(wrong)) }
    }

    /// All different tokens, wherever they are.
    fn tokens(&self, exchange: &Exchange) -> BTreeSet<Vec<u8>> {
        let headers = &exchange.request.fields;
        let mut tokens = BTreeSet::new();
        let is_wanted =
            |name: &[u8]| self.settings.uri_param_names.iter().any(|wanted| wanted.as_bytes() == name);
        let arguments = query::arguments(exchange.request.query().unwrap_or_default());
        let from_query = arguments.filter(|argument| is_wanted(&argument.name));
        tokens.extend(from_query.filter_map(|argument| argument.value.map(std::borrow::Cow::into_owned)));
        for name in &self.settings.cookie_names {
            tokens.extend(
                headers.get_all(Name::Cookie).find_map(|line| cookie(line, name)).map(<[u8]>::to_vec),
            );
        }
        for name in &self.settings.header_names {
            tokens.extend(headers.get(name.as_str()).and_then(bearer).map(<[u8]>::to_vec));
        }
        tokens.retain(|token| !token.is_empty());
        tokens
    }

    fn refusal(&self, wrong: Wrong) -> Refusal {
        let realm =
            self.settings.realm.as_ref().map(|realm| format!(" realm=\"{realm}\"")).unwrap_or_default();
        let (body, error) = match wrong {
            Wrong::Absent => (json!({"message": "Unauthorized"}), ""),
            Wrong::Message(text) => (json!({"message": text}), " error=\"invalid_token\""),
            Wrong::Claims(claims) => (Value::Object(claims), " error=\"invalid_token\""),
        };
        let answer = Answer::Exit {
            status: 401,
            content_type: Some("application/json; charset=utf-8".into()),
            body: Bytes::from(kong_json::text(&body)),
            reason: Reason::Unauthorized,
        };
        Refusal { answer, challenge: Some(format!("Bearer{realm}{error}")) }
    }
}

/// The token of `Bearer TOKEN`, as Kong recognises it: two spellings, any blanks.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let rest = value.strip_prefix(b"Bearer").or_else(|| value.strip_prefix(b"bearer"))?;
    let token = rest.trim_ascii_start();
    (token.len() < rest.len()).then_some(token)
}

fn cookie<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.split(|byte| *byte == b';').find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value)
    })
}

#[cfg(test)]
mod tests;
