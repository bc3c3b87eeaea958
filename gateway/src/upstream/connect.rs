//! New connections to targets: TCP, and TLS where the service asks for it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use admin_api::Reason;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::deadline::Deadline;
use crate::net::io::Io;
use crate::net::trust;

/// How to speak TLS to a service.
#[derive(Clone)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    /// Sent as SNI, and verified when anything is.
    name: ServerName<'static>,
    /// Equal numbers mean that connections are interchangeable.
    pub identity: u64,
}

/// What a service's TLS settings say.
#[derive(Debug, Clone, Copy, Hash)]
pub struct TlsWishes<'a> {
    pub name: &'a str,
    pub verify: bool,
    /// Speak HTTP/2 over it.
    pub http2: bool,
    /// PEM of the authorities to trust; empty means the system's.
    pub authorities: &'a [&'a str],
    /// PEM of a certificate chain and its key.
    pub client: Option<(&'a str, &'a str)>,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    pub reason: Reason,
    pub detail: String,
}

impl UpstreamTls {
    /// # Errors
    /// What is wrong with the settings, in words.
    pub fn new(wishes: &TlsWishes<'_>) -> Result<UpstreamTls, String> {
        let name = ServerName::try_from(wishes.name.to_owned())
            .map_err(|error| format!("{:?} can't be a TLS server name: {error}", wishes.name))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if wishes.verify {
            builder.with_root_certificates(roots(wishes.authorities)?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(trust::Anyone::new(&provider)))
        };
        let mut config = match wishes.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
                    .collect::<Result<_, _>>()
                    .map_err(|error| format!("the client certificate is not PEM: {error}"))?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(|error| format!("the client key is not PEM: {error}"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("the client certificate can't be used: {error}"))?
            }
        };
        let protocol: &[u8] = if wishes.http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let mut hasher = DefaultHasher::new();
        wishes.hash(&mut hasher);
        Ok(UpstreamTls { config: Arc::new(config), name, identity: hasher.finish().max(1) })
    }
}

impl UpstreamTls {
    /// Speaks TLS over a connection that was made.
    pub async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }
}

fn roots(authorities: &[&str]) -> Result<rustls::RootCertStore, String> {
    if authorities.is_empty() {
        return trust::system();
    }
    let mut store = rustls::RootCertStore::empty();
    for pem in authorities {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("a CA certificate is not PEM: {error}"))?;
            store.add(certificate).map_err(|error| format!("a CA certificate can't be used: {error}"))?;
        }
    }
    if store.is_empty() {
        return Err("there is no CA certificate to verify against".to_owned());
    }
    Ok(store)
}

/// Connects within `timeout_ms`, the TLS handshake included.
pub async fn connect(
    address: SocketAddr,
    tls: Option<&UpstreamTls>,
    deadline: &Deadline,
    timeout_ms: u64,
) -> Result<Io, ConnectError> {
    let connecting = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| failure(Reason::ConnectFailed, address, &error))?;
        // Without it small messages wait for acknowledgements. A socket that refuses still works.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else { return Ok(Io::Tcp(stream)) };
        let stream =
            tls.handshake(stream).await.map_err(|error| failure(Reason::TlsFailed, address, &error))?;
        Ok(Io::Connected(Box::new(stream)))
    };
    // In a box: most requests find a connection, and need not keep the room for making one.
    match deadline.within(timeout_ms, Box::pin(connecting)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError {
            reason: Reason::ConnectTimeout,
            detail: format!("no connection to {address} within {timeout_ms} ms"),
        }),
    }
}

fn failure(reason: Reason, address: SocketAddr, error: &io::Error) -> ConnectError {
    ConnectError { reason, detail: format!("{address}: {error}") }
}
