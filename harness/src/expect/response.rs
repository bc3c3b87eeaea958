//! Status, header, body of a reply; and of many replies how many there were of each kind.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Miss, judge, judge_text, shorten};
use super::received::judge_received;
use super::shares::judge_shares;
use crate::http_client::Answer;
use crate::scenario::document::Expect;

/// What came of one request.
pub type Outcome = Result<Answer, String>;

/// Judges all outcomes of a step: each by itself, then all together. At most a few misses are told.
pub fn judge_all(expect: &Expect, outcomes: &[Outcome]) -> Vec<Miss> {
    let several = outcomes.len() > 1;
    let each = outcomes.iter().enumerate().flat_map(|(index, outcome)| {
        let mut misses = judge_one(expect, outcome);
        if several {
            for miss in &mut misses {
                miss.got = format!("{} (reply {} of {})", miss.got, index + 1, outcomes.len());
            }
        }
        misses
    });
    let mut misses: Vec<Miss> = each.take(3).collect();
    misses.extend(judge_counts(expect, outcomes));
    if let Some(shares) = &expect.shares {
        misses.extend(judge_shares(shares, outcomes));
    }
    misses
}

fn judge_one(expect: &Expect, outcome: &Outcome) -> Vec<Miss> {
    let answer = match (outcome, &expect.failure) {
        (Err(error), Some(check)) => return judge_text("the failure", check, Some(error)),
        (Ok(answer), Some(_)) => {
            return vec![Miss { expected: "no reply".to_owned(), got: format!("status {}", answer.status) }];
        }
        // Where replies are counted, failed ones are too.
        (Err(_), None) if !expect.counts.is_empty() => return Vec::new(),
        (Err(error), None) => {
            return vec![Miss { expected: "a reply".to_owned(), got: format!("none: {error}") }];
        }
        (Ok(answer), None) => answer,
    };
    let mut misses = Vec::new();
    if let Some(statuses) = expect.status.as_ref().filter(|statuses| !statuses.0.contains(&answer.status)) {
        let wanted: Vec<String> = statuses.0.iter().map(u16::to_string).collect();
        misses.push(Miss {
            expected: format!("status {}", wanted.join(" or ")),
            got: format!("status {}, body {}", answer.status, body(answer)),
        });
    }
    for (name, check) in &expect.headers {
        misses.extend(judge_text(&format!("header {name}"), check, answer.header(name).as_deref()));
    }
    if let Some(check) = &expect.body {
        misses.extend(judge_text("the body", check, Some(&answer.text())));
    }
    let json = || serde_json::from_slice::<Value>(&answer.body).ok();
    if !expect.json.is_empty() {
        match json() {
            None => misses.push(Miss { expected: "a body of JSON".to_owned(), got: body(answer) }),
            Some(json) => {
                for (pointer, check) in &expect.json {
                    misses.extend(judge(&format!("{pointer} in the body"), check, json.pointer(pointer)));
                }
            }
        }
    }
    if let Some(received) = &expect.received {
        misses.extend(judge_received(received, json().as_ref()));
    }
    misses
}

fn body(answer: &Answer) -> String {
    format!("`{}`", shorten(answer.text().trim_end()))
}

fn judge_counts(expect: &Expect, outcomes: &[Outcome]) -> Vec<Miss> {
    let counts = counts(outcomes.iter().map(|outcome| outcome.as_ref().map(|answer| answer.status).ok()));
    let mut misses = Vec::new();
    for (key, check) in &expect.counts {
        let count = counts.get(key).copied().unwrap_or(0);
        let mut found = judge(&format!("the number of {key}"), check, Some(&Value::from(count)));
        for miss in &mut found {
            miss.got = format!("{count} (there were {})", told(&counts));
        }
        misses.extend(found);
    }
    misses
}

/// How many there were of each status; what had none is under `failed`.
pub fn counts(statuses: impl Iterator<Item = Option<u16>>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for status in statuses {
        let key = status.map_or_else(|| "failed".to_owned(), |status| status.to_string());
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Counts as a person reads them.
pub fn told(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(key, count)| format!("{count} × {key}")).collect();
    counts.join(", ")
}

/// In a few words, what was asserted and held.
pub fn asserted(expect: &Expect, outcomes: &[Outcome]) -> String {
    let mut parts =
        vec![told(&counts(outcomes.iter().map(|outcome| outcome.as_ref().map(|answer| answer.status).ok())))];
    if !expect.headers.is_empty() {
        let names: Vec<&str> = expect.headers.keys().map(String::as_str).collect();
        parts.push(format!("headers {}", names.join(", ")));
    }
    if expect.body.is_some() || !expect.json.is_empty() {
        parts.push("body".to_owned());
    }
    if expect.received.is_some() {
        parts.push("the request as received".to_owned());
    }
    if !expect.exchange.is_empty() {
        parts.push("the exchange in the feed".to_owned());
    }
    if expect.shares.is_some() {
        parts.push("shares".to_owned());
    }
    parts.join("; ")
}
