//! Looks into a bin of the bin service, or makes it fail. What was logged there is taken out of the batches it
//! came in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::admin::{call, get};
use super::{missed, tries};
use crate::expect::Miss;
use crate::expect::check::judge;
use crate::expect::eventually::eventually;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{Bin, Outage};

/// The Service of `manifests/bin`.
const SERVICE: (&str, &str, u16) = ("request-bin", "request-bin", 9000);
const PACE: Duration = Duration::from_millis(100);

pub(super) async fn bin(
    context: &mut Context,
    bin: &Bin,
    patience: Option<Duration>,
) -> Result<String, Failure> {
    let (namespace, name, port) = SERVICE;
    let base = context.environment.service_url(namespace, name, port).await?;
    let url = format!("{base}/bin/{}", bin.id);
    match bin.outage {
        Some(Outage::Down) => told("PUT", &format!("{url}/outage")).await?,
        Some(Outage::Up) => told("DELETE", &format!("{url}/outage")).await?,
        None => {}
    }
    if bin.empty {
        told("DELETE", &format!("{url}/log")).await?;
    }
    let asks =
        bin.entries.is_some() || bin.refused.is_some() || bin.exactly.is_some() || !bin.each.is_empty();
    if !asks {
        return Ok(String::new());
    }
    let wanted = bin.exactly.as_ref().map(|name| ids(context, name)).transpose()?;
    let last = parking_lot::Mutex::new((Vec::new(), 0));
    let waited = eventually(patience.unwrap_or_default(), PACE, || async {
        let log = read(&format!("{url}/log")).await?;
        let misses = judge_log(bin, &log, wanted.as_deref());
        let seen = misses.first().map(|miss| format!("{} was expected, got {}", miss.expected, miss.got));
        *last.lock() = (misses, log.entries.len());
        seen.map_or(Ok(()), Err)
    })
    .await;
    let (misses, count) = last.into_inner();
    match waited {
        Ok(()) => Ok(format!("{count} entries")),
        Err(late) => {
            let mut failure = missed(&format!("bin {}", bin.id), misses);
            if failure.misses.is_empty() {
                failure.message = format!("bin {}: {}", bin.id, late.last);
            }
            failure.tries = patience.map(|_| tries(&late));
            Err(failure)
        }
    }
}

/// A call whose answer only has to be a success.
async fn told(method: &str, url: &str) -> Result<(), String> {
    let answer = call(method, url).await?;
    if answer.status >= 300 {
        return Err(format!(
            "the bin service answered {} to {method} {url}: {}",
            answer.status,
            answer.text()
        ));
    }
    Ok(())
}

/// What a bin holds.
struct Log {
    entries: Vec<Value>,
    refused: u64,
}

async fn read(url: &str) -> Result<Log, String> {
    let answer = get(url).await?;
    let archive: Value = serde_json::from_slice(&answer.body).map_err(|_| {
        format!("the bin service answered {} with no archive: {}", answer.status, answer.text())
    })?;
    let kept = archive.pointer("/log/entries").and_then(Value::as_array);
    let kept = kept.ok_or_else(|| format!("the bin service's archive has no entries: {archive}"))?;
    let mut entries = Vec::new();
    for entry in kept {
        match entry.pointer("/request/postData/_json") {
            Some(Value::Array(batch)) => entries.extend(batch.iter().cloned()),
            Some(one) => entries.push(one.clone()),
            None => entries.push(entry["request"].clone()),
        }
    }
    Ok(Log { entries, refused: archive.pointer("/log/_refused").and_then(Value::as_u64).unwrap_or(0) })
}

fn judge_log(bin: &Bin, log: &Log, wanted: Option<&[String]>) -> Vec<Miss> {
    let mut misses = Vec::new();
    if let Some(check) = &bin.entries {
        misses.extend(judge("the number of entries", check, Some(&log.entries.len().into())));
    }
    if let Some(check) = &bin.refused {
        misses.extend(judge("the number of refused requests", check, Some(&log.refused.into())));
    }
    if let Some(wanted) = wanted {
        misses.extend(judge_once(wanted, &log.entries));
    }
    for (pointer, check) in &bin.each {
        let each = log
            .entries
            .iter()
            .flat_map(|entry| judge(&format!("{pointer} of each entry"), check, entry.pointer(pointer)));
        misses.extend(each.take(1));
    }
    misses
}

/// Every wanted id is there once, and no other.
fn judge_once(wanted: &[String], entries: &[Value]) -> Vec<Miss> {
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries {
        *found.entry(entry.pointer("/request/id").and_then(Value::as_str).unwrap_or("none")).or_default() +=
            1;
    }
    let missing = wanted.iter().filter(|id| !found.contains_key(id.as_str())).count();
    let twice = found.values().filter(|count| **count > 1).count();
    let foreign = found.keys().filter(|id| !wanted.iter().any(|wanted| wanted == *id)).count();
    if missing + twice + foreign == 0 {
        return Vec::new();
    }
    vec![Miss {
        expected: format!("each of {} requests logged exactly once", wanted.len()),
        got: format!(
            "{} entries: {missing} requests are missing, {twice} are there more than once, {foreign} entries are of other requests",
            entries.len()
        ),
    }]
}

/// The request ids that the gateway gave the replies of a name.
fn ids(context: &Context, name: &str) -> Result<Vec<String>, String> {
    let replies = context.replies.get(name).ok_or_else(|| format!("no replies are called `{name}`"))?;
    let answers = replies.iter().filter_map(|outcome| outcome.as_ref().ok());
    answers
        .map(|answer| {
            answer.header("x-kong-request-id").ok_or_else(|| "a reply has no X-Kong-Request-Id".to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_request_is_logged_once_or_it_is_told() {
        let entries: Vec<Value> =
            ["a", "b", "b", "x"].iter().map(|id| json!({"request": {"id": id}})).collect();
        let wanted = |ids: &[&str]| -> Vec<String> { ids.iter().map(|id| (*id).to_owned()).collect() };
        assert!(judge_once(&wanted(&["a", "b"]), &entries[..2]).is_empty());
        let misses = judge_once(&wanted(&["a", "b", "c"]), &entries);
        assert_eq!(
            misses[0].got,
            "4 entries: 1 requests are missing, 1 are there more than once, 1 entries are of other requests"
        );
    }
}
