//! Consumers, their credentials and their groups.

use serde_json::{Value, json};

use super::super::entity::Entity;
use crate::model::{Consumer, Credential, CredentialKind, Secret};
use crate::schema::Literal::Text;
use crate::schema::{Check, Field, Record, Type, any, field, foreign, integer, number, string, typedefs};

pub(in crate::declarative) static CONSUMER: Record = Record::new(&[
    field("id", typedefs::uuid()),
    CREATED_AT,
    field("updated_at", any()),
    field("username", string()),
    field("custom_id", string()),
    field("tags", typedefs::tags()),
])
.checks(&[Check::AtLeastOneOf(&["custom_id", "username"])]);

pub(in crate::declarative) static ACL: Record =
    Record::new(&[ID, CREATED_AT, OWNER, field("group", string().required()), TAGS]);

pub(in crate::declarative) static KEY_AUTH: Record =
    Record::new(&[ID, CREATED_AT, OWNER, field("key", string().secret()), TAGS, TTL]);

pub(in crate::declarative) static BASIC_AUTH: Record = Record::new(&[
    ID,
    CREATED_AT,
    OWNER,
    field("username", string().required()),
    field("password", string().required().secret()),
    TAGS,
]);

pub(in crate::declarative) static JWT: Record = Record::new(&[
    ID,
    CREATED_AT,
    OWNER,
    field("key", string()),
    field("secret", string().secret()),
    field("rsa_public_key", string()),
    field(
        "algorithm",
        string().default(Text("HS256")).one_of(&[
            Text("HS256"),
            Text("HS384"),
            Text("HS512"),
            Text("RS256"),
            Text("RS384"),
            Text("RS512"),
            Text("ES256"),
            Text("ES384"),
            Text("ES512"),
            Text("PS256"),
            Text("PS384"),
            Text("PS512"),
            Text("EdDSA"),
        ]),
    ),
    TAGS,
])
.checks(&[Check::If {
    field: "algorithm",
    is: &WITH_PUBLIC_KEY,
    then: "rsa_public_key",
    must: &PUBLIC_KEY,
    error: None,
}]);

const ID: Field = field("id", typedefs::uuid());
const CREATED_AT: Field = field("created_at", integer().timestamp());
const OWNER: Field = field("consumer", foreign("consumers").required());
const TAGS: Field = field("tags", typedefs::tags());
/// Forgetting it silently would leave a credential valid for ever.
const TTL: Field = field("ttl", number().null_only().error("credentials that expire are not supported"));
static WITH_PUBLIC_KEY: Type = any().one_of(&[
    Text("RS256"),
    Text("RS384"),
    Text("RS512"),
    Text("PS256"),
    Text("PS384"),
    Text("PS512"),
    Text("EdDSA"),
]);
static PUBLIC_KEY: Type = any().required().check(check_public_key);

fn check_public_key(pem: &str) -> Result<(), String> {
    use jsonwebtoken::DecodingKey;
    let bytes = pem.as_bytes();
    let usable = DecodingKey::from_rsa_pem(bytes).is_ok()
        || DecodingKey::from_ec_pem(bytes).is_ok()
        || DecodingKey::from_ed_pem(bytes).is_ok();
    if usable { Ok(()) } else { Err("invalid key".to_owned()) }
}

pub(in crate::declarative) fn to_model(entity: &Entity, now: i64) -> Consumer {
    let fields = entity.fields();
    Consumer {
        id: entity.id,
        username: fields.text("username"),
        custom_id: fields.text("custom_id"),
        tags: fields.texts("tags"),
        created_at: fields.int("created_at").unwrap_or(now),
        updated_at: now,
        groups: Vec::new(),
        credentials: Vec::new(),
        origin: Some(entity.origin()),
    }
}

/// The group an `acls` entity puts its consumer into.
pub(in crate::declarative) fn group(entity: &Entity) -> Option<String> {
    entity.fields().text("group")
}

/// The credential an entity is, if it is one. A key or secret that was left out is made up, as in Kong.
pub(in crate::declarative) fn credential(entity: &Entity) -> Option<Credential> {
    let fields = entity.fields();
    let key = || fields.text("key").unwrap_or_else(random_text);
    let kind = match entity.section.name {
        "keyauth_credentials" => CredentialKind::KeyAuth { key: Secret::new(key()) },
        "basicauth_credentials" => CredentialKind::BasicAuth {
            username: fields.text("username")?,
            password: Secret::new(fields.text("password")?),
        },
        "jwt_secrets" => CredentialKind::Jwt {
            key: key(),
            algorithm: fields.text("algorithm")?,
            secret: Secret::new(fields.text("secret").unwrap_or_else(random_text)),
            rsa_public_key: fields.text("rsa_public_key"),
        },
        _ => return None,
    };
    Some(Credential { id: entity.id, kind, tags: fields.texts("tags") })
}

/// A credential's section and fields.
pub(in crate::declarative) fn print(
    kind: &CredentialKind,
    show: impl Fn(&Secret) -> String,
) -> (&'static str, Value) {
    match kind {
        CredentialKind::KeyAuth { key } => ("keyauth_credentials", json!({"key": show(key)})),
        CredentialKind::BasicAuth { username, password } => {
            ("basicauth_credentials", json!({"username": username, "password": show(password)}))
        }
        CredentialKind::Jwt { key, algorithm, secret, rsa_public_key } => (
            "jwt_secrets",
            json!({
                "key": key,
                "algorithm": algorithm,
                "secret": show(secret),
                "rsa_public_key": rsa_public_key,
            }),
        ),
    }
}

/// 122 random bits, not to be guessed.
fn random_text() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
