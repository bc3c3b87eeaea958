//! Who may ask: a certificate authority of our own, the token of the one administrator, and tokens of service
//! accounts. All of it lives as long as the process.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Names under which pods reach the API.
const NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
/// The audience of tokens for the API itself, and the issuer of all.
pub(crate) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Somebody who asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    /// Names in order, each with its values.
    pub(crate) extra: Vec<(String, Vec<String>)>,
}

/// A service account, and the pod that uses it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Name and uid.
    pub(crate) pod: Option<(String, String)>,
}

pub(crate) struct Credentials {
    pub(crate) ca_certificate: String,
    pub(crate) server: Arc<ServerConfig>,
    admin_token: String,
    signing_key: hmac::Key,
}

impl Credentials {
    /// For a server at this address, with the administrator's token, or one that is made.
    pub(crate) fn new(address: IpAddr, token: Option<String>) -> Result<Credentials, CredentialsError> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "local-cluster");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);

        let mut names: Vec<String> = NAMES.into_iter().map(str::to_owned).collect();
        names.extend(["127.0.0.1".to_owned(), "::1".to_owned(), address.to_string()]);
        names.dedup();
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer)?;
        let server = server_config(certificate.der().clone(), key.serialize_der())?;

        let mut secret = [0; 32];
        let mut random = [0; 32];
        for bytes in [&mut secret, &mut random] {
            aws_lc_rs::rand::fill(bytes).map_err(|_| CredentialsError::Random)?;
        }
        Ok(Credentials {
            ca_certificate: ca_certificate.pem(),
            server: Arc::new(server),
            admin_token: token.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(random)),
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    /// What a client needs to reach the API as the administrator.
    pub(crate) fn kubeconfig(&self, url: &str) -> String {
        let certificate = STANDARD.encode(&self.ca_certificate);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "local-cluster",
                "cluster": {"server": url, "certificate-authority-data": certificate},
            }],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
            "contexts": [{"name": "local-cluster", "context": {"cluster": "local-cluster", "user": "admin"}}],
            "current-context": "local-cluster",
        });
        crate::yaml::write(&config)
    }

    /// A token of a service account, with the time of its end.
    pub(crate) fn account_token(
        &self,
        account: &Account,
        audiences: &[String],
        life: Duration,
    ) -> (String, Timestamp) {
        let now = Timestamp::now();
        let end = now + jiff::SignedDuration::from_secs(life.as_secs() as i64);
        let mut about = json!({
            "namespace": account.namespace,
            "serviceaccount": {"name": account.name, "uid": account.uid},
        });
        if let Some((name, uid)) = &account.pod {
            about["pod"] = json!({"name": name, "uid": uid});
        }
        let claims = json!({
            "aud": audiences,
            "exp": end.as_second(),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "iss": AUDIENCE,
            "jti": uuid::Uuid::new_v4().to_string(),
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
            "kubernetes.io": about,
        });
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = hmac::sign(&self.signing_key, signed.as_bytes());
        (format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), end)
    }

    /// Who has this token, if it is one of ours, still counts, and is for one of these audiences.
    pub(crate) fn user(&self, token: &str, audiences: &[String]) -> Option<User> {
        let same =
            aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), self.admin_token.as_bytes());
        if same.is_ok() {
            return Some(User::administrator());
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.signing_key, signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let now = Timestamp::now().as_second();
        let intended = claims["aud"].as_array()?.iter().filter_map(Value::as_str);
        let intended = intended.into_iter().any(|audience| audiences.iter().any(|wanted| wanted == audience));
        if claims["exp"].as_i64()? < now || !intended {
            return None;
        }
        let about = &claims["kubernetes.io"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = text(&about["namespace"]);
        let mut extra = vec![(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![format!("JTI={}", text(&claims["jti"]))],
        )];
        if about["pod"].is_object() {
            extra.push((
                "authentication.kubernetes.io/pod-name".to_owned(),
                vec![text(&about["pod"]["name"])],
            ));
            extra.push(("authentication.kubernetes.io/pod-uid".to_owned(), vec![text(&about["pod"]["uid"])]));
        }
        Some(User {
            name: text(&claims["sub"]),
            uid: text(&about["serviceaccount"]["uid"]),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            extra,
        })
    }
}

impl User {
    pub(crate) fn administrator() -> User {
        let groups = vec!["system:masters".to_owned(), "system:authenticated".to_owned()];
        User { name: "admin".to_owned(), groups, ..User::default() }
    }

    pub(crate) fn anonymous() -> User {
        let groups = vec!["system:unauthenticated".to_owned()];
        User { name: "system:anonymous".to_owned(), groups, ..User::default() }
    }

    /// As reviews and webhooks see it.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.groups.is_empty() {
            info["groups"] = json!(self.groups);
        }
        if !self.extra.is_empty() {
            info["extra"] = self.extra.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        }
        info
    }
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
) -> Result<ServerConfig, CredentialsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key).map_err(CredentialsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("failed to make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("failed to read the key just made: {0}")]
    Key(&'static str),
    #[error("failed to get random bytes from the system")]
    Random,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_accounts_and_no_others() {
        let credentials = Credentials::new([127, 0, 0, 1].into(), None).unwrap();
        let account = Account { namespace: "n".to_owned(), name: "a".to_owned(), ..Account::default() };
        let ours = vec![AUDIENCE.to_owned()];
        let (token, _) = credentials.account_token(&account, &ours, Duration::from_mins(1));
        assert_eq!(credentials.user(&token, &ours).unwrap().name, "system:serviceaccount:n:a");
        assert!(credentials.user(&token, &["other".to_owned()]).is_none());
        let mut forged = token.clone();
        forged.pop();
        assert!(credentials.user(&forged, &ours).is_none());
        let other = Credentials::new([127, 0, 0, 1].into(), None).unwrap();
        assert!(other.user(&token, &ours).is_none());
        assert!(credentials.user("", &ours).is_none());
    }
}
