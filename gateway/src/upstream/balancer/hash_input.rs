//! What consistent hashing hashes: the part of a request that an upstream names.

use std::borrow::Cow;

use uuid::Uuid;

use super::consistent_hash::hash;
use crate::exchange::Exchange;
use crate::http::name::Name;
use crate::model::{HashOn, Upstream};

/// The hash of a request, and the cookie that will bring the client back to the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashInput {
    pub hash: u32,
    /// A `Set-Cookie` value for the answer, when the upstream hashes on a cookie that the request doesn't have.
    pub set_cookie: Option<String>,
}

/// Reads the request for `hash_on`, then for `hash_fallback`. Requests that have neither share one hash.
pub fn hash_input(upstream: &Upstream, exchange: &Exchange) -> HashInput {
    for hash_on in [&upstream.hash_on, &upstream.hash_fallback] {
        if let Some(value) = value(hash_on, exchange) {
            return HashInput { hash: hash(&value), set_cookie: None };
        }
        match hash_on {
            HashOn::None => break,
            HashOn::Cookie(name) => return new_cookie(name, &upstream.hash_on_cookie_path),
            _ => {}
        }
    }
    HashInput { hash: hash(b""), set_cookie: None }
}

fn new_cookie(name: &str, path: &str) -> HashInput {
    let value = Uuid::new_v4().to_string();
    let set_cookie = format!("{name}={value}; Path={path}; SameSite=Lax; HttpOnly");
    HashInput { hash: hash(value.as_bytes()), set_cookie: Some(set_cookie) }
}

fn value<'a>(hash_on: &'a HashOn, exchange: &'a Exchange) -> Option<Cow<'a, [u8]>> {
    let owned = |text: String| Cow::Owned(text.into_bytes());
    match hash_on {
        HashOn::None => None,
        HashOn::Consumer => {
            let id = exchange.consumer.as_ref().map(|consumer| consumer.id).or(exchange.credential)?;
            Some(owned(id.to_string()))
        }
        HashOn::Ip => Some(owned(exchange.client.address.to_string())),
        HashOn::Header(name) => {
            let values: Vec<&[u8]> = exchange.request.fields.get_all(&**name).collect();
            (!values.is_empty()).then(|| joined(&values, b", "))
        }
        HashOn::Cookie(name) => cookie(exchange, name).map(Cow::Borrowed),
        // Reserved characters too, which routing leaves encoded.
        HashOn::Path => Some(percent_encoding::percent_decode_str(&exchange.path).into()),
        HashOn::QueryArg(name) => query_argument(exchange.request.query()?, name),
        HashOn::UriCapture(name) => capture(exchange, name).map(|text| Cow::Borrowed(text.as_bytes())),
    }
}

fn joined<'a>(values: &[&'a [u8]], separator: &[u8]) -> Cow<'a, [u8]> {
    match values {
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(several.join(separator)),
    }
}

fn cookie<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a [u8]> {
    let lines = exchange.request.fields.get_all(Name::Cookie);
    lines.flat_map(|line| line.split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii_start();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

/// Several values are sorted and joined, so their order doesn't matter; an argument without `=` counts as `true`.
fn query_argument<'a>(query: &[u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let mut values: Vec<Vec<u8>> = query
        .split(|byte| *byte == b'&')
        .filter_map(|pair| {
            let at = memchr::memchr(b'=', pair);
            let is_meant = decoded(&pair[..at.unwrap_or(pair.len())]) == name.as_bytes();
            is_meant.then(|| at.map_or_else(|| b"true".to_vec(), |at| decoded(&pair[at + 1..])))
        })
        .collect();
    values.sort_unstable();
    (!values.is_empty()).then(|| Cow::Owned(values.join(&b","[..])))
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

fn capture<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    let matched = exchange.matched.as_ref()?;
    let named = matched.named_captures.iter().find(|(other, _)| other == name).map(|(_, text)| text);
    let numbered = || matched.captures.get(name.parse::<usize>().ok()?);
    named.or_else(numbered).map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
pub(super) mod tests;
