//! TLS towards clients: the certificate by server name, taken from the snapshot that serves, so that a rotated
//! certificate counts from the next handshake on and nobody is dropped.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::exchange::ClientTls;
use crate::model::Certificate;
use crate::snapshot::Snapshot;

/// Sessions remembered for resumption without tickets.
const SESSIONS: usize = 1_024;

/// Certificates by server name.
#[derive(Debug, Default)]
pub struct Certificates {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `*.example.com` under `example.com`.
    suffixes: HashMap<String, Arc<CertifiedKey>>,
    /// `example.*` under `example`.
    prefixes: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name no server, or one that nothing else fits.
    default: Option<Arc<CertifiedKey>>,
}

/// Finds the certificate for a handshake.
#[derive(Debug)]
struct FromSnapshot {
    live: Live,
    /// Presented when nothing is configured: better a warning than a refused handshake, as in Kong.
    fallback: Arc<CertifiedKey>,
}

struct Live(Arc<ArcSwap<Snapshot>>);

impl Certificates {
    /// Indexes certificates; the first to claim a name has it. Gives what can't be used, with the reason.
    pub fn new<'a>(
        certificates: impl Iterator<Item = &'a Certificate>,
    ) -> (Certificates, Vec<(&'a Certificate, String)>) {
        let (mut all, mut refused) = (Certificates::default(), Vec::new());
        for certificate in certificates {
            match certified(certificate) {
                Ok(key) => all.add(&certificate.snis, &Arc::new(key)),
                Err(cause) => refused.push((certificate, cause)),
            }
        }
        (all, refused)
    }

    fn add(&mut self, names: &[String], key: &Arc<CertifiedKey>) {
        for name in names {
            let name = name.to_ascii_lowercase();
            if name == "*" {
                self.default.get_or_insert_with(|| Arc::clone(key));
            } else if let Some(rest) = name.strip_prefix("*.") {
                self.suffixes.entry(rest.to_owned()).or_insert_with(|| Arc::clone(key));
            } else if let Some(rest) = name.strip_suffix(".*") {
                self.prefixes.entry(rest.to_owned()).or_insert_with(|| Arc::clone(key));
            } else {
                self.exact.entry(name).or_insert_with(|| Arc::clone(key));
            }
        }
    }

    /// The certificate for a server name: exact, then with its first label as `*`, then with its last, then the
    /// default. A `*` stands for one label.
    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let Some(name) = name else { return self.default.as_ref() };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.exact
            .get(&name)
            .or_else(|| name.split_once('.').and_then(|(_, rest)| self.suffixes.get(rest)))
            .or_else(|| name.rsplit_once('.').and_then(|(rest, _)| self.prefixes.get(rest)))
            .or(self.default.as_ref())
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in the PEM text".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose().as_bytes())
        .map_err(|error| format!("the private key is not PEM: {error}"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "the private key does not belong to the certificate".to_owned(),
        error => format!("the private key can't be used: {error}"),
    })
}

/// What TLS listeners share.
pub fn server_config(live: Arc<ArcSwap<Snapshot>>) -> Result<Arc<ServerConfig>, String> {
    let fallback = self_signed()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(FromSnapshot { live: Live(live), fallback: Arc::new(fallback) }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}

fn self_signed() -> Result<CertifiedKey, String> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .map_err(|error| format!("failed to make a certificate: {error}"))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    CertifiedKey::from_der(vec![made.cert.der().clone()], key, &aws_lc_rs::default_provider())
        .map_err(|error| format!("failed to use a certificate of our own: {error}"))
}

/// What a log says about a finished handshake.
pub fn describe<S>(stream: &TlsStream<S>) -> ClientTls {
    let session = stream.get_ref().1;
    ClientTls {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: session.negotiated_cipher_suite().map(openssl_name).unwrap_or_default(),
        server_name: session.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
    }
}

/// The name OpenSSL, and so Kong's log, has for a cipher suite.
fn openssl_name(suite: rustls::SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name
            .trim_start_matches("TLS_")
            .replace("_WITH_", "_")
            .replace("AES_", "AES")
            .replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
            .replace('_', "-"),
    }
}

impl ResolvesServerCert for FromSnapshot {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.live.0.load();
        let found = snapshot.certificates.find(hello.server_name()).cloned();
        Some(found.unwrap_or_else(|| Arc::clone(&self.fallback)))
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "generation {}", self.0.load().generation)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Secret;

    fn certificate(names: &[&str]) -> Certificate {
        let made = rcgen::generate_simple_self_signed(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap();
        Certificate {
            id: Uuid::new_v4(),
            cert: made.cert.pem(),
            key: Secret::new(made.signing_key.serialize_pem()),
            snis: names.iter().map(|name| (*name).to_owned()).collect(),
            origin: None,
        }
    }

    #[test]
    fn the_narrowest_name_wins_and_the_first_to_claim_it() {
        let given =
            [certificate(&["a.test", "*"]), certificate(&["*.test"]), certificate(&["a.test", "b.*"])];
        let (all, refused) = Certificates::new(given.iter());
        assert!(refused.is_empty());
        let key = |at: usize| certified(&given[at]).unwrap().cert;
        for (name, at) in [
            (Some("a.test"), 0),
            (Some("A.TEST."), 0),
            (Some("y.test"), 1),
            // A star stands for one label: the rest belongs to whoever claims it.
            (Some("x.y.test"), 0),
            (Some("b.example"), 2),
            (Some("else.where"), 0),
            (None, 0),
        ] {
            assert_eq!(all.find(name).unwrap().cert, key(at), "{name:?}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_is_refused() {
        let mut mixed = certificate(&["a.test"]);
        mixed.key = certificate(&["b.test"]).key;
        let given = [mixed, Certificate { cert: "no PEM".to_owned(), ..certificate(&["c.test"]) }];
        let (_, refused) = Certificates::new(given.iter());
        assert_eq!(refused.len(), 2);
        assert!(refused[0].1.contains("does not belong"), "{}", refused[0].1);
    }
}
