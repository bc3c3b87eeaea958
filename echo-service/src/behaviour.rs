//! How an answer may be told to differ from a faithful echo.
//!
//! Each field can be asked for in three ways: for one request by a header, for
//! one request by a query parameter (so that a browser can), and for the whole
//! process by a flag. A header outranks a query parameter, which outranks the
//! flag; of a field given twice the last counts, except that `header` and
//! `trailer` add up. Fields are independent of each other and combine.
//!
//! | header             | query            | flag          | value                                             | effect                                                                        |
//! |--------------------|------------------|---------------|---------------------------------------------------|-------------------------------------------------------------------------------|
//! | `X-Echo-Delay`     | `echo-delay`     | `--delay`     | a duration up to 1h, such as 250ms or 1.5s        | waits so long before it answers                                               |
//! | `X-Echo-Status`    | `echo-status`    | `--status`    | a number from 200 to 599                          | answers with this status                                                      |
//! | `X-Echo-Abort`     | `echo-abort`     | `--abort`     | before-headers or in-body                         | breaks off without an answer, or in the midst of its body                     |
//! | `X-Echo-Slow-Body` | `echo-slow-body` | `--slow-body` | a piece and a pause, such as 10 bytes every 100ms | sends the body piece by piece                                                 |
//! | `X-Echo-Size`      | `echo-size`      | `--size`      | a length up to 1TiB, such as 500, 64KiB, 1MB      | answers with a text of this length, not with the echo                         |
//! | `X-Echo-Header`    | `echo-header`    | `--header`    | Name: value, but no framing field                 | adds a field to the answer's header                                           |
//! | `X-Echo-Trailer`   | `echo-trailer`   | `--trailer`   | Name: value, but no framing field                 | adds a field after the answer's body (HTTP/1.1: if asked with `TE: trailers`) |
//! | `X-Echo-Format`    | `echo-format`    | `--format`    | wire or json                                      | outranks `Accept` in the choice of the echo's form                            |

mod fields;
mod values;

use std::{io, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use url::form_urlencoded;

use crate::body::{self, Body};
pub use fields::{FIELDS, Field};
pub(crate) use values::{duration, field, size};

/// Everything that can be asked of an answer. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behaviour {
    pub delay: Option<Duration>,
    pub status: Option<StatusCode>,
    pub abort: Option<Abort>,
    pub slow_body: Option<Pace>,
    pub size: Option<u64>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub trailers: Vec<(HeaderName, HeaderValue)>,
    pub format: Option<Format>,
}

/// Where an answer breaks off: the connection is closed, or over HTTP/2 the stream reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Abort {
    BeforeHeaders,
    InBody,
}

/// At most so many bytes at once, the next piece so much later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    pub bytes: usize,
    pub every: Duration,
}

/// The two forms of an echo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Wire,
    Json,
}

/// A field that can't be done as asked.
#[derive(Debug, thiserror::Error)]
pub enum BadField {
    #[error("failed to read {name} \"{value}\": give it {accepts}")]
    Value { name: String, value: String, accepts: &'static str },
    #[error("failed to understand {name}: there is no such field; there are {}", known.join(", "))]
    Name { name: String, known: Vec<String> },
}

impl Behaviour {
    /// What a request asks for, on top of `self`.
    pub(crate) fn asked_by(&self, parts: &Parts) -> Result<Self, BadField> {
        let mut asked = self.clone();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            asked.ask(&name, "echo-", &value)?;
        }
        for (name, value) in &parts.headers {
            asked.ask(name.as_str(), "x-echo-", &String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(asked)
    }

    /// Sets the field called `name`; the error repeats the name as the caller spelled it.
    pub fn ask(&mut self, name: &str, prefix: &str, value: &str) -> Result<(), BadField> {
        let Some(short) = name.strip_prefix(prefix) else { return Ok(()) };
        let Some(field) = FIELDS.iter().find(|field| field.name == short) else {
            let known = FIELDS.iter().map(|field| format!("{prefix}{}", field.name)).collect();
            return Err(BadField::Name { name: name.to_owned(), known });
        };
        (field.set)(self, value.trim()).ok_or_else(|| BadField::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            accepts: field.accepts,
        })
    }

    /// Whether a client would call the answer a failure.
    pub(crate) fn fails(&self) -> bool {
        self.abort.is_some() || self.status.is_some_and(|s| s.is_client_error() || s.is_server_error())
    }

    /// What comes before any answer: the delay, and breaking off without one.
    pub(crate) async fn before_headers(&self) -> io::Result<()> {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        match self.abort {
            Some(Abort::BeforeHeaders) => Err(io::Error::other("broken off as asked")),
            _ => Ok(()),
        }
    }

    /// Makes a faithful answer the one asked for.
    pub(crate) fn shape(&self, mut response: Response<Body>) -> Response<Body> {
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        replace(response.headers_mut(), &self.headers);
        if !self.trailers.is_empty() {
            let names: Vec<&str> = self.trailers.iter().map(|(name, _)| name.as_str()).collect();
            if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
                response.headers_mut().insert(header::TRAILER, names);
            }
        }
        response.map(|body| self.shape_body(body))
    }

    fn shape_body(&self, mut body: Body) -> Body {
        if self.abort == Some(Abort::InBody) {
            body = body::broken_off(body);
        }
        if let Some(pace) = self.slow_body {
            body = body::paced(body, pace);
        }
        if !self.trailers.is_empty() {
            body = body::with_trailers(body, self.trailers.iter().cloned().collect());
        }
        body
    }
}

/// The form the echo takes: as asked, else as `Accept` has it.
pub(crate) fn format(behaviour: &Behaviour, parts: &Parts) -> Format {
    behaviour.format.unwrap_or_else(|| {
        let accepts_json = parts.headers.get_all(header::ACCEPT).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split([',', ';']).any(|part| part.trim().eq_ignore_ascii_case("application/json"))
            })
        });
        if accepts_json { Format::Json } else { Format::Wire }
    })
}

/// Fields asked for take the place of our own of the same name.
fn replace(headers: &mut HeaderMap, asked: &[(HeaderName, HeaderValue)]) {
    for (name, _) in asked {
        headers.remove(name);
    }
    for (name, value) in asked {
        headers.append(name, value.clone());
    }
}

#[cfg(test)]
mod tests;
