//! Counts the HTTP/2 frames that make work for us and carry nothing: pings, settings, priorities, windows, resets,
//! unknown ones. hyper answers or ignores each of them, however many there are (CVE-2019-9512, -9513, -9515).
//!
//! It reads frame headers only (RFC 9113 §4.1) and judges nothing else; that is hyper's.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::deadline::Deadlines;

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// What the limit is for, in milliseconds.
const WINDOW_MS: u64 = 10_000;
/// Every frame of ours that carries something entitles to so many in return: a window is given back for what was sent,
/// and a round trip measured by it.
const RETURNS: u64 = 10;

/// GOAWAY for everything so far, with `ENHANCE_YOUR_CALM`.
const FAREWELL: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];

/// A connection that speaks HTTP/2 and ends when the peer sends too many frames of no use.
pub struct Metered<S> {
    stream: S,
    deadlines: Rc<Deadlines>,
    received: Frames,
    sent: Frames,
    allowance: Allowance,
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// How many frames of no use may still come.
#[derive(Debug)]
struct Allowance {
    /// In ten seconds.
    limit: u64,
    left: u64,
    since_ms: u64,
}

/// Where in a series of frames a stream of bytes is.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; FRAME_HEADER],
    /// Bytes of the header that are known.
    known: usize,
    /// Bytes that belong to a frame whose header was seen.
    skip: usize,
}

impl<S> Metered<S> {
    /// Ends the connection when more than `limit` frames come in ten seconds.
    pub fn new(stream: S, role: Role, limit: u32, deadlines: Rc<Deadlines>) -> Metered<S> {
        let preface = |first| Frames { skip: if first { PREFACE } else { 0 }, ..Frames::default() };
        Metered {
            stream,
            received: preface(role == Role::Server),
            sent: preface(role == Role::Client),
            allowance: Allowance { limit: limit.into(), left: limit.into(), since_ms: deadlines.now_ms() },
            deadlines,
        }
    }
}

impl Allowance {
    /// Takes one, if there is one.
    fn take(&mut self, now_ms: u64) -> bool {
        let gained = now_ms.saturating_sub(self.since_ms) * self.limit / WINDOW_MS;
        if gained > 0 {
            self.since_ms = now_ms;
            // What was earned by sending stays.
            self.left = self.left.max(self.limit.min(self.left + gained));
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

impl Frames {
    /// Looks at what comes next, and gives the type of every frame that begins in it.
    fn follow(&mut self, mut bytes: &[u8], mut each: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = (FRAME_HEADER - self.known).min(bytes.len());
            self.header[self.known..self.known + count].copy_from_slice(&bytes[..count]);
            self.known += count;
            bytes = &bytes[count..];
            if self.known == FRAME_HEADER {
                self.known = 0;
                self.skip = u32::from_be_bytes([0, self.header[0], self.header[1], self.header[2]]) as usize;
                each(self.header[3]);
            }
        }
    }

    fn is_between_frames(&self) -> bool {
        self.known == 0 && self.skip == 0
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn follow_sent(&mut self, bytes: &[u8]) {
        let left = &mut self.allowance.left;
        self.sent.follow(bytes, |kind| {
            if matches!(kind, DATA | HEADERS) {
                *left += RETURNS;
            }
        });
    }

    /// Says why, as far as that goes without waiting.
    fn part(&mut self, context: &mut Context<'_>) -> Error {
        if self.sent.is_between_frames() {
            let _ = Pin::new(&mut self.stream).poll_write(context, FAREWELL);
            let _ = Pin::new(&mut self.stream).poll_flush(context);
        }
        Error::new(ErrorKind::InvalidData, "too many frames that carry nothing")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let (now_ms, allowance, mut calm) = (this.deadlines.now_ms(), &mut this.allowance, true);
        this.received.follow(&buffer.filled()[before..], |kind| {
            if !matches!(kind, DATA | HEADERS | CONTINUATION) {
                calm &= allowance.take(now_ms);
            }
        });
        Poll::Ready(if calm { Ok(()) } else { Err(this.part(context)) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.follow_sent(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts))?;
        let mut left = count;
        for part in parts {
            let written = left.min(part.len());
            self.follow_sent(&part[..written]);
            left -= written;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut bytes = (payload as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.resize(bytes.len() + payload, 0xff);
        bytes
    }

    #[test]
    fn an_allowance_comes_back_with_time_and_grows_with_what_is_sent() {
        let mut allowance = Allowance { limit: 100, left: 100, since_ms: 0 };
        let mut taken = |now_ms, most: usize| (0..most).take_while(|_| allowance.take(now_ms)).count();
        assert_eq!(taken(0, 200), 100);
        assert_eq!(taken(50, 200), 0);
        assert_eq!(taken(1_000, 200), 10);
        assert_eq!(taken(60_000, 200), 100);
        allowance.left += 1_000;
        assert_eq!((0..2_000).take_while(|_| allowance.take(60_000)).count(), 1_000);
    }

    proptest! {
        #[test]
        fn frames_are_found_whatever_the_pieces(
            frames in prop::collection::vec((0..12_u8, 0..40_usize), 0..20),
            size in 1..50_usize,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, *payload)).collect();
            let (mut state, mut seen) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                state.follow(piece, |kind| seen.push(kind));
            }
            prop_assert_eq!(seen, frames.iter().map(|(kind, _)| *kind).collect::<Vec<_>>());
            prop_assert!(state.is_between_frames());
        }
    }
}
