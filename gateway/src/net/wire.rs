//! A connection with what was read but not used and written but not sent, speaking HTTP/1.1 in either
//! direction.
//!
//! Bytes are read into a scratch buffer that all connections of a worker share; only leftovers are kept here.
//! Small messages leave in one `send`; a large stretch of a body goes out by `writev` without being copied.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::deadline::{Deadline, Elapsed};
use super::io::Io;
use super::spare;
use crate::http::fields::Fields;
use crate::http::http1::chunked::{ChunkError, write_size};
use crate::http::http1::decode::BodyDecoder;
use crate::http::http1::encode;
use crate::http::http1::framing::Framing;
use crate::http::http1::parse::{HeadError, Parsed};

/// A stretch of a body up to this size is copied behind the head and leaves with it.
const SMALL: usize = 8 << 10;
/// Memory that an idle connection may keep.
const IDLE_MEMORY: usize = 1 << 10;

/// A connection.
pub struct Wire {
    io: Io,
    /// Read, not used yet.
    input: Vec<u8>,
    /// To be sent, from `sent` on. Without memory of its own when there is nothing.
    output: Vec<u8>,
    sent: usize,
    /// Bytes the kernel has taken and given.
    pub bytes_out: u64,
    pub bytes_in: u64,
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub enum WireError {
    /// The other side has closed.
    Closed,
    /// It says that it has not looked at what it was sent. Only HTTP/2 can say so.
    Refused,
    Io(io::Error),
    Head(HeadError),
    Chunk(ChunkError),
    /// The other side closed within a body.
    Truncated,
    TimedOut,
}

/// A stretch of a body; its payload lies at the beginning of the scratch buffer.
#[derive(Debug, Default)]
pub struct Piece {
    pub payload: usize,
    /// Whether the body is complete with it.
    pub done: bool,
    pub trailers: Option<Fields>,
}

impl Wire {
    pub fn new(io: Io) -> Wire {
        Wire { io, input: Vec::new(), output: Vec::new(), sent: 0, bytes_out: 0, bytes_in: 0 }
    }

    pub fn io(&self) -> &Io {
        &self.io
    }

    /// The connection itself with the bytes read ahead of it.
    pub fn into_parts(self) -> (Io, Vec<u8>) {
        (self.io, self.input)
    }

    /// Whether nothing is left over in either direction.
    pub fn is_clean(&self) -> bool {
        self.input.is_empty() && !self.has_unsent()
    }

    /// What was read and not used.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    pub fn has_unsent(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Gives memory back before a time of idleness.
    pub fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > IDLE_MEMORY {
            self.input = Vec::new();
        }
    }

