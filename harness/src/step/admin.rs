//! Asks the admin port of every gateway pod and judges each answer.

use std::time::Duration;

use bytes::Bytes;

use super::request::captured;
use super::{missed, tries};
use crate::expect::eventually::eventually;
use crate::expect::response::{Outcome, asserted, judge_all};
use crate::http_client::{Outgoing, Target, once};
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::Reply;

const PACE: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn admin(context: &mut Context, path: &str, reply: &Reply) -> Result<String, Failure> {
    let mut last: Vec<Outcome> = Vec::new();
    let waited = {
        let slot = parking_lot::Mutex::new(&mut last);
        let environment = &context.environment;
        eventually(reply.eventually.unwrap_or_default(), PACE, || async {
            let ports = environment.admin_ports().await?;
            if ports.is_empty() {
                return Err("no gateway pod is ready".to_owned());
            }
            let mut outcomes = Vec::new();
            for port in &ports {
                outcomes.push(get(&format!("{}{path}", port.url)).await);
            }
            let misses = judge_all(&reply.expect, &outcomes);
            let seen = misses.first().map(|miss| format!("{} was expected, got {}", miss.expected, miss.got));
            **slot.lock() = outcomes;
            seen.map_or(Ok(()), Err)
        })
        .await
    };
    for outcome in &last {
        context.remember(&format!("admin port: GET {path}"), outcome);
    }
    if let Err(late) = waited {
        let mut failure = missed(&format!("admin port, {path}"), judge_all(&reply.expect, &last));
        if failure.misses.is_empty() {
            failure.message = format!("admin port, {path}: {}", late.last);
        }
        failure.tries = reply.eventually.map(|_| tries(&late));
        return Err(failure);
    }
    for (name, source) in &reply.capture {
        let value = last.iter().find_map(|outcome| captured(source, outcome.as_ref().ok()?));
        let value = value.ok_or_else(|| format!("admin port, {path}: nothing to capture as `{name}`"))?;
        context.variables.insert(name.clone(), value);
    }
    Ok(asserted(&reply.expect, &last))
}

/// Fetches a URL of plain HTTP on an IP address.
pub(super) async fn get(url: &str) -> Outcome {
    call("GET", url).await
}

/// Calls a URL of plain HTTP on an IP address.
pub(super) async fn call(method: &str, url: &str) -> Outcome {
    let url: http::Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let host = url.authority().map(ToString::to_string).unwrap_or_default();
    let to = host.parse().map_err(|_| format!("`{host}` is no address with a port"))?;
    let target = Target { to, from: None, tls: None, http2: false };
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let outgoing =
        Outgoing { method: method.to_owned(), path, host, headers: Vec::new(), body: Bytes::new() };
    once(&target, &outgoing, LIMIT).await
}
