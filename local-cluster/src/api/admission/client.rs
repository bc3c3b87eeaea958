//! One call of a webhook over HTTPS.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::objects::{Objects, Resource};

use super::trust;

const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Calls webhooks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Webhooks;

/// Where a webhook listens.
struct Place {
    /// For messages, and the path.
    url: Uri,
    server_name: String,
    /// What is connected to.
    address: (String, u16),
}

impl Webhooks {
    /// The answer, as JSON; an error completes "failed to call webhook:".
    pub(super) async fn ask(
        &self,
        objects: &Objects,
        config: &Value,
        review: &Value,
        patience: Duration,
    ) -> Result<Value, String> {
        let place = place(objects, config, patience)?;
        let post = |why: String| format!("Post \"{}\": {why}", place.url);
        match tokio::time::timeout(patience, post_to(&place, config, review)).await {
            Ok(Ok((200, body))) => read(&body),
            Ok(Ok((_, _))) => {
                Err("an error on the server (\"unknown\") has prevented the request from succeeding"
                    .to_owned())
            }
            Ok(Err(why)) => Err(post(why)),
            Err(_) => Err(post("context deadline exceeded".to_owned())),
        }
    }
}

fn read(body: &[u8]) -> Result<Value, String> {
    let wrong = |why: String| format!("couldn't get version/kind; json parse error: {why}");
    let go_type = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
                   \"json:\\\"kind,omitempty\\\"\" }";
    // A body that isn't JSON is read as YAML, as which almost any text is a text.
    let value =
        crate::json::read(body).map(|read| read.value).or_else(|error| match crate::yaml::read(body) {
            Ok(value) => Ok(value),
            Err(_) => Err(wrong(error)),
        })?;
    match value {
        Value::Object(_) => Ok(value),
        Value::String(_) => {
            Err(wrong(format!("json: cannot unmarshal string into Go value of type {go_type}")))
        }
        _ => Err(wrong(format!("json: cannot unmarshal array into Go value of type {go_type}"))),
    }
}

fn place(objects: &Objects, config: &Value, patience: Duration) -> Result<Place, String> {
    let seconds = patience.as_secs();
    if let Some(url) = config["url"].as_str() {
        let joint = if url.contains('?') { '&' } else { '?' };
        let full: Uri =
            format!("{url}{joint}timeout={seconds}s").parse().map_err(|_| format!("{url:?} is no URL"))?;
        let host =
            full.host().ok_or_else(|| format!("{url:?} names no host"))?.trim_matches(['[', ']']).to_owned();
        let port = full.port_u16().unwrap_or(443);
        return Ok(Place { url: full, server_name: host.clone(), address: (host, port) });
    }
    let service = &config["service"];
    let text = |field: &str| service[field].as_str().unwrap_or_default();
    let (name, namespace, path) = (text("name"), text("namespace"), text("path"));
    let port = service["port"].as_u64().unwrap_or(443) as u16;
    let path = if path.is_empty() { "/" } else { path };
    let server_name = format!("{name}.{namespace}.svc");
    let url = format!("https://{server_name}:{port}{path}?timeout={seconds}s");
    let full: Uri = url.parse().map_err(|_| format!("{url:?} is no URL"))?;
    let failed = |why: String| format!("Post \"{url}\": {why}");
    let found = objects.get(&Resource::new("", "services"), namespace, name);
    let found = found.ok_or_else(|| failed(format!("service {name:?} not found")))?;
    let wanted = found["spec"]["ports"].as_array().into_iter().flatten().find(|entry| entry["port"] == port);
    let wanted =
        wanted.ok_or_else(|| failed(format!("no service port {port} found for service {name:?}")))?;
    let port_name = wanted["name"].as_str().unwrap_or_default();
    let address = endpoint(objects, namespace, name, port_name);
    let address = address.ok_or_else(|| failed(format!("no endpoints available for service {name:?}")))?;
    Ok(Place { url: full, server_name, address })
}

/// One of the places where pods of a service listen.
fn endpoint(objects: &Objects, namespace: &str, service: &str, port_name: &str) -> Option<(String, u16)> {
    let slices = objects.list(&Resource::new("discovery.k8s.io", "endpointslices"), Some(namespace));
    let of_service =
        slices.iter().filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service);
    let mut found: Vec<(String, u16)> = Vec::new();
    for slice in of_service {
        let mut ports = slice["ports"].as_array().into_iter().flatten();
        let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == port_name);
        let Some(port) = port.and_then(|port| port["port"].as_u64()) else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] != false
                && let Some(address) = endpoint["addresses"][0].as_str()
            {
                found.push((address.to_owned(), port as u16));
            }
        }
    }
    let index = (!found.is_empty()).then(|| fastrand::usize(..found.len()))?;
    Some(found.swap_remove(index))
}

async fn post_to(place: &Place, config: &Value, review: &Value) -> Result<(u16, Bytes), String> {
    let (host, port) = &place.address;
    let dialed = format!("dial tcp {host}:{port}");
    let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("{dialed}: connect: connection refused"),
        _ => format!("{dialed}: {error}"),
    })?;
    let name = ServerName::try_from(place.server_name.clone()).map_err(|error| error.to_string())?;
    let bundle = STANDARD.decode(config["caBundle"].as_str().unwrap_or_default()).unwrap_or_default();
    let stream = TlsConnector::from(Arc::new(trust::client(&bundle)?)).connect(name, stream).await.map_err(
        |error| {
            let text = error.to_string();
            if text.contains("UnknownIssuer") || text.contains("CaUsedAsEndEntity") {
                "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
            } else {
                format!("tls: failed to verify certificate: {text}")
            }
        },
    )?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let path = place.url.path_and_query().map_or("/", |path| path.as_str());
    let authority = place.url.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, "kube-apiserver-admission")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, */*")
        .body(Full::new(Bytes::from(review.to_string())))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    };
    let answer = answer.await;
    driver.abort();
    answer
}
