//! Bodies as they pass through this crate, and the ways an answer's body can
//! be made long, slow or short. Nothing here holds more than one frame.

use std::{io, pin::Pin, task, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};

use crate::behaviour::Pace;

/// A body in either direction.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

type Frames = Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>;

/// What a body of asked-for length is filled with: 64 bytes, one line of text.
const LINE: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
const LINES_PER_FRAME: usize = 1024;

/// How long an answer that breaks off waits first, so that what was sent so
/// far is on the wire and not discarded with the connection or the stream.
const BEFORE_BREAKING_OFF: Duration = Duration::from_millis(20);

/// Frames with the length that was known before the first of them.
struct Announced {
    frames: Frames,
    length: SizeHint,
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn from_frames(frames: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static) -> Body {
    StreamBody::new(frames).boxed_unsync()
}

/// `length` bytes of text, after `request` has been read to its end.
pub(crate) fn fill(length: u64, request: Body) -> Body {
    let drained = BodyStream::new(request).filter_map(async |frame| frame.err().map(Err));
    let lines = Bytes::from(LINE.repeat(LINES_PER_FRAME));
    let filling = stream::iter(std::iter::successors(Some(length), |left| {
        left.checked_sub((LINE.len() * LINES_PER_FRAME) as u64)
    }))
    .map(move |left| Ok(Frame::data(lines.slice(..left.min(lines.len() as u64) as usize))));
    announced(Box::pin(drained.chain(filling)), SizeHint::with_exact(length))
}

/// `body` in pieces of at most `pace.bytes`, each after the first `pace.every` later.
pub(crate) fn paced(body: Body, pace: Pace) -> Body {
    let length = http_body::Body::size_hint(&body);
    let start = (BodyStream::new(body), Bytes::new(), true);
    let frames = stream::unfold(start, move |(mut body, mut rest, first)| async move {
        while rest.is_empty() {
            match body.next().await?.map(Frame::into_data) {
                Ok(Ok(data)) => rest = data,
                Ok(Err(trailers)) => return Some((Ok(trailers), (body, rest, first))),
                Err(error) => return Some((Err(error), (body, rest, first))),
            }
        }
        if !first {
            tokio::time::sleep(pace.every).await;
        }
        let piece = rest.split_to(rest.len().min(pace.bytes));
        Some((Ok(Frame::data(piece)), (body, rest, false)))
    });
    announced(Box::pin(frames), length)
}

/// The first half of `body` where its length is known, else its first frame,
/// and then an error, at which the connection or stream is torn down.
pub(crate) fn broken_off(body: Body) -> Body {
    let length = http_body::Body::size_hint(&body);
    let start = (BodyStream::new(body), length.exact().map(|all| all / 2));
    let frames = stream::unfold(start, |(mut body, left)| async move {
        if left != Some(0)
            && let Some(Ok(frame)) = body.next().await
            && let Ok(mut data) = frame.into_data()
        {
            data.truncate(left.unwrap_or(u64::MAX).min(data.len() as u64) as usize);
            let left = left.unwrap_or(data.len() as u64) - data.len() as u64;
            return Some((Ok(Frame::data(data)), (body, Some(left))));
        }
        tokio::time::sleep(BEFORE_BREAKING_OFF).await;
        Some((Err(io::Error::other("broken off as asked")), (body, Some(0))))
    });
    announced(Box::pin(frames), length)
}

/// `body` followed by `trailers`. Its length is no longer announced, since a
/// body of announced length can't carry trailers over HTTP/1.1.
pub(crate) fn with_trailers(body: Body, trailers: HeaderMap) -> Body {
    let last = stream::once(async move { Ok(Frame::trailers(trailers)) });
    from_frames(BodyStream::new(body).chain(last))
}

fn announced(frames: Frames, length: SizeHint) -> Body {
    Announced { frames, length }.boxed_unsync()
}

impl http_body::Body for Announced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<Option<io::Result<Frame<Bytes>>>> {
        self.frames.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.length
    }
}
