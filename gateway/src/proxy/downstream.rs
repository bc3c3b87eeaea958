//! The client's side of one exchange, whatever the protocol: where the request's body comes from and where the
//! answer goes.

use std::io;
use std::task::{Context, Poll};

use crate::exchange::{Exchange, Sent};
use crate::http::fields::Fields;
use crate::http::head::ResponseHead;
use crate::net::deadline::Deadline;
use crate::net::wire::{Piece, Wire, WireError};

/// How long an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Known(u64),
    Unknown,
    /// There is no body on the wire; a length may be announced all the same (HEAD, 304).
    Absent(Option<u64>),
}

/// How long a request's body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    Nothing,
    Known(u64),
    Unknown,
}

/// One exchange as the client sees it. Methods that write keep what can't be sent at once; call
/// [`poll_flush`](Self::poll_flush) before giving more.
pub trait Downstream {
    /// The body the request announces.
    fn announced(&self) -> Announced;

    /// Whether all of the request's body has been read.
    fn body_done(&self) -> bool;

    /// Reads a stretch of the request's body to the beginning of `scratch`.
    fn poll_body(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<Result<Piece, WireError>>;

    /// Tells a client that waits for it (`Expect: 100-continue`) to send the body. Does nothing the second time.
    fn invite_body(&mut self, context: &mut Context<'_>) -> io::Result<()>;

    /// Passes on an interim answer (1xx but 100 and 101), where the protocol has them.
    fn interim(&mut self, context: &mut Context<'_>, head: &ResponseHead) -> io::Result<()>;

    /// Sends the head in `exchange.response` with the first stretch of the body. `complete` says that it is the
    /// whole body; `close` that the connection must not be used again.
    fn start(&mut self, context: &mut Context<'_>, exchange: &Exchange, answer: Start<'_>) -> io::Result<()>;

    /// Sends a stretch of the body.
    fn send(&mut self, context: &mut Context<'_>, payload: &[u8]) -> io::Result<()>;

    /// Sends the end of the body.
    fn end(&mut self, context: &mut Context<'_>, trailers: Option<&Fields>) -> io::Result<()>;

    /// Ready when everything has been sent.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>>;

    /// The client has taken nothing for too long.
    fn stalled(&mut self) {}

    /// Ready when the client has gone.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Breaks off an answer that can't be completed, so that the client doesn't take it for complete.
    fn abort(&mut self);

    /// The connection itself, for a tunnel. Only HTTP/1.1 has one to give.
    fn wire(&mut self) -> Option<&mut Wire>;

    /// Bytes that have left for the client so far, over the connection's life.
    fn delivered(&self) -> u64;

    /// The deadline that all waiting of this exchange goes by.
    fn deadline(&self) -> &Deadline;

    /// How the answer that was started is delimited.
    fn sent(&self) -> Sent;

    /// Bytes read for this request and written for its answer so far.
    fn transferred(&self) -> (u64, u64);
}

impl Length {
    /// The Content-Length to announce.
    pub fn announced(self) -> Option<u64> {
        match self {
            Length::Known(length) => Some(length),
            Length::Unknown => None,
            Length::Absent(length) => length,
        }
    }
}

/// The beginning of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    pub length: Length,
    pub first: &'a [u8],
    /// `first` is all there is.
    pub complete: bool,
    /// The connection must not be used again.
    pub close: bool,
    /// The connection becomes a tunnel.
    pub upgrade: bool,
    /// Seconds-exact `Date`, for answers that need one.
    pub date: Option<&'a [u8]>,
}
