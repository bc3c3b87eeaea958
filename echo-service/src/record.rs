//! Reads a request into the record of it. Of a body of any length it holds no
//! more than is shown.

use std::io;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::BodyExt;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    body::Body,
    reply::{Connection, Instance, ReceivedBody, Reply},
    wire,
};

/// A body read to its end: what was kept of it, how long it was.
pub(crate) struct Taken {
    pub(crate) kept: Vec<u8>,
    pub(crate) length: u64,
    pub(crate) sha256: String,
    pub(crate) trailers: HeaderMap,
}

pub(crate) async fn reply(
    request: Request<Body>,
    instance: Instance,
    connection: Connection,
) -> io::Result<Reply> {
    let received_at = Timestamp::now();
    let (parts, body) = request.into_parts();
    let taken = take(body, ReceivedBody::SHOWN).await?;
    Ok(Reply {
        instance,
        connection,
        received_at,
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        http_version: format!("{:?}", parts.version),
        host: wire::host(&parts),
        headers: pairs(&parts.headers),
        trailers: pairs(&taken.trailers),
        body: shown(taken),
    })
}

/// Reads `body` to its end and keeps its first `limit` bytes.
pub(crate) async fn take(mut body: Body, limit: usize) -> io::Result<Taken> {
    let (mut kept, mut length, mut digest) = (Vec::new(), 0, Sha256::new());
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await.transpose()? {
        match frame.into_data() {
            Ok(data) => {
                digest.update(&data);
                length += data.len() as u64;
                keep(&mut kept, &data, limit);
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let sha256 = format!("{:x}", Bytes::copy_from_slice(&digest.finalize()));
    Ok(Taken { kept, length, sha256, trailers })
}

fn keep(kept: &mut Vec<u8>, data: &Bytes, limit: usize) {
    let room = limit - kept.len();
    kept.extend_from_slice(&data[..data.len().min(room)]);
}

fn shown(taken: Taken) -> ReceivedBody {
    let truncated = (taken.kept.len() as u64) < taken.length;
    let (text, base64) = match text(taken.kept, truncated) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
    };
    ReceivedBody { length: taken.length, sha256: taken.sha256, truncated, text, base64 }
}

/// The bytes as text if they are. Where they were cut, the last character may be in part.
pub(crate) fn text(bytes: Vec<u8>, truncated: bool) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).or_else(|error| {
        let fault = error.utf8_error();
        let mut bytes = error.into_bytes();
        if truncated && fault.error_len().is_none() {
            bytes.truncate(fault.valid_up_to());
        }
        String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)
    })
}

pub(crate) fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value_text(value))).collect()
}

fn value_text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;

    async fn shown_of(bytes: impl Into<Bytes>, limit: usize) -> ReceivedBody {
        shown(take(body::full(bytes), limit).await.unwrap())
    }

    #[tokio::test]
    async fn a_body_is_text_or_base64_with_its_digest() {
        let text = shown_of("abc", 10).await;
        assert_eq!((text.text.as_deref(), text.length, text.truncated), (Some("abc"), 3, false));
        assert_eq!(text.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(shown_of(vec![0xff, 0], 10).await.base64.as_deref(), Some("/wA="));
    }

    #[tokio::test]
    async fn a_long_body_is_cut_between_characters() {
        let cut = shown_of("aé!", 2).await;
        assert_eq!((cut.text.as_deref(), cut.length, cut.truncated), (Some("a"), 4, true));
        assert_eq!(shown_of("aé", 3).await.text.as_deref(), Some("aé"));
        assert_eq!(shown_of(vec![b'a', 0xff, b'b', b'c'], 3).await.base64.as_deref(), Some("Yf9i"));
    }

    #[test]
    fn values_that_are_not_utf8_are_read_as_latin1() {
        assert_eq!(value_text(&HeaderValue::from_bytes(b"caf\xe9").unwrap()), "café");
        assert_eq!(value_text(&HeaderValue::from_bytes("café".as_bytes()).unwrap()), "café");
    }
}
