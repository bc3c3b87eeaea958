//! How a Service wants TLS towards its pods: whom to trust, and as whom to appear.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use uuid::Uuid;

use super::annotation_values::Values;
use super::certificates::Pairs;
use super::problems::{Problems, annotation};
use super::{Context, names};
use crate::model::{CaCertificate, Model, Protocol, Service};
use crate::objects::{Kind, ObjectKey, annotations};

/// Reads the TLS annotations. They need a protocol that uses TLS.
pub(super) fn apply(
    context: &Context<'_>,
    service: &mut Service,
    key: &ObjectKey,
    values: &Values<'_>,
    pairs: &mut Pairs<'_>,
    model: &mut Model,
    problems: &mut Problems,
) {
    let tls = matches!(service.protocol, Protocol::Https | Protocol::Grpcs | Protocol::Wss);
    client_certificate(context, service, key, tls, values, pairs, problems);
    if tls {
        service.tls_verify = values.flag(annotations::TLS_VERIFY, problems);
        let depth = values.number(annotations::TLS_VERIFY_DEPTH, 0..=64, problems);
        service.tls_verify_depth = depth.and_then(|depth| u8::try_from(depth).ok());
    } else {
        for name in [annotations::TLS_VERIFY, annotations::TLS_VERIFY_DEPTH] {
            if let Some(value) = values.raw(name) {
                let expected = format!("needs {}: https, grpcs or wss", annotations::PROTOCOL);
                values.drop_value(name, value, &expected, problems);
            }
        }
    }
    authorities(context, service, key, tls, values, model, problems);
}

fn client_certificate(
    context: &Context<'_>,
    service: &mut Service,
    key: &ObjectKey,
    tls: bool,
    values: &Values<'_>,
    pairs: &mut Pairs<'_>,
    problems: &mut Problems,
) {
    let Some(name) = values.raw(annotations::CLIENT_CERT).filter(|name| !name.is_empty()) else { return };
    let field = annotation(annotations::CLIENT_CERT);
    let effect = "the pods see no client certificate";
    if !tls {
        let message =
            format!("Client certificate requested for incompatible service protocol '{}'", service.protocol);
        problems.add(key, field, message, effect);
        return;
    }
    let secret = ObjectKey::new(Kind::Secret, key.namespace.as_str(), name);
    if context.store.object(&secret).is_none() {
        let message = format!("Failed to fetch secret '{}/{name}': there is none", key.namespace);
        problems.add(key, field, message, effect);
        return;
    }
    service.client_certificate = pairs.load(context, &secret, &[key], effect, problems);
}

/// Nothing is trusted when authorities were asked for and none can be had: the system's would be too many.
fn authorities(
    context: &Context<'_>,
    service: &mut Service,
    key: &ObjectKey,
    tls: bool,
    values: &Values<'_>,
    model: &mut Model,
    problems: &mut Problems,
) {
    let secrets = values.list(annotations::CA_SECRETS);
    let config_maps = values.list(annotations::CA_CONFIGMAPS);
    if secrets.is_empty() && config_maps.is_empty() {
        return;
    }
    let name = if secrets.is_empty() { annotations::CA_CONFIGMAPS } else { annotations::CA_SECRETS };
    if service.tls_verify != Some(true) {
        let message = "CA certificates requested for service without TLS verification enabled";
        problems.add(key, annotation(name), message, "they are ignored");
        return;
    }
    if !tls {
        let message =
            format!("CA certificates requested for incompatible service protocol '{}'", service.protocol);
        problems.add(key, annotation(name), message, "they are ignored");
        return;
    }
    if !config_maps.is_empty() {
        problems.add(
            key,
            annotation(annotations::CA_CONFIGMAPS),
            format!(
                "ConfigMaps are not read; put the certificates into Secrets, named in {}",
                annotations::CA_SECRETS
            ),
            "these certificates are not trusted",
        );
    }
    let mut ids = Vec::new();
    for name in secrets {
        let secret = ObjectKey::new(Kind::Secret, key.namespace.as_str(), name);
        match authority(context, &secret) {
            Ok(certificate) => {
                ids.push(certificate.id);
                model.ca_certificates.entry(certificate.id).or_insert(certificate);
            }
            Err(fault) => {
                let effect = "this certificate is not trusted";
                problems.add(key, annotation(annotations::CA_SECRETS), fault.clone(), effect);
                if context.store.object(&secret).is_some() {
                    problems.add(&secret, "data", fault, effect);
                }
            }
        }
    }
    service.ca_certificates = Some(ids);
}

fn authority(context: &Context<'_>, key: &ObjectKey) -> Result<CaCertificate, String> {
    let place = format!("{}/{}", key.namespace, key.name);
    let secret = context
        .store
        .get::<Secret>(&key.namespace, &key.name)
        .ok_or_else(|| format!("Failed to fetch secret for CA Certificate '{place}': there is none"))?;
    let data = secret.data.as_ref();
    let id = text(data, "id")
        .ok_or_else(|| format!("Invalid CA certificate '{place}': missing 'id' field in data"))?;
    let id = Uuid::try_parse(id.trim())
        .map_err(|_| format!("Invalid CA certificate '{place}': 'id' is no UUID"))?;
    let cert = text(data, "cert").or_else(|| text(data, "ca.crt")).ok_or_else(|| {
        format!("Invalid CA certificate '{place}': neither \"cert\" nor \"ca.crt\" key exist")
    })?;
    if cert.matches("-----BEGIN CERTIFICATE-----").count() > 1 {
        return Err(format!("Invalid CA certificate '{place}': multiple PEM certificates found"));
    }
    (context.checks.authority)(&cert)
        .map_err(|fault| format!("Invalid CA certificate '{place}': {fault}"))?;
    let tags = Some(names::tags(key, &secret.metadata));
    Ok(CaCertificate { id, cert: cert.trim().to_owned(), tags, origin: Some(names::origin(key)) })
}

/// One entry of a Secret as text.
pub(super) fn text(data: Option<&BTreeMap<String, ByteString>>, key: &str) -> Option<String> {
    String::from_utf8(data?.get(key)?.0.clone()).ok()
}
