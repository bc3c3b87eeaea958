//! Protobuf, the other form in which clients send and ask for built-in kinds: the envelope, and messages by the
//! numbers that the published types give their fields.

mod read;
mod write;

use serde_json::{Value, json};

use crate::schema::{self, Schema};

const MAGIC: &[u8] = b"k8s\0";

/// What a message is made of on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// Types that are JSON in a message's only field.
const AS_JSON: [&str; 3] = ["FieldsV1", "JSON", "RawExtension"];

/// The schema of schemas, as definitions of custom resources hold them.
fn json_schema() -> Schema {
    schema::named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
}

/// The object in its envelope; nothing for a kind that has no such form.
pub(crate) fn encode(object: &Value) -> Option<Vec<u8>> {
    let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let message = write::message(&schema_of(api_version, kind)?, object);
    let mut type_meta = Vec::new();
    write::text(&mut type_meta, 1, api_version);
    write::text(&mut type_meta, 2, kind);
    let mut unknown = Vec::new();
    write::bytes(&mut unknown, 1, &type_meta);
    write::bytes(&mut unknown, 2, &message);
    // Encoding and media type, both empty, are written too.
    write::text(&mut unknown, 3, "");
    write::text(&mut unknown, 4, "");
    Some([MAGIC, &unknown].concat())
}

/// The object in an envelope, with its type.
pub(crate) fn decode(bytes: &[u8], default: (&str, &str)) -> Result<Value, String> {
    let rest =
        bytes.strip_prefix(MAGIC).ok_or("the body does not begin with the protobuf prefix of Kubernetes")?;
    let mut type_meta = (String::new(), String::new());
    let mut raw: &[u8] = &[];
    for field in read::fields(rest)? {
        match (field.number, field.bytes) {
            (1, Some(bytes)) => {
                for field in read::fields(bytes)? {
                    let text = String::from_utf8_lossy(field.bytes.unwrap_or_default()).into_owned();
                    if field.number == 1 {
                        type_meta.0 = text;
                    } else if field.number == 2 {
                        type_meta.1 = text;
                    }
                }
            }
            (2, Some(bytes)) => raw = bytes,
            _ => {}
        }
    }
    if type_meta.1.is_empty() {
        type_meta = (default.0.to_owned(), default.1.to_owned());
    }
    let (api_version, kind) = type_meta;
    let schema = schema_of(&api_version, &kind)
        .ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut object = read::message(&schema, raw)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

fn schema_of(api_version: &str, kind: &str) -> Option<Schema> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let package = match group {
        "" if matches!(kind, "Status" | "DeleteOptions") => "io.k8s.apimachinery.pkg.apis.meta.v1".to_owned(),
        "meta.k8s.io" => "io.k8s.apimachinery.pkg.apis.meta.v1".to_owned(),
        "" => format!("io.k8s.api.core.{version}"),
        "apiextensions.k8s.io" => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}"),
        group => format!("io.k8s.api.{}.{version}", group.split('.').next().unwrap_or_default()),
    };
    let name = format!("{package}.{kind}");
    schema::definition(&name).map(|_| schema::named(&name))
}

#[cfg(test)]
mod tests;
