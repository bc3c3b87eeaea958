//! A data plane's judgement, small enough to see through: a few plugins with a few settings each.

use std::sync::Arc;

use gateway::model::{Protocol, RoutePath};
use gateway::translate::{Checks, FieldError, PluginSchemas};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Judges with the plugins below, the `regex` crate and rustls.
pub(crate) fn checks() -> Checks {
    Checks { plugins: Arc::new(Plugins), path, certificate, authority }
}

struct Plugins;

/// Its name, an example of its type, and whether that is the default.
type Setting = (&'static str, Value, bool);

const PLUGINS: &[(&str, &[Setting])] = &[
    ("cors", &[]),
    ("correlation-id", &[("header_name", Value::Null, false), ("echo_downstream", Value::Bool(false), true)]),
    ("http-log", &[("http_endpoint", Value::Null, false), ("method", Value::Null, false)]),
    (
        "ip-restriction",
        &[("allow", Value::Array(Vec::new()), false), ("deny", Value::Array(Vec::new()), false)],
    ),
    ("key-auth", &[("hide_credentials", Value::Bool(false), true)]),
    ("rate-limiting", &[("minute", Value::Null, false), ("policy", Value::Null, false)]),
];

impl PluginSchemas for Plugins {
    fn check(&self, plugin: &str, config: &Value) -> Result<Value, Vec<FieldError>> {
        let error = |field: &str, message: &str| FieldError {
            field: format!("config.{field}"),
            message: message.to_owned(),
        };
        let (_, settings) = PLUGINS.iter().find(|(name, _)| *name == plugin).unwrap();
        let mut errors = Vec::new();
        let mut checked = config.as_object().unwrap().clone();
        for (name, value) in config.as_object().unwrap() {
            match settings.iter().find(|(known, ..)| known == name) {
                _ if plugin == "http-log" => {}
                None => errors.push(error(name, "unknown field")),
                Some((_, Value::Array(_), _)) if !value.is_array() => {
                    errors.push(error(name, "expected an array"));
                }
                Some((_, Value::Bool(_), _)) if !value.is_boolean() => {
                    errors.push(error(name, "expected a boolean"));
                }
                Some(("minute", ..)) if !value.is_number() => errors.push(error(name, "expected a number")),
                Some(_) => {}
            }
        }
        for (name, value, _) in settings.iter().filter(|(.., default)| *default) {
            checked.entry(*name).or_insert(value.clone());
        }
        if plugin == "rate-limiting" {
            checked.entry("policy").or_insert(json!("local"));
        }
        if errors.is_empty() { Ok(Value::Object(checked)) } else { Err(errors) }
    }

    fn protocols(&self, _: &str) -> Vec<Protocol> {
        vec![Protocol::Grpc, Protocol::Grpcs, Protocol::Http, Protocol::Https]
    }

    fn takes_consumer(&self, plugin: &str) -> bool {
        plugin != "key-auth"
    }

    fn known(&self) -> Vec<&str> {
        PLUGINS.iter().map(|(name, _)| *name).collect()
    }
}

fn path(path: &RoutePath) -> Result<(), String> {
    match path {
        RoutePath::Prefix(text) if text.split('/').any(|part| part == "..") => {
            Err("non-normalized path".to_owned())
        }
        RoutePath::Prefix(_) => Ok(()),
        RoutePath::Regex(text) => {
            regex::Regex::new(text).map(drop).map_err(|_| format!("invalid regex: '{text}'"))
        }
    }
}

fn certificate(cert: &str, key: &str) -> Result<(), String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| "the certificate is no PEM".to_owned())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "the key is no PEM".to_owned())?;
    rustls::sign::CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map(drop)
        .map_err(|_| "certificate and key don't fit".to_owned())
}

fn authority(cert: &str) -> Result<(), String> {
    CertificateDer::from_pem_slice(cert.as_bytes()).map(drop).map_err(|_| "it is no PEM".to_owned())
}
