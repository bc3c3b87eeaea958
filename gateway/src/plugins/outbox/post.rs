//! Sending a batch to an HTTP collector.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};

use super::queue::Deliver;
use crate::plugins::environment::Resolve;
use traces::otlp::Envelope;

/// How much of a refusing collector's answer is shown.
const SHOWN: usize = 200;

/// Where and how entries are posted.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// With credentials, if it has some.
    pub endpoint: Url,
    pub method: String,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub connect_timeout: Duration,
    /// Until the head of the answer has come.
    pub timeout: Duration,
    /// How long an idle connection is kept.
    pub keepalive: Duration,
    /// Whether the collector's certificate has to be valid.
    pub verify: bool,
    pub packing: Packing,
}

/// How entries become the body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Packing {
    /// One entry a request, as it is.
    Single,
    /// A JSON list, even of one.
    List,
    /// Spans within what they have in common.
    Otlp(Envelope),
}

/// A collector with its connections.
pub(super) struct Post {
    client: Client,
    method: Method,
    url: Url,
    packing: Packing,
}

struct Names(Arc<dyn Resolve>);

/// The URL of a collector, set as `setting`.
///
/// # Errors
/// It is none that can be posted to.
pub fn endpoint(setting: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{setting} is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("{setting} has the scheme {scheme}: use http or https")),
    }
}

impl Target {
    /// For log lines: no credentials, and no query, which may hold some.
    pub fn label(&self) -> String {
        let mut url = self.endpoint.clone();
        // Both fail for URLs without a host only.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }
}

impl Post {
    pub(super) fn new(target: Target, resolver: Option<Arc<dyn Resolve>>) -> Result<Post, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("limen/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&target)?)
            .http1_only()
            .http1_title_case_headers()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(target.connect_timeout)
            .read_timeout(target.timeout)
            .pool_idle_timeout(target.keepalive)
            .tls_danger_accept_invalid_certs(!target.verify);
        if let Some(resolver) = resolver {
            builder = builder.dns_resolver(Arc::new(Names(resolver)));
        }
        let mut url = target.endpoint;
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Post {
            client: builder
                .build()
                .map_err(|error| format!("the HTTP client can't be made: {}", cause(&error)))?,
            method: target.method.parse().map_err(|_| format!("{:?} is no method", target.method))?,
            url,
            packing: target.packing,
        })
    }

    async fn post(&self, message: Bytes) -> Result<(), String> {
        let request = self.client.request(self.method.clone(), self.url.clone()).body(message);
        let place = || {
            let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default());
            format!("{host}:{}", port.unwrap_or_default())
        };
        let answer = request
            .send()
            .await
            .map_err(|error| format!("failed request to {}: {}", place(), cause(&error)))?;
        let status = answer.status().as_u16();
        // The body is read whatever it says, so that the connection can be used again.
        let body = shown(answer).await;
        if status < 300 {
            return Ok(());
        }
        Err(format!("request to {} returned status code {status} and body {body}", place()))
    }
}

impl Deliver for Post {
    fn pack(&self, entries: &[&[u8]]) -> Bytes {
        match (&self.packing, entries) {
            (Packing::Single, [entry]) => Bytes::copy_from_slice(entry),
            (Packing::Single | Packing::List, entries) => list(entries),
            (Packing::Otlp(envelope), spans) => envelope.around(spans).into(),
        }
    }

    fn deliver(&self, message: Bytes) -> BoxFuture<'_, Result<(), String>> {
        self.post(message).boxed()
    }
}

fn list(entries: &[&[u8]]) -> Bytes {
    let length = entries.iter().map(|entry| entry.len() + 1).sum::<usize>() + 1;
    let mut list = Vec::with_capacity(length);
    for entry in entries {
        list.push(if list.is_empty() { b'[' } else { b',' });
        list.extend_from_slice(entry);
    }
    list.push(b']');
    Bytes::from(list)
}

fn headers(target: &Target) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| format!("{text:?} can't be a header's value"));
    for (name, text) in &target.headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
        headers.insert(name, value(text)?);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, value(&target.content_type)?);
    }
    let (user, password) = (target.endpoint.username(), target.endpoint.password());
    if !user.is_empty() || password.is_some() {
        let decoded = |text| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        let pair = [decoded(user), decoded(password.unwrap_or_default())].join(&b':');
        let mut credentials = value(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?;
        credentials.set_sensitive(true);
        headers.insert(AUTHORIZATION, credentials);
    }
    Ok(headers)
}

/// The start of a body. The rest is read as long as it is short.
async fn shown(mut answer: reqwest::Response) -> String {
    const MOST: usize = 64 * 1024;
    let mut start = Vec::new();
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        start.extend_from_slice(&chunk[..chunk.len().min(SHOWN - start.len())]);
        read += chunk.len();
        if read > MOST {
            break;
        }
    }
    String::from_utf8_lossy(&start).into_owned()
}

/// The innermost cause: reqwest's own words repeat the URL, which may hold a secret.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() { "timeout".to_owned() } else { cause.to_string() }
}

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.resolve(name.as_str().to_owned());
        async move {
            let addresses = addresses.await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        }
        .boxed()
    }
}
