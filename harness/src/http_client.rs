//! Sends requests exactly as a scenario says, from the address it says, and tells what came back and how long
//! it took. Nothing is retried, redirected, pooled behind the caller's back or decoded.

mod insecure;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// Longer bodies are a failure: no scenario needs them in memory.
const MAX_BODY: usize = 64 << 20;

/// Where a connection goes and what is spoken on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub to: SocketAddr,
    /// The address to connect from; any when absent.
    pub from: Option<IpAddr>,
    /// The server name for TLS; clear text when absent.
    pub tls: Option<String>,
    pub http2: bool,
}

/// A request as sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: String,
    /// Path and query, sent as they are.
    pub path: String,
    pub host: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub version: &'static str,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the first byte of the request to the last of the reply.
    pub took: Duration,
}

impl Answer {
    /// The values of a field, joined as if they were one line.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<String> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection for one request at a time.
pub struct Connection {
    sender: Sender,
    target: Target,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// # Errors
    /// Why it can't be opened.
    pub async fn open(target: &Target) -> Result<Connection, String> {
        let to = target.to;
        let stream = connect(target).await.map_err(|error| format!("failed to connect to {to}: {error}"))?;
        let sender = match &target.tls {
            None => shake(TokioIo::new(stream), target.http2).await,
            Some(name) => {
                let connector = TlsConnector::from(insecure::client(target.http2)?);
                let name = name.clone().try_into().map_err(|_| format!("`{name}` is no server name"))?;
                let stream = connector
                    .connect(name, stream)
                    .await
                    .map_err(|error| format!("failed to speak TLS with {to}: {error}"))?;
                shake(TokioIo::new(stream), target.http2).await
            }
        };
        let sender = sender.map_err(|error| format!("failed to speak HTTP with {to}: {error}"))?;
        Ok(Connection { sender, target: target.clone() })
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether another request may be sent on it.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }

    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    /// Why there was no whole reply.
    pub async fn send(&mut self, outgoing: &Outgoing) -> Result<Answer, String> {
        let request = self.request(outgoing)?;
        let started = Instant::now();
        let sent = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await.map_err(|error| words(&error))?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                sender.ready().await.map_err(|error| words(&error))?;
                sender.send_request(request).await
            }
        };
        let (parts, body) = sent.map_err(|error| words(&error))?.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|error| format!("failed to read the whole reply ({}): {error}", parts.status))?
            .to_bytes();
        let version = match parts.version {
            http::Version::HTTP_2 => "HTTP/2",
            http::Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        let (status, headers, took) = (parts.status.as_u16(), parts.headers, started.elapsed());
        Ok(Answer { status, version, headers, body, took })
    }

    fn request(&self, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, String> {
        let bad = |error: http::Error| format!("failed to make the request: {error}");
        let builder = Request::builder().method(outgoing.method.as_str());
        let builder = if self.target.http2 {
            let scheme = if self.target.tls.is_some() { "https" } else { "http" };
            builder.uri(format!("{scheme}://{}{}", outgoing.host, outgoing.path))
        } else {
            builder.uri(outgoing.path.as_str()).header(http::header::HOST, &outgoing.host)
        };
        let mut request = builder.body(Full::new(outgoing.body.clone())).map_err(bad)?;
        for (name, value) in &outgoing.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad(error.into()))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| bad(error.into()))?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// Why there was no whole reply in time.
pub async fn once(target: &Target, outgoing: &Outgoing, limit: Duration) -> Result<Answer, String> {
    let exchange = async { Connection::open(target).await?.send(outgoing).await };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no whole reply within {:.1} s", limit.as_secs_f64())))
}

async fn connect(target: &Target) -> std::io::Result<TcpStream> {
    let socket = if target.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = target.from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(target.to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn shake<I>(io: I, http2: bool) -> hyper::Result<Sender>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    // The connection's own errors come out at the request they concern.
    if http2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(async move { drop(connection.await) });
        return Ok(Sender::Two(sender));
    }
    let (sender, connection) = http1::handshake(io).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Sender::One(sender))
}

/// hyper's error with its cause.
fn words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The parsed form of a host that may be a name or an address, for TLS.
pub fn server_name(host: &str) -> String {
    let host =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
    host.trim_matches(['[', ']']).to_owned()
}

/// What TLS configurations are kept as.
type Tls = Arc<rustls::ClientConfig>;
