//! Sends a request, once or several times, and judges what comes back.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;

use super::feed::Feeds;
use super::{missed, tries};
use crate::environment::Addresses;
use crate::expect::Miss;
use crate::expect::check::judge;
use crate::expect::eventually::eventually;
use crate::expect::response::{Outcome, asserted, judge_all};
use crate::http_client::{Connection, Outgoing, Target, once, server_name};
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::Reply;
use crate::scenario::document::{Expect, HttpVersion, Request, Scheme, ShareKey};

/// How often a request is tried again where that was asked for.
const PACE: Duration = Duration::from_millis(50);

pub(super) async fn request(
    context: &mut Context,
    request: &Request,
    reply: &Reply,
) -> Result<String, Failure> {
    let (target, outgoing) = planned(request, context.environment.gateway(), wants_record(&reply.expect))?;
    let what = format!("{} {}", request.method, request.path);
    let (ids, _) = tokio::sync::watch::channel(Vec::new());
    let feeds = if reply.expect.exchange.is_empty() {
        None
    } else {
        Some(Feeds::listen(&*context.environment, &ids).await?)
    };
    let mut last: Vec<Outcome> = Vec::new();
    let waited = {
        let slot = parking_lot::Mutex::new(&mut last);
        eventually(reply.eventually.unwrap_or_default(), PACE, || async {
            let outcomes = send(request, &target, &outgoing).await;
            let misses = judge_all(&reply.expect, &outcomes);
            let seen = misses.first().map(|miss| format!("{} was expected, got {}", miss.expected, miss.got));
            **slot.lock() = outcomes;
            seen.map_or(Ok(()), Err)
        })
        .await
    };
    for outcome in last.iter().rev().take(3).rev() {
        context.remember(&what, outcome);
    }
    if let Err(late) = waited {
        let mut failure = missed(&what, judge_all(&reply.expect, &last));
        if failure.misses.is_empty() {
            failure.message = format!("{what}: {}", late.last);
        }
        failure.tries = reply.eventually.map(|_| tries(&late));
        return Err(failure);
    }
    if let Some(feeds) = feeds {
        let last_id =
            last.iter().rev().find_map(|outcome| outcome.as_ref().ok()?.header("x-kong-request-id"));
        ids.send_replace(last_id.into_iter().collect());
        let exchange = feeds.find().await.map_err(|error| format!("{what}: {error}"))?;
        let checks = reply.expect.exchange.iter();
        let misses: Vec<Miss> = checks
            .flat_map(|(pointer, check)| {
                judge(&format!("{pointer} in the feed"), check, exchange.pointer(pointer))
            })
            .collect();
        if !misses.is_empty() {
            return Err(missed(&what, misses));
        }
    }
    let held = asserted(&reply.expect, &last);
    for (name, source) in &reply.capture {
        let value = last.iter().find_map(|outcome| captured(source, outcome.as_ref().ok()?));
        let value = value.ok_or_else(|| format!("{what}: nothing to capture as `{name}`"))?;
        context.variables.insert(name.clone(), value);
    }
    if let Some(name) = &reply.name {
        context.replies.entry(name.clone()).or_default().extend(last);
    }
    Ok(held)
}

/// Whether the echo must answer with its record.
fn wants_record(expect: &Expect) -> bool {
    expect.received.is_some() || expect.shares.as_ref().is_some_and(|shares| shares.by == ShareKey::Pod)
}

/// Where a request goes and what is sent.
pub(super) fn planned(
    request: &Request,
    gateway: Addresses,
    record: bool,
) -> Result<(Target, Outgoing), String> {
    let to = match request.scheme {
        Scheme::Http => gateway.http,
        Scheme::Https => gateway.https,
    };
    let from = match &request.from {
        Some(from) => Some(from.parse::<IpAddr>().map_err(|_| format!("`{from}` is no IP address"))?),
        // On one machine any loopback address might be taken; scenarios count on this one.
        None if to.ip().is_loopback() && to.is_ipv4() => Some(Ipv4Addr::LOCALHOST.into()),
        None => None,
    };
    let usual_port = if request.scheme == Scheme::Http { 80 } else { 443 };
    let address = if to.port() == usual_port { to.ip().to_string() } else { to.to_string() };
    let host = request.host.clone().unwrap_or(address);
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if record && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        headers.push(("Accept".to_owned(), "application/json".to_owned()));
    }
    let target = Target {
        to,
        from,
        tls: (request.scheme == Scheme::Https).then(|| server_name(&host)),
        http2: request.version == HttpVersion::Two,
    };
    let body = request.body.clone().map(Bytes::from).unwrap_or_default();
    let (method, path) = (request.method.clone(), request.path.clone());
    Ok((target, Outgoing { method, path, host, headers, body }))
}

/// All outcomes, in the order in which the requests began.
async fn send(request: &Request, target: &Target, outgoing: &Outgoing) -> Vec<Outcome> {
    let limit = request.timeout.0;
    if request.times == 1 {
        return vec![once(target, outgoing, limit).await];
    }
    let next = Arc::new(AtomicU32::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..request.together.min(request.times) {
        let (next, times) = (Arc::clone(&next), request.times);
        let (target, outgoing) = (target.clone(), outgoing.clone());
        clients.spawn(async move {
            let (mut connection, mut outcomes) = (None, Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= times {
                    return outcomes;
                }
                outcomes.push((number, on_connection(&mut connection, &target, &outgoing, limit).await));
            }
        });
    }
    let mut all: Vec<(u32, Outcome)> = clients.join_all().await.into_iter().flatten().collect();
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn on_connection(
    connection: &mut Option<Connection>,
    target: &Target,
    outgoing: &Outgoing,
    limit: Duration,
) -> Outcome {
    let work = async {
        let mut open = match connection.take().filter(Connection::is_open) {
            Some(open) => open,
            None => Connection::open(target).await?,
        };
        let answer = open.send(outgoing).await?;
        *connection = Some(open);
        Ok(answer)
    };
    let limited = tokio::time::timeout(limit, work).await;
    limited.unwrap_or_else(|_| Err(format!("no whole reply within {:.1} s", limit.as_secs_f64())))
}

/// A value of a reply, if it is there.
pub(super) fn captured(
    source: &crate::scenario::document::Capture,
    answer: &crate::http_client::Answer,
) -> Option<String> {
    if let Some(name) = &source.header {
        return answer.header(name);
    }
    if let Some(pointer) = &source.json {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let value = body.pointer(pointer)?;
        return Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let text = answer.text();
    let groups = source.matches.as_ref()?.0.captures(&text)?;
    Some(groups.get(1).or_else(|| groups.get(0))?.as_str().to_owned())
}
