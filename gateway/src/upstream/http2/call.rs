//! One request over a shared connection: a head, two bodies, and the answer to come.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Sender;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::http::http1::framing::Framing;
use crate::http::http1::parse::{self, HeadError, HeadLimits};
use crate::http::name::{Name, NameSet};
use crate::net::deadline::Deadline;
use crate::net::http2::{Inflow, Pipe};
use crate::net::wire::WireError;

/// Lines that have no place in HTTP/2 (RFC 9113 §8.2.2), or are a pseudo-header there.
const NOT_IN_HTTP2: NameSet = NameSet::of(&[
    Name::Connection,
    Name::Host,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::TransferEncoding,
    Name::Upgrade,
]);

type Answer = dyn Future<Output = Result<hyper::Response<hyper::body::Incoming>, hyper::Error>>;

/// A stream of a shared connection.
pub struct Call {
    /// The request's body.
    pub pipe: Pipe,
    answer: Pin<Box<Answer>>,
    /// The answer's, once its head is there.
    pub body: Option<Inflow>,
}

impl Call {
    /// Sends the head; it is one as it is written for HTTP/1.1. `scheme` is that of the target.
    ///
    /// # Errors
    /// A head that HTTP/2 can't carry.
    pub fn new(
        mut sender: Sender,
        head: &[u8],
        scheme: &'static str,
        framing: Framing,
    ) -> Result<Call, String> {
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            _ => None,
        };
        let pipe = Pipe::default();
        let request = request(head, scheme)?.map(|()| pipe.outgoing(length, ()));
        // That nothing comes has to be known before hyper looks.
        if framing == Framing::None {
            pipe.end(None).map_err(|error| error.to_string())?;
        }
        let answer = Box::pin(sender.send_request(request));
        Ok(Call { pipe, answer, body: None })
    }

    /// Reads the head of the answer.
    ///
    /// # Errors
    /// `Closed` if the target has not seen the request, `Refused` if it has not looked at it.
    pub fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        deadline: &Deadline,
        head: &mut ResponseHead,
        limits: &HeadLimits,
    ) -> Poll<Result<(), WireError>> {
        let response = match self.answer.as_mut().poll(context) {
            Poll::Ready(Ok(response)) => response,
            // Nobody has seen a request that was not sent.
            Poll::Ready(Err(error)) if error.is_canceled() => return Poll::Ready(Err(WireError::Closed)),
            Poll::Ready(Err(error)) if is_refusal(&error) => return Poll::Ready(Err(WireError::Refused)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(WireError::Io(io::Error::other(error)))),
            Poll::Pending => {
                return match deadline.check(context) {
                    Ok(()) => Poll::Pending,
                    Err(_) => Poll::Ready(Err(WireError::TimedOut)),
                };
            }
        };
        let (parts, body) = response.into_parts();
        if parts.headers.len() > limits.fields {
            return Poll::Ready(Err(WireError::Head(HeadError::TooMany)));
        }
        head.clear();
        head.version = Version::Http2;
        head.status = parts.status.as_u16();
        for (name, value) in &parts.headers {
            head.fields.append(name.as_str(), value.as_bytes());
        }
        self.body = Some(Inflow::new(body));
        Poll::Ready(Ok(()))
    }
}

/// Whether the target has not processed the request: it refused the stream, or named an earlier one as its last
/// (RFC 9113 §8.7).
fn is_refusal(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        // The library gives a GOAWAY as the cause to streams behind its last one only.
        cause.is_remote() && (refused || cause.is_go_away())
    })
}

/// The head as hyper takes it.
fn request(head: &[u8], scheme: &'static str) -> Result<http::Request<()>, String> {
    let mut parsed = RequestHead::default();
    // It is ours, so no limit of a client's applies.
    let limits =
        HeadLimits { line: usize::MAX - 1, field: usize::MAX - 1, head: usize::MAX, fields: usize::MAX };
    parse::request(head, &mut parsed, &limits).map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let host = parsed.fields.get(Name::Host).unwrap_or_default();
    let uri = http::Uri::builder()
        .scheme(scheme)
        .authority(host)
        .path_and_query(parsed.target())
        .build()
        .map_err(|error| error.to_string())?;
    let mut request = http::Request::builder().method(parsed.method_bytes()).uri(uri);
    for field in parsed.fields.iter().filter(|field| !NOT_IN_HTTP2.contains(field.id)) {
        let value =
            http::HeaderValue::from_maybe_shared(text(field.value)).map_err(|error| error.to_string())?;
        request = request.header(field.name, value);
    }
    request.body(()).map_err(|error| error.to_string())
}
