//! Secrets and `ConfigMaps`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::{fill, text, unchanged};
use crate::failure::{Cause, Causes};

pub(in super::super) const SECRET: Rules =
    Rules { default, validate, validate_update: validate_secret_update, ..Rules::NONE };
pub(in super::super) const CONFIG_MAP: Rules = Rules { validate, validate_update, ..Rules::NONE };

const LARGEST: usize = 1024 * 1024;

/// `stringData` is a way of writing only.
fn default(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else { return };
    if let Some(Value::Object(texts)) = fields.shift_remove("stringData") {
        for (key, text) in texts {
            secret["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
        }
    }
    fill(secret, "type", "Opaque");
}

fn validate(object: &Value, causes: &mut Causes) {
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            size += value.as_str().map_or(0, str::len);
            let valid = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
            if key.is_empty() || !key.chars().all(valid) {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
                           'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
                           '[-._a-zA-Z0-9]+')";
                causes.add(Cause::invalid(format!("{field}[{key}]"), &json!(key), why));
            }
        }
    }
    if size > LARGEST {
        causes.add(Cause::too_long("data", LARGEST));
    }
    let needed: &[&str] = match text(object, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        _ => &[],
    };
    for key in needed.iter().filter(|key| object["data"][**key].is_null()) {
        causes.add(Cause::required(format!("data[{key}]"), ""));
    }
}

fn validate_secret_update(new: &Value, old: &Value, causes: &mut Causes) {
    unchanged(&new["type"], &old["type"], "type", causes);
    validate_update(new, old, causes);
}

fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        causes.add(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in ["data", "binaryData"] {
        if new[field] != old[field] {
            causes.add(Cause::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}