    /// Reads until a head is complete. `parse` is given all bytes so far. The deadline must have been set.
    ///
    /// # Errors
    /// `Closed` only if not a single byte of a head had come.
    pub fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        deadline: &Deadline,
        mut parse: impl FnMut(&[u8]) -> Result<Parsed, HeadError>,
    ) -> Poll<Result<(), WireError>> {
        if !self.input.is_empty()
            && let Parsed::Complete(length) = parse(&self.input).map_err(WireError::Head)?
        {
            self.input.drain(..length);
            return Poll::Ready(Ok(()));
        }
        loop {
            let count = match self.poll_read(context, scratch) {
                Poll::Ready(Ok(0)) if self.input.is_empty() => return Poll::Ready(Err(WireError::Closed)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(WireError::Truncated)),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(WireError::Io(error))),
                Poll::Pending => return pending(context, deadline),
            };
            let fresh = &scratch[..count];
            if self.input.is_empty() {
                match parse(fresh) {
                    Ok(Parsed::Complete(length)) => {
                        self.input.extend_from_slice(&fresh[length..]);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Parsed::Partial) => self.input.extend_from_slice(fresh),
                    Err(error) => {
                        // Another protocol may want them.
                        self.input.extend_from_slice(fresh);
                        return Poll::Ready(Err(WireError::Head(error)));
                    }
                }
                continue;
            }
            self.input.extend_from_slice(fresh);
            // A head can only end with a line, or be refused for its length.
            if (memchr::memchr(b'\n', fresh).is_some() || self.input.len() > 4 << 10)
                && let Parsed::Complete(length) = parse(&self.input).map_err(WireError::Head)?
            {
                self.input.drain(..length);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads a stretch of a body to the beginning of `scratch`.
    pub fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        deadline: &Deadline,
        decoder: &mut BodyDecoder,
    ) -> Poll<Result<Piece, WireError>> {
        if decoder.is_done() {
            return Poll::Ready(Ok(Piece { done: true, ..Piece::default() }));
        }
        if self.input.is_empty() {
            let count = match self.poll_read(context, scratch) {
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(WireError::Io(error))),
                Poll::Pending => return pending(context, deadline),
            };
            if count == 0 {
                decoder.end_of_stream().map_err(|_| WireError::Truncated)?;
                return Poll::Ready(Ok(Piece { done: true, ..Piece::default() }));
            }
            let (step, trailers) = decoder.step(&mut scratch[..count]).map_err(WireError::Chunk)?;
            self.input.extend_from_slice(&scratch[step.consumed..count]);
            return Poll::Ready(Ok(Piece { payload: step.payload, done: step.done, trailers }));
        }
        let count = self.input.len().min(scratch.len());
        scratch[..count].copy_from_slice(&self.input[..count]);
        let (step, trailers) = decoder.step(&mut scratch[..count]).map_err(WireError::Chunk)?;
        self.input.drain(..step.consumed);
        Poll::Ready(Ok(Piece { payload: step.payload, done: step.done, trailers }))
    }

    /// The bytes to send, for writing a head behind what is there.
    pub fn output(&mut self) -> &mut Vec<u8> {
        if !self.has_unsent() {
            self.output.clear();
            self.sent = 0;
            if self.output.capacity() == 0 {
                self.output = spare::take();
            }
        }
        &mut self.output
    }

    /// Sends a stretch of a body behind everything before it. What the kernel doesn't take now is kept; call
    /// [`poll_flush`](Self::poll_flush) before the next stretch, so that no more than one is ever kept.
    pub fn send(&mut self, context: &mut Context<'_>, framing: Framing, payload: &[u8]) -> io::Result<()> {
        if payload.len() <= SMALL {
            encode::body(self.output(), framing, payload);
            return self.try_flush(context);
        }
        let chunked = framing == Framing::Chunked;
        if chunked {
            write_size(self.output(), payload.len());
        }
        let end: &[u8] = if chunked { b"\r\n" } else { b"" };
        let before = self.output.len() - self.sent;
        let parts = [IoSlice::new(&self.output[self.sent..]), IoSlice::new(payload), IoSlice::new(end)];
        let taken = match Pin::new(&mut self.io).poll_write_vectored(context, &parts) {
            Poll::Ready(Ok(taken)) => taken,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => 0,
        };
        self.bytes_out += taken as u64;
        self.sent += taken.min(before);
        let from_payload = taken.saturating_sub(before).min(payload.len());
        let from_end = taken.saturating_sub(before + payload.len());
        let output = self.output();
        output.extend_from_slice(&payload[from_payload..]);
        output.extend_from_slice(&end[from_end..]);
        if self.has_unsent() { self.try_flush(context) } else { Ok(()) }
    }

    /// Sends the end of a body.
    pub fn end(
        &mut self,
        context: &mut Context<'_>,
        framing: Framing,
        trailers: Option<&Fields>,
    ) -> io::Result<()> {
        encode::end(self.output(), framing, trailers);
        self.try_flush(context)
    }

    /// Ready when everything has been taken by the kernel.
    pub fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        deadline: &Deadline,
    ) -> Poll<Result<(), WireError>> {
        self.try_flush(context).map_err(WireError::Io)?;
        if self.has_unsent() { pending(context, deadline) } else { Poll::Ready(Ok(())) }
    }

    /// Ready when the other side has closed. What it sends meanwhile is kept, within a bound.
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        const AHEAD: usize = 16 << 10;
        if let Io::Tcp(stream) = &self.io {
            // Nearly always there is nothing, so the buffer is not made before there is.
            let _ = ready!(stream.poll_read_ready(context));
        }
        let mut bytes = [0; 2 << 10];
        while self.input.len() < AHEAD {
            match ready!(self.poll_read(context, &mut bytes)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
            }
        }
        Poll::Pending
    }

    /// Reads what there is, also what was read ahead, to the beginning of `scratch`. 0 is the end.
    pub fn poll_raw(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.input.is_empty() {
            return self.poll_read(context, scratch);
        }
        let count = self.input.len().min(scratch.len());
        scratch[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        Poll::Ready(Ok(count))
    }

    /// Tells the other side that nothing more comes.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    #[inline]
    fn poll_read(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
        let count = buffer.filled().len();
        self.bytes_in += count as u64;
        Poll::Ready(Ok(count))
    }

    fn try_flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.has_unsent() {
            match Pin::new(&mut self.io).poll_write(context, &self.output[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(taken)) => {
                    self.sent += taken;
                    self.bytes_out += taken as u64;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        self.sent = 0;
        if self.output.capacity() > 0 {
            spare::give(std::mem::take(&mut self.output));
        }
        if matches!(self.io, Io::Tcp(_)) {
            return Ok(());
        }
        // TLS keeps records of its own until told to send them.
        match Pin::new(&mut self.io).poll_flush(context) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

fn pending<T>(context: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<T, WireError>> {
    match deadline.check(context) {
        Ok(()) => Poll::Pending,
        Err(Elapsed) => Poll::Ready(Err(WireError::TimedOut)),
    }
}
