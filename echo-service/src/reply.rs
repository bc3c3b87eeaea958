//! What was received, as JSON: the answer to `Accept: application/json`, and
//! the type that tests read back.
//!
//! Names of header fields are in lower case: over HTTP/2 they are so on the
//! wire, over HTTP/1.1 the server library does not tell how they were
//! written. Fields come in the order received, save that those of one name
//! stand together where the first of them stood. Bytes that are not UTF-8 in a
//! field's value are read as Latin-1.

use serde::{Deserialize, Serialize};

/// One request as it arrived, by whom it was received, and over what.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    pub instance: Instance,
    pub connection: Connection,
    /// When the head of the request had arrived; RFC 3339, UTC.
    pub received_at: jiff::Timestamp,
    pub method: String,
    /// The request target as received: `/a?b=c`, `http://host/a`, `*`.
    pub target: String,
    pub path: String,
    /// Without the question mark; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub http_version: String,
    /// From the target or `:authority` if there, else from the `Host` field.
    pub host: String,
    pub headers: Vec<(String, String)>,
    pub trailers: Vec<(String, String)>,
    pub body: ReceivedBody,
}

/// Which of several echoes answered. What the environment didn't say is absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The name that also stands in `NAME says OK at TIME`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// The transport connection a request came over.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Counts the connections of the process from 1.
    pub number: u64,
    /// Counts the requests of the connection from 1.
    pub request: u64,
    /// Address and port at the other end: the last hop, not who asked first.
    pub client_address: String,
}

/// A body: its length and digest, and of its content the first [`Self::SHOWN`] bytes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceivedBody {
    /// All of it, in bytes.
    pub length: u64,
    /// Of all of it, in lower-case hexadecimal.
    pub sha256: String,
    /// Whether less is shown than was received.
    pub truncated: bool,
    /// The content if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

impl ReceivedBody {
    /// How much of a body is shown.
    pub const SHOWN: usize = 64 * 1024;
}

impl Reply {
    /// The first value of a header field, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
