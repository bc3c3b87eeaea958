//! An HTTP/1.1 client that sends what it is given, byte for byte, and reads answers strictly.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::origin::{find, header_values};
use super::soon;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    pub(crate) input: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended where its framing says.
    pub(crate) complete: bool,
    /// Lines behind a chunked body.
    pub(crate) trailers: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        header_values(&self.head, name).into_iter().next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own.
pub(crate) async fn get(address: SocketAddr, target: &str) -> Response {
    let mut client = Client::connect(address).await;
    client.get(target).await
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: Box::new(stream), input: Vec::new() }
    }

    /// Over TLS, with a protocol to ask for; any certificate will do. Gives the certificate presented.
    pub(crate) async fn connect_tls(
        address: SocketAddr,
        name: Option<&str>,
        protocol: &str,
    ) -> std::io::Result<(Client, Vec<u8>)> {
        let stream = tls(address, name, protocol).await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        Ok((Client { stream: Box::new(stream), input: Vec::new() }, certificate))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The other side may have refused already, which reading will tell.
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// As many bytes as are taken; says whether all were.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn half_close(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    pub(crate) async fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
        self.response().await
    }

    /// The next final answer, to a request that wasn't HEAD.
    pub(crate) async fn response(&mut self) -> Response {
        self.maybe_response().await.expect("an answer")
    }

    pub(crate) async fn maybe_response(&mut self) -> Option<Response> {
        soon("answer", async {
            loop {
                let response = self.read(false).await?;
                if response.status >= 200 || response.status == 101 {
                    return Some(response);
                }
            }
        })
        .await
    }

    /// The next answer, interim ones too.
    pub(crate) async fn any_response(&mut self) -> Response {
        soon("answer", self.read(false)).await.expect("an answer")
    }

    /// The next answer, to a HEAD request.
    pub(crate) async fn head_response(&mut self) -> Response {
        soon("answer", self.read(true)).await.expect("an answer")
    }

    /// Only the head, for bodies that take their time.
    pub(crate) async fn response_head(&mut self) -> Response {
        let head = soon("head", self.head()).await.expect("a head");
        Response { status: status(&head), head, body: Vec::new(), complete: false, trailers: Vec::new() }
    }

    /// Reads until so many bytes have come.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        soon("bytes", async {
            while self.input.len() < count {
                assert!(self.more().await, "the connection ended at {}", self.input.escape_ascii());
            }
        })
        .await;
        self.input.drain(..count).collect()
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        soon("end of the connection", async { while self.more().await {} }).await;
        std::mem::take(&mut self.input)
    }

    async fn more(&mut self) -> bool {
        self.input.reserve(16 << 10);
        matches!(self.stream.read_buf(&mut self.input).await, Ok(count) if count > 0)
    }

    async fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                return Some(self.input.drain(..end + 4).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn read(&mut self, to_head: bool) -> Option<Response> {
        let head = self.head().await?;
        let status = status(&head);
        let mut response = Response { status, head, body: Vec::new(), complete: true, trailers: Vec::new() };
        if to_head || matches!(status, 100..=199 | 204 | 304) {
            return Some(response);
        }
        if response.header("transfer-encoding").is_some() {
            response.complete = self.chunked(&mut response).await.is_some();
        } else if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.input.len() < length && self.more().await {}
            response.complete = self.input.len() >= length;
            response.body = self.input.drain(..length.min(self.input.len())).collect();
        } else {
            while self.more().await {}
            response.body = std::mem::take(&mut self.input);
        }
        Some(response)
    }

    async fn chunked(&mut self, response: &mut Response) -> Option<()> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap(), 16).unwrap();
            if size == 0 {
                loop {
                    let line = self.line().await?;
                    if line.is_empty() {
                        return Some(());
                    }
                    response.trailers.extend_from_slice(&line);
                    response.trailers.push(b'\n');
                }
            }
            while self.input.len() < size + 2 {
                if !self.more().await {
                    response.body.append(&mut self.input);
                    return None;
                }
            }
            response.body.extend(self.input.drain(..size));
            assert_eq!(self.input.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
    }

    async fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.input, b"\r\n") {
                let line = self.input.drain(..end).collect();
                self.input.drain(..2);
                return Some(line);
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

fn status(head: &[u8]) -> u16 {
    let words = String::from_utf8_lossy(head);
    words
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("a status in {words}"))
}

/// A TLS connection; any certificate will do.
pub(crate) async fn tls(
    address: SocketAddr,
    name: Option<&str>,
    protocol: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(gateway::net::trust::Anyone::new(&provider));
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config.enable_sni = name.is_some();
    let name = ServerName::try_from(name.unwrap_or("none.test").to_owned()).unwrap();
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
