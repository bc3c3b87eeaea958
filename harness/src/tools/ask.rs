//! One question to a tool: JSON, or why there is none.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::ToolUrl;
use crate::expect::check::shorten;
use crate::http_client::{Answer, Outgoing, Target, once};

/// Tools compute what they answer; slow ones take seconds.
const LIMIT: Duration = Duration::from_secs(20);

/// Gets a path below the tool's URL; `tool` is what people call it.
///
/// # Errors
/// The tool can't be reached, or what it answered is no JSON.
pub(super) async fn ask(tool: &str, url: &ToolUrl, path: &str) -> Result<(u16, Value), String> {
    let answer = get(url, path).await.map_err(|error| format!("{tool} at {url}: {error}"))?;
    match serde_json::from_slice(&answer.body) {
        Ok(value) => Ok((answer.status, value)),
        // A wrong base path often leads to a page that is there for every path.
        Err(_) if answer.status == 200 || answer.status == 404 => Err(format!(
            "{tool} answered {} and no JSON to {url}{path}; is the path in its URL right?",
            answer.status
        )),
        Err(_) => {
            Err(format!("{tool} answered {} to {url}{path}: {}", answer.status, shorten(&answer.text())))
        }
    }
}

async fn get(url: &ToolUrl, path: &str) -> Result<Answer, String> {
    let name = url.host.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((name, url.port)).await;
    let found = found.map_err(|error| format!("failed to look up {name}: {error}"))?;
    let outgoing = Outgoing {
        method: "GET".to_owned(),
        path: format!("{}{path}", url.path),
        host: format!("{}:{}", url.host, url.port),
        headers: vec![("Accept".to_owned(), "application/json".to_owned())],
        body: Bytes::new(),
    };
    let mut last = format!("{name} has no address");
    for to in found {
        let target = Target { to, from: None, tls: None, http2: false };
        match once(&target, &outgoing, LIMIT).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A text as it may stand in a query.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
