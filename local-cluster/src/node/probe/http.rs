//! A look by HTTP: well when the answer's status is from 200 to 399. Certificates are not checked, as by the kubelet.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub(super) async fn get(address: SocketAddr, get: &HTTPGetAction) -> Result<(), String> {
    let stream = super::connect(address).await?;
    if get.scheme.as_deref() == Some("HTTPS") {
        let connector = TlsConnector::from(Arc::new(trusting_config()?));
        let name = ServerName::IpAddress(address.ip().into());
        let stream =
            connector.connect(name, stream).await.map_err(|error| format!("TLS with {address}: {error}"))?;
        ask(stream, address, get).await
    } else {
        ask(stream, address, get).await
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    get: &HTTPGetAction,
) -> Result<(), String> {
    let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut request = hyper::Request::get(&path);
    let given = get.http_headers.iter().flatten();
    let mut defaults = vec![
        ("host", address.to_string()),
        ("user-agent", "kube-probe/1.33".to_owned()),
        ("accept", "*/*".to_owned()),
    ];
    for header in given {
        defaults.retain(|(name, _)| !name.eq_ignore_ascii_case(&header.name));
        request = request.header(&header.name, &header.value);
    }
    for (name, value) in defaults {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| format!("GET {path}: {error}"))?;
    let failed = |error: hyper::Error| format!("GET {address}{path}: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut answer = Box::pin(sender.send_request(request));
    let mut connection = Box::pin(connection);
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // One that ends with its answer has given it.
        _ = &mut connection => answer.await,
    };
    let answer = answer.map_err(failed)?;
    let status = answer.status().as_u16();
    if (200..400).contains(&status) {
        Ok(())
    } else {
        Err(format!("HTTP probe failed with statuscode: {status}"))
    }
}

fn trusting_config() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth())
}

/// Takes any certificate: a probe asks whether the server answers, not who it is.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
