//! HTTP/2 frame by frame (RFC 9113), for what no library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// A connection that has exchanged prefaces.
pub(crate) struct Frames {
    stream: TcpStream,
    input: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// With an answer. The status is known for the few that HPACK has a number for, else it is 0.
    Answered(u16, Vec<u8>),
    /// With an error code.
    Reset(u32),
    /// So did the connection.
    GoAway(u32),
    Closed,
}

impl End {
    /// Whether the request was turned down.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, End::Answered(200, _))
    }
}

/// A header as HPACK writes it without a table: literal, never indexed.
pub(crate) fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name.as_ref(), value.as_ref()] {
        // Seven bits of length, then continuation bytes.
        if text.len() < 127 {
            out.push(text.len() as u8);
        } else {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
        out.extend_from_slice(text);
    }
    out
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

impl Frames {
    pub(crate) async fn connect(address: SocketAddr) -> Frames {
        Frames::connect_with(address, &[]).await
    }

    /// The server's side of one.
    pub(crate) async fn accept(mut stream: TcpStream) -> Frames {
        let mut preface = [0; 24];
        soon("preface", stream.read_exact(&mut preface)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut frames = Frames { stream, input: Vec::new() };
        frames.send(&frame(SETTINGS, 0, 0, &[])).await;
        frames
    }

    /// With settings: pairs of number and value.
    pub(crate) async fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Frames {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut frames = Frames { stream, input: Vec::new() };
        let mut payload = Vec::new();
        for (number, value) in settings {
            payload.extend(number.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(&frame(SETTINGS, 0, 0, &payload)).await;
        frames
    }

    /// Says whether everything was taken.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// A whole request whose header block is given.
    pub(crate) async fn request(&mut self, stream: u32, block: &[u8], body: Option<&[u8]>) -> bool {
        let end = if body.is_none() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, END_HEADERS | end, stream, block);
        if let Some(body) = body {
            bytes.extend(frame(DATA, END_STREAM, stream, body));
        }
        self.send(&bytes).await
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        soon("frame", self.read()).await
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if self.input.len() >= 9 {
                let length = u32::from_be_bytes([0, self.input[0], self.input[1], self.input[2]]) as usize;
                if self.input.len() >= 9 + length {
                    let all: Vec<u8> = self.input.drain(..9 + length).collect();
                    let stream = u32::from_be_bytes(all[5..9].try_into().unwrap()) & 0x7fff_ffff;
                    return Some(Frame { kind: all[3], flags: all[4], stream, payload: all[9..].to_vec() });
                }
            }
            self.input.reserve(16 << 10);
            if !matches!(self.stream.read_buf(&mut self.input).await, Ok(count) if count > 0) {
                return None;
            }
        }
    }

    /// The stream of the next request, as a server sees it; `None` at the end of the connection.
    pub(crate) async fn next_request(&mut self) -> Option<u32> {
        loop {
            let next = self.read().await?;
            match next.kind {
                HEADERS => return Some(next.stream),
                SETTINGS if next.flags & ACK == 0 => {
                    self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                }
                _ => {}
            }
        }
    }

    /// Reads until the stream ends one way or another; answers pings and settings meanwhile.
    pub(crate) async fn end_of(&mut self, stream: u32) -> End {
        self.end_of_watching(stream, stream).await
    }

    /// The same, ended also by a reset of another stream.
    pub(crate) async fn end_of_watching(&mut self, stream: u32, other: u32) -> End {
        let mut status = None;
        let mut body = Vec::new();
        loop {
            let Some(next) = self.next().await else { return End::Closed };
            match next.kind {
                SETTINGS if next.flags & ACK == 0 => {
                    self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                }
                PING if next.flags & ACK == 0 => {
                    self.send(&frame(PING, ACK, 0, &next.payload)).await;
                }
                GOAWAY => {
                    let code = u32::from_be_bytes(next.payload[4..8].try_into().unwrap());
                    if code != 0 {
                        return End::GoAway(code);
                    }
                }
                RST_STREAM if next.stream == stream || next.stream == other => {
                    return End::Reset(u32::from_be_bytes(next.payload[..4].try_into().unwrap()));
                }
                HEADERS if next.stream == stream => {
                    if status.is_none() {
                        status = Some(match next.payload.first() {
                            Some(0x88) => 200,
                            Some(0x8c) => 400,
                            Some(0x8d) => 404,
                            Some(0x8e) => 500,
                            _ => 0,
                        });
                    }
                    if next.flags & END_STREAM != 0 {
                        return End::Answered(status.unwrap_or(0), body);
                    }
                }
                DATA if next.stream == stream => {
                    body.extend_from_slice(&next.payload);
                    if next.flags & END_STREAM != 0 {
                        return End::Answered(status.unwrap_or(0), body);
                    }
                }
                _ => {}
            }
        }
    }
}
