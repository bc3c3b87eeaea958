//! What both directions of HTTP/2 need between an exchange and hyper: a body on its way out, a body on its way in, and
//! tasks that stay on the worker's thread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::deadline::Deadline;
use super::wire::{Piece, WireError};
use crate::http::fields::Fields;

/// Unsent bytes of a body that a stream may hold before it asks for no more.
pub const QUEUED: usize = 64 << 10;

/// A body between the exchange that makes it and hyper that sends it. Clones are ends of the same pipe.
#[derive(Clone, Default)]
pub struct Pipe(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    frames: VecDeque<Frame<Bytes>>,
    queued: usize,
    /// Bytes that hyper has taken.
    taken: u64,
    ended: bool,
    aborted: bool,
    gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// hyper's end of a pipe. It lets go of `guard` when it has sent the end of the body, or can't.
pub struct Outgoing<G> {
    pipe: Pipe,
    length: Option<u64>,
    _guard: G,
}

/// A body that hyper receives.
pub struct Inflow {
    incoming: Incoming,
    /// What did not fit into the scratch buffer.
    left_over: Bytes,
    /// Bytes handed on.
    pub read: u64,
}

/// The stream can't be completed and is reset.
#[derive(Debug, thiserror::Error)]
#[error("the body was broken off")]
pub struct Broken;

/// Spawns hyper's tasks on the worker's own thread.
#[derive(Clone)]
pub struct OnThisThread;

impl Pipe {
    /// The end that hyper reads; `length` is that of the whole body, if known.
    pub fn outgoing<G>(&self, length: Option<u64>, guard: G) -> Outgoing<G> {
        Outgoing { pipe: self.clone(), length, _guard: guard }
    }

    pub fn send(&self, payload: &[u8]) {
        if !payload.is_empty() {
            self.push(Frame::data(Bytes::copy_from_slice(payload)), payload.len());
        }
    }

    /// The end of the body.
    ///
    /// # Errors
    /// A trailer that HTTP/2 can't carry.
    pub fn end(&self, trailers: Option<&Fields>) -> Result<(), http::Error> {
        if let Some(trailers) = trailers {
            let mut map = http::HeaderMap::new();
            for field in trailers.iter() {
                let name = http::HeaderName::from_bytes(field.name)?;
                map.append(name, http::HeaderValue::from_bytes(field.value)?);
            }
            self.push(Frame::trailers(map), 0);
        }
        let mut state = self.0.borrow_mut();
        state.ended = true;
        state.wake_reader();
        Ok(())
    }

    fn push(&self, frame: Frame<Bytes>, size: usize) {
        let mut state = self.0.borrow_mut();
        state.frames.push_back(frame);
        state.queued += size;
        state.wake_reader();
    }

    /// Breaks the body off.
    pub fn abort(&self) {
        let mut state = self.0.borrow_mut();
        state.aborted = true;
        state.wake_reader();
    }

    /// Bytes that hyper has taken.
    pub fn taken(&self) -> u64 {
        self.0.borrow().taken
    }

    /// Whether hyper has still to take something.
    pub fn has_unsent(&self) -> bool {
        !self.0.borrow().frames.is_empty()
    }

    /// Ready when more may be given, and after the end when hyper has taken everything.
    pub fn poll_flush(&self, context: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), WireError>> {
        let mut state = self.0.borrow_mut();
        if state.gone {
            // hyper drops a body when it has sent the end of it.
            let all = state.ended && state.frames.is_empty();
            return Poll::Ready(if all { Ok(()) } else { Err(WireError::Closed) });
        }
        if state.frames.is_empty() || (!state.ended && state.queued < QUEUED) {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        match deadline.check(context) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(WireError::TimedOut)),
        }
    }

    /// Ready when hyper has let go of the body.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.borrow_mut();
        if state.gone {
            return Poll::Ready(());
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<G> Unpin for Outgoing<G> {}

impl<G> Body for Outgoing<G> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut state = self.pipe.0.borrow_mut();
        if state.aborted {
            return Poll::Ready(Some(Err(Broken)));
        }
        if let Some(frame) = state.frames.pop_front() {
            let size = frame.data_ref().map_or(0, Bytes::len);
            state.queued -= size;
            state.taken += size as u64;
            if let Some(writer) = state.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let state = self.pipe.0.borrow();
        state.ended && state.frames.is_empty() && !state.aborted
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<G> Drop for Outgoing<G> {
    fn drop(&mut self) {
        let mut state = self.pipe.0.borrow_mut();
        state.gone = true;
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }
}

impl Inflow {
    pub fn new(incoming: Incoming) -> Inflow {
        Inflow { incoming, left_over: Bytes::new(), read: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.left_over.is_empty() && self.incoming.is_end_stream()
    }

    /// Reads a stretch to the beginning of `scratch`.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        deadline: &Deadline,
    ) -> Poll<Result<Piece, WireError>> {
        loop {
            if !self.left_over.is_empty() {
                let count = self.left_over.len().min(scratch.len());
                scratch[..count].copy_from_slice(&self.left_over.split_to(count));
                self.read += count as u64;
                return Poll::Ready(Ok(Piece { payload: count, done: self.is_done(), trailers: None }));
            }
            match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.left_over = data,
                    Err(frame) => {
                        let trailers = frame.into_trailers().ok().map(|map| fields(&map));
                        return Poll::Ready(Ok(Piece { payload: 0, done: true, trailers }));
                    }
                },
                Poll::Ready(None) => return Poll::Ready(Ok(Piece { done: true, ..Piece::default() })),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(WireError::Closed)),
                Poll::Pending => {
                    return match deadline.check(context) {
                        Ok(()) => Poll::Pending,
                        Err(_) => Poll::Ready(Err(WireError::TimedOut)),
                    };
                }
            }
        }
    }
}

fn fields(map: &http::HeaderMap) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in map {
        fields.append(name.as_str(), value.as_bytes());
    }
    fields
}

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
