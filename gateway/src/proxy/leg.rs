//! The upstream's side of one exchange, whatever the protocol: where the request goes and the answer comes from.

use std::io;
use std::task::{Context, Poll};

use crate::http::head::{Method, ResponseHead, Version};
use crate::http::http1::decode::BodyDecoder;
use crate::http::http1::framing::{self, Framing, FramingError};
use crate::http::http1::parse::{self, HeadLimits};
use crate::net::deadline::Deadline;
use crate::net::http2::Inflow;
use crate::net::wire::{Piece, Wire, WireError};
use crate::upstream::http2::Call;
use crate::upstream::pool::Connection;

/// One request on its way to a target and one answer on its way back.
pub enum Leg {
    Http1 { connection: Box<Connection>, framing: Framing, body: BodyDecoder },
    Http2(Box<Call>),
}

impl Leg {
    /// Over a connection of our own; the head is in its output already.
    pub fn http1(connection: Box<Connection>, framing: Framing) -> Leg {
        Leg::Http1 { connection, framing, body: BodyDecoder::Done }
    }

    /// Over a shared connection.
    pub fn http2(call: Call) -> Leg {
        Leg::Http2(Box::new(call))
    }

    /// The protocol's number in `Via`.
    pub fn protocol(&self) -> &'static str {
        match self {
            Leg::Http1 { .. } => Version::Http11.as_str(),
            Leg::Http2(_) => Version::Http2.as_str(),
        }
    }

    /// Bytes of the request that are gone.
    pub fn bytes_out(&self) -> u64 {
        match self {
            Leg::Http1 { connection, .. } => connection.wire.bytes_out,
            Leg::Http2(call) => call.pipe.taken(),
        }
    }

    pub fn has_unsent(&self) -> bool {
        match self {
            Leg::Http1 { connection, .. } => connection.wire.has_unsent(),
            Leg::Http2(call) => call.pipe.has_unsent(),
        }
    }

    /// Sends a stretch of the request's body.
    pub fn send(&mut self, context: &mut Context<'_>, payload: &[u8]) -> io::Result<()> {
        match self {
            Leg::Http1 { connection, framing, .. } => connection.wire.send(context, *framing, payload),
            Leg::Http2(call) => {
                call.pipe.send(payload);
                Ok(())
            }
        }
    }

    /// Sends the end of it.
    pub fn end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self {
            Leg::Http1 { connection, framing, .. } => connection.wire.end(context, *framing, None),
            Leg::Http2(call) => call.pipe.end(None).map_err(io::Error::other),
        }
    }

    /// Ready when everything has been taken.
    pub fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        deadline: &Deadline,
    ) -> Poll<Result<(), WireError>> {
        match self {
            Leg::Http1 { connection, .. } => connection.wire.poll_flush(context, deadline),
            Leg::Http2(call) => call.pipe.poll_flush(context, deadline),
        }
    }

    /// Reads the next head, interim ones too.
    pub fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        deadline: &Deadline,
        head: &mut ResponseHead,
        limits: &HeadLimits,
    ) -> Poll<Result<(), WireError>> {
        match self {
            Leg::Http1 { connection, .. } => connection
                .wire
                .poll_head(context, scratch, deadline, |bytes| parse::response(bytes, head, limits)),
            Leg::Http2(call) => call.poll_head(context, deadline, head, limits),
        }
    }

    /// Takes the framing of the final answer's body from its head. Says whether the connection can carry another
    /// request behind it, and which length the head announces, be there a body or not.
    pub fn begin_body(
        &mut self,
        method: Method,
        head: &ResponseHead,
    ) -> Result<(bool, Option<u64>), FramingError> {
        match self {
            Leg::Http1 { body, .. } => {
                let (framing, announced) = framing::of_response(method, head)?;
                *body = BodyDecoder::new(framing);
                Ok((framing != Framing::UntilClose, announced))
            }
            Leg::Http2(_) => Ok((false, framing::content_length(&head.fields).unwrap_or(None))),
        }
    }

    /// Reads a stretch of the answer's body to the beginning of `scratch`.
    pub fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        deadline: &Deadline,
    ) -> Poll<Result<Piece, WireError>> {
        match self {
            Leg::Http1 { connection, body, .. } => {
                connection.wire.poll_body(context, scratch, deadline, body)
            }
            Leg::Http2(call) => match &mut call.body {
                Some(body) => body.poll(context, scratch, deadline),
                None => Poll::Ready(Err(WireError::Closed)),
            },
        }
    }

    /// Whether all of the answer's body has been read.
    pub fn body_done(&self) -> bool {
        match self {
            Leg::Http1 { body, .. } => body.is_done(),
            Leg::Http2(call) => call.body.as_ref().is_some_and(Inflow::is_done),
        }
    }

    /// The connection, for another request.
    pub fn into_connection(self) -> Option<Box<Connection>> {
        match self {
            Leg::Http1 { connection, .. } => Some(connection),
            Leg::Http2(_) => None,
        }
    }

    /// The connection itself, for a tunnel.
    pub fn wire(&mut self) -> Option<&mut Wire> {
        match self {
            Leg::Http1 { connection, .. } => Some(&mut connection.wire),
            Leg::Http2(_) => None,
        }
    }
}
