//! The article's echo: the request as received, printed in wire form exactly
//! as Go's `Request.Write` does, then `NAME says OK at TIME`.
//!
//! A request whose answer is short and of known length is answered with
//! `Content-Length`, as Go does up to 2 KiB; any other is streamed, one frame
//! in, one frame out, so that a body of any size passes through.
//!
//! Deliberately unlike Go: its server, once it begins to answer, throws away up
//! to 256 KiB of the request, so that a body of a few kilobytes comes back cut
//! off; here all of it comes back. A chunked request is answered at once and in chunks, and its
//! chunks are printed as they came; Go gathers both. What is streamed is
//! text/plain, since the type has to be said before the body is seen.

mod head;
mod path;
pub(crate) mod refusal;

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;

use crate::{
    body::{self, Body},
    go_time::GoClock,
};
use head::Framing;
pub(crate) use head::host;

/// Go's buffer: an answer that fits is sent with its length.
const ANSWERED_WHOLE: u64 = 2048;

/// More than the last line is ever longer than the name in it.
const LAST_LINE_AT_MOST: u64 = 100;

/// How many bytes decide the content type, in Go as in browsers.
const SNIFFED: usize = 512;

/// Who speaks in the last line, and by which clock.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(crate) name: Arc<str>,
    pub(crate) clock: GoClock,
}

/// What is printed next. Each step holds at most one frame of the request.
enum Stage {
    Head(Bytes),
    Body,
    LastLine,
    Done,
}

struct Printer {
    stage: Stage,
    body: Body,
    framing: Framing,
    prints_trailers: bool,
    voice: Voice,
}

/// Answers with the request itself.
pub(crate) async fn echo(request: Request<Body>, voice: &Voice) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let framing = framing_of(&body);
    let head = head::print(&parts, framing);
    let whole = match framing {
        Framing::Length(length) => {
            let length =
                length.saturating_add(head.len() as u64 + voice.name.len() as u64 + LAST_LINE_AT_MOST);
            length <= ANSWERED_WHOLE
        }
        Framing::Chunked => false,
    };
    let printer = Printer {
        stage: Stage::Head(head.into()),
        body,
        framing,
        prints_trailers: !head::declared_trailers(&parts.headers).is_empty(),
        voice: voice.clone(),
    };
    let printed = body::from_frames(stream::unfold(printer, Printer::step));
    Ok(if whole {
        let printed = printed.collect().await?.to_bytes();
        ok(content_type(&printed), body::full(printed))
    } else {
        ok("text/plain; charset=utf-8", printed)
    })
}

fn framing_of(body: &Body) -> Framing {
    match body.size_hint().exact() {
        _ if body.is_end_stream() => Framing::Length(0),
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

fn ok(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Go's `DetectContentType` for text that begins with a method.
fn content_type(text: &[u8]) -> &'static str {
    let is_binary = |byte: &u8| matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if text.iter().take(SNIFFED).any(is_binary) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

impl Printer {
    async fn step(mut self) -> Option<(io::Result<Frame<Bytes>>, Self)> {
        let text = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Head(head) => {
                self.stage = Stage::Body;
                Ok(head)
            }
            Stage::Body => self.body_piece().await,
            Stage::LastLine => {
                Ok(format!("{} says OK at {}", self.voice.name, self.voice.clock.now()).into())
            }
            Stage::Done => return None,
        };
        Some((text.map(Frame::data), self))
    }

    async fn body_piece(&mut self) -> io::Result<Bytes> {
        match self.body.frame().await.transpose()?.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.stage = Stage::Body;
                Ok(if self.framing == Framing::Chunked { chunk(&data) } else { data })
            }
            Some(Err(frame)) => Ok(self.end(frame.into_trailers().ok())),
            None => Ok(self.end(None)),
        }
    }

    /// The last chunk with the trailers that were announced and came.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Bytes {
        self.stage = Stage::LastLine;
        if self.framing != Framing::Chunked {
            return Bytes::new();
        }
        let mut text = b"0\r\n".to_vec();
        if let Some(trailers) = trailers.filter(|_| self.prints_trailers) {
            head::fields(&mut text, &trailers, None);
        }
        text.extend_from_slice(b"\r\n");
        text.into()
    }
}

fn chunk(data: &[u8]) -> Bytes {
    if data.is_empty() {
        return Bytes::new(); // an empty chunk would end the body
    }
    let size = format!("{:x}\r\n", data.len());
    Bytes::from([size.as_bytes(), data, b"\r\n"].concat())
}

#[cfg(test)]
mod tests;
