//! TLS towards clients: the certificate by server name, taken from the snapshot that serves, so that a rotated
//! certificate counts from the next handshake on and nobody is dropped.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::exchange::ClientTls;
use crate::snapshot::Snapshot;

/// Sessions remembered for resumption without tickets.
const SESSIONS: usize = 1_024;

/// Finds the certificate for a handshake.
#[derive(Debug)]
struct FromSnapshot {
    live: Live,
    /// Presented when nothing is configured: better a warning than a refused handshake, as in Kong.
    fallback: Arc<CertifiedKey>,
}

struct Live(Arc<ArcSwap<Snapshot>>);

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
