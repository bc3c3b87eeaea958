//! The data plane's own judgement, for translation: what it says can be used is what will be run.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::model::{Certificate, Protocol, RoutePath, Secret};
use crate::plugins::registry::Registry;
use crate::routing;
use crate::schema::PluginSchemas as _;
use crate::snapshot::certificates::Certificates;
use crate::translate::{Checks, FieldError, PluginSchemas};

/// The judgement of this build.
pub fn checks() -> Checks {
    Checks { plugins: Arc::new(Registered), path, certificate, authority }
}

fn path(path: &RoutePath) -> Result<(), String> {
    match path {
        RoutePath::Prefix(_) => Ok(()),
        RoutePath::Regex(source) => routing::check_path_expression(source).map_err(|error| error.to_string()),
    }
}

fn certificate(chain: &str, key: &str) -> Result<(), String> {
    let certificate = Certificate {
        id: uuid::Uuid::nil(),
        cert: chain.to_owned(),
        key: Secret::new(key),
        snis: Vec::new(),
        origin: None,
    };
    let (_, mut refused) = Certificates::new(std::iter::once(&certificate));
    refused.pop().map_or(Ok(()), |(_, cause)| Err(cause))
}

fn authority(pem: &str) -> Result<(), String> {
    let mut store = rustls::RootCertStore::empty();
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("it is not PEM: {error}"))?;
        store.add(certificate).map_err(|error| format!("it can't be used as an authority: {error}"))?;
        count += 1;
    }
    match count {
        0 => Err("there is no certificate in it".to_owned()),
        1 => Ok(()),
        _ => Err("multiple PEM certificates found".to_owned()),
    }
}

/// The plugin registry in translation's terms.
struct Registered;

impl PluginSchemas for Registered {
    fn check(&self, plugin: &str, config: &Value) -> Result<Value, Vec<FieldError>> {
        let Some(schema) = Registry.schema(plugin) else {
            let message = format!("plugin {plugin:?} is unknown");
            return Err(vec![FieldError { field: String::new(), message }]);
        };
        schema.check(config).map_err(|errors| {
            let finding = |finding: crate::schema::Finding| FieldError {
                field: finding.path,
                message: finding.message,
            };
            errors.flat().into_iter().map(finding).collect()
        })
    }

    fn protocols(&self, plugin: &str) -> Vec<Protocol> {
        Registry.schema(plugin).map(|schema| schema.protocols.to_vec()).unwrap_or_default()
    }

    fn takes_consumer(&self, plugin: &str) -> bool {
        Registry.schema(plugin).is_some_and(|schema| schema.consumer_scope)
    }

    fn known(&self) -> Vec<&str> {
        Registry.names()
    }
}
