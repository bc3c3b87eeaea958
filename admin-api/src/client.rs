//! Typed calls to a gateway's admin port.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use crate::feed::FeedMessage;
use crate::status::{Status, WaitAnswer, WaitRequest};

/// A line of the feed longer than this is refused: the other side is not a gateway.
const MAX_LINE: usize = 16 << 20;
/// How long a plain call may take; `wait` adds the time it asks for.
const CALL: Duration = Duration::from_secs(5);

/// Why a call to the admin port failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to reach the admin port at {url}: {cause}; is the gateway running there?")]
    Unreachable { url: String, cause: String },
    #[error("the admin port answered {status} to {url}: {body}")]
    Refused { url: String, status: u16, body: String },
    #[error(
        "the admin port at {url} sent something else than expected: {cause}; is it a gateway of this version?"
    )]
    Unexpected { url: String, cause: String },
}

/// A gateway's admin port.
#[derive(Debug, Clone)]
pub struct AdminClient {
    base: String,
    http: reqwest::Client,
}

impl AdminClient {
    /// `base` is the admin port's URL, for example `http://127.0.0.1:8001`. Proxy settings of the environment
    /// are not used.
    pub fn new(base: impl Into<String>) -> Result<AdminClient, Error> {
        let base = base.into().trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CALL)
            .build()
            .map_err(|cause| unreachable(&base, &cause))?;
        Ok(AdminClient { base, http })
    }

    /// The URL it was made for.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// `GET /status`.
    pub async fn status(&self) -> Result<Status, Error> {
        self.get_json("/status").await
    }

    /// `GET /config`: the model that serves, as the gateway prints it.
    pub async fn config(&self) -> Result<serde_json::Value, Error> {
        self.get_json("/config").await
    }

    /// `GET /metrics`, as text.
    pub async fn metrics(&self) -> Result<String, Error> {
        let url = format!("{}/metrics", self.base);
        let answer =
            self.http.get(&url).timeout(CALL).send().await.map_err(|cause| unreachable(&url, &cause))?;
        let answer = accepted(&url, answer).await?;
        answer.text().await.map_err(|cause| unexpected(&url, &cause))
    }

    /// Whether `GET /ready` says yes.
    pub async fn ready(&self) -> Result<bool, Error> {
        let url = format!("{}/ready", self.base);
        let answer =
            self.http.get(&url).timeout(CALL).send().await.map_err(|cause| unreachable(&url, &cause))?;
        Ok(answer.status().is_success())
    }

    /// `POST /wait`: returns when everything asked for is live, or with what is missing when time ran out.
    pub async fn wait(&self, request: &WaitRequest) -> Result<WaitAnswer, Error> {
        let url = format!("{}/wait", self.base);
        let limit = CALL + Duration::from_millis(request.timeout_ms.unwrap_or(10_000));
        let answer = self
            .http
            .post(&url)
            .timeout(limit)
            .json(request)
            .send()
            .await
            .map_err(|cause| unreachable(&url, &cause))?;
        if answer.status() == reqwest::StatusCode::GATEWAY_TIMEOUT {
            return answer.json().await.map_err(|cause| unexpected(&url, &cause));
        }
        accepted(&url, answer).await?.json().await.map_err(|cause| unexpected(&url, &cause))
    }

    /// `GET /feed`: messages until the connection ends; an item may be an error, after which the stream ends.
    pub async fn feed(
        &self,
    ) -> Result<impl Stream<Item = Result<FeedMessage, Error>> + Send + Unpin + use<>, Error> {
        let url = format!("{}/feed", self.base);
        let answer = self.http.get(&url).send().await.map_err(|cause| unreachable(&url, &cause))?;
        let bytes = accepted(&url, answer).await?.bytes_stream();
        Ok(Box::pin(lines(url, bytes)))
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let url = format!("{}{path}", self.base);
        let answer =
            self.http.get(&url).timeout(CALL).send().await.map_err(|cause| unreachable(&url, &cause))?;
        accepted(&url, answer).await?.json().await.map_err(|cause| unexpected(&url, &cause))
    }
}

/// A feed being read.
struct Lines<S> {
    url: String,
    bytes: S,
    pending: Vec<u8>,
    /// How much of `pending` holds no line end; a long line comes in many pieces, and none is searched twice.
    searched: usize,
    ended: bool,
}

fn lines(
    url: String,
    bytes: impl Stream<Item = Result<bytes::Bytes, reqwest::Error>> + Send + Unpin,
) -> impl Stream<Item = Result<FeedMessage, Error>> + Send {
    let start = Lines { url, bytes, pending: Vec::new(), searched: 0, ended: false };
    futures_util::stream::unfold(start, |mut lines| async move {
        let message = lines.next().await?;
        lines.ended = message.is_err();
        Some((message, lines))
    })
}

impl<S: Stream<Item = Result<bytes::Bytes, reqwest::Error>> + Send + Unpin> Lines<S> {
    async fn next(&mut self) -> Option<Result<FeedMessage, Error>> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(end) = self.pending[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + end;
                let message = serde_json::from_slice(&self.pending[..end])
                    .map_err(|cause| unexpected(&self.url, &cause));
                self.pending.drain(..=end);
                self.searched = 0;
                return Some(message);
            }
            self.searched = self.pending.len();
            match self.bytes.next().await? {
                Ok(chunk) if self.pending.len() + chunk.len() <= MAX_LINE => {
                    self.pending.extend_from_slice(&chunk);
                }
                Ok(_) => return Some(Err(unexpected(&self.url, &"a line without an end"))),
                Err(cause) => return Some(Err(unreachable(&self.url, &cause))),
            }
        }
    }
}

async fn accepted(url: &str, answer: reqwest::Response) -> Result<reqwest::Response, Error> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap_or_default();
    Err(Error::Refused { url: url.to_owned(), status, body })
}

/// The innermost cause: reqwest's own text only repeats the URL.
fn unreachable(url: &str, cause: &reqwest::Error) -> Error {
    let mut innermost: &dyn std::error::Error = cause;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Error::Unreachable { url: url.to_owned(), cause: innermost.to_string() }
}

fn unexpected(url: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::Unexpected { url: url.to_owned(), cause: cause.to_string() }
}
