//! The chunked coding (RFC 9112 §7.1), read strictly: CRLF and nothing else ends a line, sizes can't overflow,
//! extensions and trailers are bounded.

use crate::http::fields::Fields;

/// Bytes of extensions tolerated in one body; they are read and dropped.
const MOST_EXTENSIONS: usize = 4 << 10;
/// Bytes of trailers tolerated.
const MOST_TRAILERS: usize = 8 << 10;
const MOST_TRAILER_FIELDS: usize = 64;

/// Reads a chunked body in pieces.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// Payload bytes left in the current chunk.
    left: u64,
    extensions: usize,
    trailers: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("a chunk size is malformed")]
    Size,
    #[error("a chunk does not end where its size says")]
    End,
    #[error("the chunk extensions are too long")]
    Extensions,
    #[error("the trailers are malformed or too long")]
    Trailers,
}

/// What one step over some bytes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Payload bytes; they are now at the beginning of the input.
    pub payload: usize,
    /// How many bytes of the input belonged to the body.
    pub consumed: usize,
    /// Whether the body is complete.
    pub done: bool,
}

impl ChunkedDecoder {
    /// Reads as much as there is, and moves the payload to the front of `input`.
    pub fn step(&mut self, input: &mut [u8]) -> Result<Step, ChunkError> {
        let (mut read, mut write) = (0, 0);
        while read < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let take = (input.len() - read).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                input.copy_within(read..read + take, write);
                (read, write) = (read + take, write + take);
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.next(input[read])?;
                read += 1;
            }
        }
        Ok(Step { payload: write, consumed: read, done: self.state == State::Done })
    }

    /// The trailer fields, once the body is complete.
    pub fn trailers(&self) -> Result<Fields, ChunkError> {
        let mut fields = Fields::default();
        let mut storage = [httparse::EMPTY_HEADER; MOST_TRAILER_FIELDS];
        match httparse::parse_headers(&self.trailers, &mut storage) {
            Ok(httparse::Status::Complete((_, parsed))) => {
                for field in parsed {
                    fields.append(field.name, field.value);
                }
                Ok(fields)
            }
            _ => Err(ChunkError::Trailers),
        }
    }

    fn next(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.left = self.left.checked_mul(16).ok_or(ChunkError::Size)? + digit;
                Ok(State::Size)
            }
            (State::Size | State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Size, b';') => Ok(State::Extension),
            (State::Extension, b'\n' | 0) => Err(ChunkError::Extensions),
            (State::Extension, _) => {
                self.extensions += 1;
                if self.extensions > MOST_EXTENSIONS {
                    Err(ChunkError::Extensions)
                } else {
                    Ok(State::Extension)
                }
            }
            (State::SizeEnd, b'\n') => Ok(if self.left == 0 { State::Trailers } else { State::Data }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            (State::DataCr | State::DataLf, _) => Err(ChunkError::End),
            (State::Trailers, _) => self.trailer(byte),
            _ => Err(ChunkError::Size),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, ChunkError> {
        if byte == b'\n' && self.trailers.last() != Some(&b'\r') || self.trailers.len() >= MOST_TRAILERS {
            return Err(ChunkError::Trailers);
        }
        self.trailers.push(byte);
        if self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n") {
            self.trailers()?;
            return Ok(State::Done);
        }
        Ok(State::Trailers)
    }
}

/// Writes the size line of a chunk.
pub fn write_size(out: &mut Vec<u8>, size: usize) {
    use std::io::Write;
    // Writing to a vector can't fail.
    let _ = write!(out, "{size:x}\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8], pieces: usize) -> Result<(Vec<u8>, usize, bool, ChunkedDecoder), ChunkError> {
        let (mut decoder, mut payload, mut consumed, mut done) =
            (ChunkedDecoder::default(), Vec::new(), 0, false);
        for piece in bytes.chunks(pieces.max(1)) {
            let mut piece = piece.to_vec();
            let step = decoder.step(&mut piece)?;
            payload.extend_from_slice(&piece[..step.payload]);
            consumed += step.consumed;
            done = step.done;
            if done {
                break;
            }
        }
        Ok((payload, consumed, done, decoder))
    }

    #[test]
    fn reads_chunks_extensions_and_trailers_in_any_pieces() {
        let bytes = b"5\r\nhello\r\n3;ext=1\r\n yo\r\n000\r\nX-T: v\r\n\r\nGET";
        for pieces in 1..bytes.len() {
            let (payload, consumed, done, decoder) = decode(bytes, pieces).unwrap();
            assert_eq!((payload.as_slice(), consumed, done), (&b"hello yo"[..], bytes.len() - 3, true));
            assert_eq!(decoder.trailers().unwrap().get("x-t"), Some(&b"v"[..]));
        }
    }

    #[test]
    fn refuses_everything_ambiguous() {
        for bytes in [
            &b"0x5\r\nAAAAA\r\n0\r\n\r\n"[..],
            b"+5\r\nAAAAA\r\n0\r\n\r\n",
            b"5_\r\nAAAAA\r\n0\r\n\r\n",
            b"\r\n0\r\n\r\n",
            b"5 \r\nAAAAA\r\n0\r\n\r\n",
            b"10000000000000000\r\nA\r\n0\r\n\r\n",
            b"zz\r\nAAAAA\r\n0\r\n\r\n",
            b"5\rAAAAA\r\n0\r\n\r\n",
            b"5\nAAAAA\r\n0\r\n\r\n",
            b"5;a\nb\r\nAAAAA\r\n0\r\n\r\n",
            b"5;a\rb\r\nAAAAA\r\n0\r\n\r\n",
            b"5\r\nAAAAA0\r\n\r\n",
            b"3\r\nAAAAA\r\n0\r\n\r\n",
            b"5\r\nAAAAA\n0\r\n\r\n",
            b"5\r\nAAAAA\r\n0\r\nX: a\nY: b\r\n\r\n",
            b"5\r\nAAAAA\r\n0\r\nXYZ\r\n\r\n",
            b"5\r\nAAAAA\r\n0\r\nX : y\r\n\r\n",
        ] {
            assert!(decode(bytes, usize::MAX).is_err(), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8), pieces in 1usize..20) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                write_size(&mut bytes, chunk.len());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let (payload, consumed, done, _) = decode(&bytes, pieces).unwrap();
            prop_assert_eq!(payload, chunks.concat());
            prop_assert_eq!(consumed, bytes.len());
            prop_assert!(done);
        }

        #[test]
        fn never_reads_past_its_end(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let length = bytes.len();
            if let Ok(step) = ChunkedDecoder::default().step(&mut bytes) {
                prop_assert!(step.payload <= step.consumed && step.consumed <= length);
            }
        }
    }
}
