//! Certificates with their keys, the server names they are for, and authorities to trust.

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde_json::{Map, Value};

use super::super::entity::Entity;
use crate::model::{CaCertificate, Certificate, Secret};
use crate::schema::{Check, Record, any, field, foreign, integer, string, typedefs};

pub(in crate::declarative) static CERTIFICATE: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", integer().timestamp()),
    field("updated_at", any()),
    field("cert", string().required().check(check_chain)),
    field("key", string().required().secret().check(check_key)),
    field("cert_alt", string().check(check_chain)),
    field("key_alt", string().secret().check(check_key)),
    field("tags", typedefs::tags()),
])
.checks(&[
    Check::MutuallyRequired(&["cert_alt", "key_alt"]),
    Check::Custom {
        fields: &["cert", "key"],
        check: |fields| fits(fields, "cert", "key", "certificate does not match key"),
    },
    Check::Custom {
        fields: &["cert_alt", "key_alt"],
        check: |fields| fits(fields, "cert_alt", "key_alt", "alternative certificate does not match key"),
    },
]);

pub(in crate::declarative) static CA_CERTIFICATE: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("created_at", integer().timestamp()),
    field("updated_at", any()),
    field("cert", string().required().check(check_chain)),
    field("cert_digest", string()),
    field("tags", typedefs::tags()),
])
.checks(&[Check::Custom { fields: &["cert"], check: check_authority }]);

pub(in crate::declarative) static SNI: Record = Record::new(&[
    field("id", typedefs::uuid()),
    field("name", typedefs::wildcard_host().required()),
    field("created_at", integer().timestamp()),
    field("updated_at", any()),
    field("tags", typedefs::tags()),
    field("certificate", foreign("certificates").required()),
]);

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("no PEM section CERTIFICATE in it".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(error.to_string()),
    }
}

fn check_chain(pem: &str) -> Result<(), String> {
    let chain = chain(pem).map_err(|cause| format!("invalid certificate: {cause}"))?;
    let parsed =
        chain.iter().try_for_each(|der| rustls::server::ParsedCertificate::try_from(der).map(|_| ()));
    parsed.map_err(|cause| format!("invalid certificate: {cause}"))
}

fn check_key(pem: &str) -> Result<(), String> {
    let key =
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|cause| format!("invalid key: {cause}"))?;
    let usable = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    usable.map(|_| ()).map_err(|cause| format!("invalid key: {cause}"))
}

fn fits(fields: &Map<String, Value>, cert: &str, key: &str, otherwise: &str) -> Result<(), String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (Some(cert), Some(key)) = (text(cert), text(key)) else { return Ok(()) };
    let (Ok(chain), Ok(key)) = (chain(cert), PrivateKeyDer::from_pem_slice(key.as_bytes())) else {
        return Ok(());
    };
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    certified.map(|_| ()).map_err(|_| otherwise.to_owned())
}

fn check_authority(fields: &Map<String, Value>) -> Result<(), String> {
    let chain = chain(fields.get("cert").and_then(Value::as_str).unwrap_or_default())?;
    let [authority] = chain.as_slice() else {
        return Err("please submit only one certificate at a time".to_owned());
    };
    let usable = RootCertStore::empty().add(authority.clone());
    usable.map_err(|cause| format!("certificate can't be trusted as an authority: {cause}"))
}

/// Without its server names, which are entities of their own.
pub(in crate::declarative) fn to_model(entity: &Entity) -> Certificate {
    let fields = entity.fields();
    Certificate {
        id: entity.id,
        cert: fields.text("cert").unwrap_or_default(),
        key: Secret::new(fields.text("key").unwrap_or_default()),
        snis: Vec::new(),
        origin: Some(entity.origin()),
    }
}

pub(in crate::declarative) fn authority(entity: &Entity) -> CaCertificate {
    CaCertificate {
        id: entity.id,
        cert: entity.fields().text("cert").unwrap_or_default(),
        tags: entity.fields().texts("tags"),
        origin: Some(entity.origin()),
    }
}

/// The server name an `snis` entity gives its certificate.
pub(in crate::declarative) fn server_name(entity: &Entity) -> Option<String> {
    entity.fields().text("name")
}
