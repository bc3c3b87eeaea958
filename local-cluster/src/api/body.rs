//! Bodies of requests: their size, their form, and the object in them, as strictly read as the client asked.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::media::{BodyFormat, body_format};
use super::query::FieldValidation;
use crate::failure::Failure;
use crate::resources::Kind;
use crate::schema::{self, Schema};
use crate::{json as json_text, wire, yaml};

/// The largest body in bytes.
const LIMIT: usize = 3 * 1024 * 1024;

pub(crate) async fn read(body: Incoming) -> Result<Bytes, Failure> {
    match Limited::new(body, LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(&format!("limit is {LIMIT}"))),
        Err(error) => Err(Failure::bad_request(format!("failed to read the body: {error}"))),
    }
}

pub(crate) fn too_large(why: &str) -> Failure {
    Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: {why}"))
}

/// An object read from a body, and what its client should be warned of.
pub(crate) struct Received {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

/// The object in a body, in the canonical form of its kind.
pub(crate) fn object(
    kind: &Kind,
    content_type: Option<&str>,
    body: &[u8],
    validation: FieldValidation,
) -> Result<Received, Failure> {
    let unrecognized = |why: String| {
        let summary = summary(body);
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({summary})",
            kind.kind
        ))
    };
    let mut duplicates = Vec::new();
    let value = match body_format(content_type)? {
        BodyFormat::Json => {
            let read = json_text::read(body).map_err(|error| {
                unrecognized(format!("couldn't get version/kind; json parse error: {error}"))
            })?;
            duplicates = read.duplicates;
            read.value
        }
        BodyFormat::Yaml => yaml::read(body).map_err(|error| unrecognized(format!("yaml: {error}")))?,
        BodyFormat::Protobuf if kind.custom().is_some() => {
            return body_format(Some("protobuf")).map(|_| unreached());
        }
        BodyFormat::Protobuf => {
            wire::decode(body, (&kind.api_version(), &kind.kind)).map_err(unrecognized)?
        }
    };
    if !value.is_object() {
        let found = match value {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "bool",
        };
        return Err(unrecognized(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct \
             {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        )));
    }
    let received = match kind.custom() {
        Some(_) => {
            let text = String::from_utf8_lossy(body);
            for field in ["kind", "apiVersion"] {
                if value[field].as_str().unwrap_or_default().is_empty() {
                    let shown = if field == "kind" { "Kind" } else { field };
                    return Err(unrecognized(format!("Object '{shown}' is missing in '{text}'")));
                }
            }
            custom(kind, value)?
        }
        None => built_in(kind, value)?,
    };
    let (object, mut strict) = received;
    strict.extend(duplicates);
    if validation == FieldValidation::Strict && !strict.is_empty() {
        let why = format!("strict decoding error: {}", strict.join(", "));
        return Err(unhandled(kind, &object, &why));
    }
    let warnings = if validation == FieldValidation::Warn { strict } else { Vec::new() };
    Ok(Received { object, warnings })
}

fn unreached() -> Received {
    Received { object: Value::Null, warnings: Vec::new() }
}

/// The first bytes of a body, for a message: as text if it looks like JSON, else in hexadecimal digits.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let cut = &body[..body.len().min(SHOWN)];
    let dots = if body.len() > SHOWN { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(cut)),
        Some(_) => format!("{}{dots}", hex(cut)),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhandled(kind: &Kind, object: &Value, why: &str) -> Failure {
    let found = object["kind"].as_str().unwrap_or(&kind.kind);
    let version =
        object["apiVersion"].as_str().and_then(|text| text.rsplit('/').next()).unwrap_or(&kind.version);
    Failure::bad_request(format!(
        "{found} in version {version:?} cannot be handled as a {}: {why}",
        kind.kind
    ))
}

type Read = (Value, Vec<String>);

/// Kind and version of a built-in kind may be left out, but not be others.
fn built_in(kind: &Kind, mut value: Value) -> Result<Read, Failure> {
    let (api_version, name) = (kind.api_version(), kind.kind.clone());
    for (field, own) in [("apiVersion", &api_version), ("kind", &name)] {
        if value[field].as_str().unwrap_or_default().is_empty() {
            value[field] = json!(own);
        }
    }
    if value["kind"] != *name {
        let short = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let found = format!(
            "{}.{}",
            short(value["apiVersion"].as_str().unwrap_or_default()),
            value["kind"].as_str().unwrap_or_default()
        );
        let why = format!("converting ({found}) to ({}.{name}): unknown conversion", kind.version);
        return Err(unhandled(kind, &value, &why));
    }
    if value["apiVersion"] != *api_version {
        let found = value["apiVersion"].as_str().unwrap_or_default();
        let why = format!(
            "no kind {name:?} is registered for version {found:?} in scheme \"pkg/runtime/scheme.go:110\""
        );
        return Err(unhandled(kind, &value, &why));
    }
    canonical(kind, value).map_err(|(value, why)| unhandled(kind, &value, &why))
}

fn custom(kind: &Kind, value: Value) -> Result<Read, Failure> {
    canonical(kind, value).map_err(|(value, why)| unhandled(kind, &value, &why))
}

/// Kind and version in the body must be those of the URL.
pub(crate) fn check_type(kind: &Kind, object: &Value) -> Result<(), Failure> {
    let (version, own) = (object["apiVersion"].as_str().unwrap_or_default(), kind.api_version());
    if version != own {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({own})"
        )));
    }
    let found = object["kind"].as_str().unwrap_or_default();
    if found != kind.kind {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut causes = crate::failure::Causes::default();
        let why = format!("must be {}", kind.kind);
        causes.add(crate::failure::Cause::invalid("kind", &json!(found), why));
        return Err(Failure::invalid(kind.group(), found, name, causes));
    }
    Ok(())
}

/// The object in the form in which its kind is kept, and what a strict reader would refuse; or why it can't be read.
pub(crate) fn canonical(kind: &Kind, mut value: Value) -> Result<Read, (Value, String)> {
    if kind.built_in().is_some() {
        let kept = json!({"apiVersion": value["apiVersion"], "kind": value["kind"]});
        return schema::decode(&kind.schema, value).map_err(|why| (kept, why));
    }
    let metadata = schema::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let (metadata, mut strict) = match schema::decode_at(&metadata, value["metadata"].take(), "metadata") {
        Ok((Value::Null, strict)) => (json!({}), strict),
        Ok(read) => read,
        Err(why) => return Err((value, why)),
    };
    value["metadata"] = metadata;
    // Of a version that isn't served nothing is known.
    let nothing = Schema::default();
    let version =
        value["apiVersion"].as_str().and_then(|name| name.strip_prefix(kind.group())?.strip_prefix('/'));
    let known = kind
        .custom()
        .is_some_and(|custom| custom.versions.iter().any(|known| Some(known.as_str()) == version));
    strict.extend(schema::prune(if known { &kind.schema } else { &nothing }, &mut value));
    if known {
        schema::default(&kind.schema, &mut value);
    }
    Ok((value, strict))
}
