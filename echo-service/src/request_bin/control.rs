//! The places beside a bin: its log, its outage, the answer it was created with.

use std::{io, sync::Arc};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    har::{Archive, Entry, Pair},
    not_allowed,
    outage::Outage,
    store::Store,
};
use crate::{
    answer, behaviour,
    body::{self, Body},
    record,
};

/// The HAR response a bin was created with. Missing parts are as in mockbin.org's form.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Canned {
    status: u16,
    status_text: String,
    http_version: String,
    headers: Vec<Pair>,
    content: Content,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    mime_type: String,
    text: String,
}

/// Which entries of a log are wanted.
#[derive(Default)]
struct Filter {
    since: u64,
    method: Option<String>,
    path: Option<String>,
    contains: Option<String>,
    limit: Option<usize>,
}

pub(super) fn index(store: &Store, parts: &Parts) -> Response<Body> {
    match parts.method {
        Method::GET | Method::HEAD => answer::json(StatusCode::OK, &store.index()),
        _ => not_allowed(parts, "GET, HEAD"),
    }
}

pub(super) fn log(store: &Store, id: &str, parts: &Parts) -> Response<Body> {
    match parts.method {
        Method::GET | Method::HEAD => match Filter::asked_by(parts) {
            Ok(filter) => {
                let contents = store.contents(id);
                let entries = filter.of(id, &contents.entries);
                answer::json(StatusCode::OK, &Archive::of(entries, contents.dropped, contents.refused))
            }
            Err(bad) => answer::text(StatusCode::BAD_REQUEST, bad + "\n"),
        },
        Method::DELETE => {
            store.empty(id);
            no_content()
        }
        _ => not_allowed(parts, "GET, HEAD, DELETE"),
    }
}

pub(super) fn outage(store: &Store, id: &str, parts: &Parts) -> Response<Body> {
    match parts.method {
        Method::GET | Method::HEAD => {}
        Method::DELETE => store.end_outage(id),
        Method::PUT => match Outage::asked_by(parts) {
            Ok(outage) => store.begin_outage(id, outage),
            Err(bad) => return answer::text(StatusCode::BAD_REQUEST, bad + "\n"),
        },
        _ => return not_allowed(parts, "GET, HEAD, PUT, DELETE"),
    }
    answer::json(StatusCode::OK, &store.outage_left(id))
}

pub(super) fn view(store: &Store, id: &str, parts: &Parts) -> Response<Body> {
    match parts.method {
        Method::GET | Method::HEAD => {
            let canned = store.canned(id).map_or_else(Canned::default, |canned| (*canned).clone());
            answer::json(StatusCode::OK, &canned)
        }
        _ => not_allowed(parts, "GET, HEAD"),
    }
}

pub(super) async fn create(store: &Store, request: Request<Body>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Ok(not_allowed(&parts, "POST"));
    }
    let limit = store.limits().entry_bytes;
    let taken = record::take(body, limit).await?;
    if taken.length > limit as u64 {
        let text = format!("failed to create a bin: its answer may have at most {limit} bytes\n");
        return Ok(answer::text(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let canned = match Canned::read(&taken.kept) {
        Ok(canned) => canned,
        Err(bad) => {
            let text = format!("failed to create a bin: {bad}; post a HAR response, or nothing\n");
            return Ok(answer::text(StatusCode::BAD_REQUEST, text));
        }
    };
    let id = Uuid::new_v4().to_string();
    store.can(&id, canned);
    let mut response = answer::json(StatusCode::CREATED, &id);
    if let Ok(place) = HeaderValue::try_from(format!("/bin/{id}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(body::full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl Filter {
    fn asked_by(parts: &Parts) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let bad = || format!("failed to read {name} \"{value}\": give it a number");
            match &*name {
                "since" => filter.since = value.parse().map_err(|_| bad())?,
                "limit" => filter.limit = Some(value.parse().map_err(|_| bad())?),
                "method" => filter.method = Some(value.into_owned()),
                "path" => filter.path = Some(value.into_owned()),
                "contains" => filter.contains = Some(value.into_owned()),
                other => {
                    return Err(format!(
                        "failed to understand {other}: there are since, limit, method, path and contains"
                    ));
                }
            }
        }
        Ok(filter)
    }

    fn of(&self, id: &str, entries: &[Arc<Entry>]) -> Vec<Entry> {
        let base = format!("/bin/{id}");
        let mut wanted: Vec<_> = entries.iter().filter(|entry| self.wants(&base, entry)).collect();
        let limit = self.limit.unwrap_or(wanted.len());
        wanted.drain(..wanted.len().saturating_sub(limit));
        wanted.into_iter().map(|entry| (**entry).clone().parsed()).collect()
    }

    fn wants(&self, base: &str, entry: &Entry) -> bool {
        let below = || entry.target().strip_prefix(base).unwrap_or_default();
        entry.sequence > self.since
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&entry.request.method))
            && self.path.as_ref().is_none_or(|path| below().starts_with(path.as_str()))
            && self.contains.as_ref().is_none_or(|part| entry.text().contains(part.as_str()))
    }
}

impl Default for Canned {
    fn default() -> Self {
        Self {
            status: 200,
            status_text: "OK".into(),
            http_version: "HTTP/1.1".into(),
            headers: Vec::new(),
            content: Content::default(),
        }
    }
}

impl Canned {
    /// Nothing is the default; anything else has to be an answer that can be given.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let canned: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if !(200..600).contains(&canned.status) {
            return Err(format!("status {} is not from 200 to 599", canned.status));
        }
        for pair in &canned.headers {
            header_field(pair).ok_or_else(|| format!("header \"{}\" can't be sent", pair.name))?;
        }
        Ok(canned)
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(body::full(self.content.text.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        if let Ok(mime) = HeaderValue::try_from(&self.content.mime_type)
            && !mime.is_empty()
        {
            response.headers_mut().insert(header::CONTENT_TYPE, mime);
        }
        for (name, value) in self.headers.iter().filter_map(header_field) {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// A field that an answer can carry, its framing being the server's affair.
fn header_field(pair: &Pair) -> Option<(HeaderName, HeaderValue)> {
    behaviour::field(&format!("{}: {}", pair.name, pair.value))
}
