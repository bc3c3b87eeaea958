//! The shape in which a bin gives back what it kept: HTTP Archive 1.2, as far
//! as mockbin.org filled it. Names with an underscore are this crate's own.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::{
    record::{self, Taken},
    wire,
};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Archive {
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Log {
    pub version: String,
    pub creator: Creator,
    pub entries: Vec<Entry>,
    /// Entries of this bin that were dropped to stay within the limits.
    #[serde(rename = "_dropped")]
    pub dropped: u64,
    /// Requests to this bin that it was told to fail, and so didn't keep.
    #[serde(rename = "_refused")]
    pub refused: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Creator {
    pub name: String,
    pub version: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Grows from entry to entry across all bins; what `since` is compared with.
    #[serde(rename = "_sequence")]
    pub sequence: u64,
    pub started_date_time: Timestamp,
    #[serde(rename = "clientIPAddress")]
    pub client_ip_address: String,
    pub request: Request,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub method: String,
    pub url: String,
    pub http_version: String,
    pub headers: Vec<Pair>,
    pub query_string: Vec<Pair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData>,
    /// All of the body, also when less of it was kept.
    pub body_size: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData {
    pub mime_type: String,
    pub text: String,
    /// `base64` when the body was not UTF-8; `text` is then in it.
    #[serde(rename = "_encoding", default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether less was kept than was received.
    #[serde(rename = "_truncated", default)]
    pub truncated: bool,
    /// The body parsed, when it is JSON. Made when the log is read.
    #[serde(rename = "_json", default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Pair {
    pub name: String,
    pub value: String,
}

impl Archive {
    pub(super) fn of(entries: Vec<Entry>, dropped: u64, refused: u64) -> Self {
        let creator =
            Creator { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() };
        Self { log: Log { version: "1.2".into(), creator, entries, dropped, refused } }
    }
}

impl Entry {
    /// With its body parsed, if it is JSON.
    pub(super) fn parsed(mut self) -> Self {
        if let Some(data) = &mut self.request.post_data
            && data.encoding.is_none()
            && !data.truncated
        {
            data.json = serde_json::from_str(&data.text).ok();
        }
        self
    }

    /// About what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let pairs = |pairs: &[Pair]| -> usize {
            pairs.iter().map(|p| size_of::<Pair>() + p.name.len() + p.value.len()).sum()
        };
        let request = &self.request;
        size_of::<Self>()
            + request.url.len()
            + pairs(&request.headers)
            + pairs(&request.query_string)
            + request.post_data.as_ref().map_or(0, |data| data.text.len() + data.mime_type.len())
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        let url = &self.request.url;
        url.match_indices('/').nth(2).map_or("", |(start, _)| &url[start..])
    }

    /// The body as text, where it is one.
    pub(super) fn text(&self) -> &str {
        self.request.post_data.as_ref().map_or("", |data| &data.text)
    }
}

/// The entry for a request; its place in the sequence is the store's to give.
pub(super) fn entry(parts: &Parts, taken: Taken, started: Timestamp, client: &str) -> Entry {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
    Entry {
        sequence: 0,
        started_date_time: started,
        client_ip_address: client.rsplit_once(':').map_or(client, |(ip, _)| ip).to_owned(),
        request: Request {
            method: parts.method.to_string(),
            url: format!("http://{}{target}", wire::host(parts)),
            http_version: format!("{:?}", parts.version),
            headers: pairs(record::pairs(&parts.headers)),
            query_string: pairs(query),
            body_size: taken.length,
            post_data: (taken.length > 0).then(|| post_data(parts, taken)),
        },
    }
}

fn post_data(parts: &Parts, taken: Taken) -> PostData {
    let mime_type = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let truncated = (taken.kept.len() as u64) < taken.length;
    let (text, encoding) = match record::text(taken.kept, truncated) {
        Ok(text) => (text, None),
        Err(bytes) => (BASE64_STANDARD.encode(bytes), Some("base64".to_owned())),
    };
    PostData { mime_type, text, encoding, truncated, json: None }
}

fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<Pair> {
    pairs.into_iter().map(|(name, value)| Pair { name, value }).collect()
}
