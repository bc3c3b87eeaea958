//! A body as it comes in, whatever its framing.

use super::chunked::{ChunkError, ChunkedDecoder, Step};
use super::framing::Framing;
use crate::http::fields::Fields;

/// Reads one body.
#[derive(Debug)]
pub enum BodyDecoder {
    /// Nothing is left.
    Done,
    /// These many bytes are left.
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
}

/// The connection ended before the body did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body ended early")]
pub struct Truncated;

impl BodyDecoder {
    pub fn new(framing: Framing) -> BodyDecoder {
        match framing {
            Framing::None | Framing::Length(0) => BodyDecoder::Done,
            Framing::Length(length) => BodyDecoder::Length(length),
            Framing::Chunked => BodyDecoder::Chunked(Box::default()),
            Framing::UntilClose => BodyDecoder::UntilClose,
        }
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        matches!(self, BodyDecoder::Done)
    }

    /// Reads as much of `input` as belongs to the body, and moves the payload to its front. Trailers of a
    /// chunked body are handed out with the step that completes it.
    pub fn step(&mut self, input: &mut [u8]) -> Result<(Step, Option<Fields>), ChunkError> {
        let all = input.len();
        match self {
            BodyDecoder::Done => Ok((Step { payload: 0, consumed: 0, done: true }, None)),
            BodyDecoder::UntilClose => Ok((Step { payload: all, consumed: all, done: false }, None)),
            BodyDecoder::Length(left) => {
                let take = all.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= take as u64;
                let done = *left == 0;
                if done {
                    *self = BodyDecoder::Done;
                }
                Ok((Step { payload: take, consumed: take, done }, None))
            }
            BodyDecoder::Chunked(decoder) => {
                let step = decoder.step(input)?;
                if !step.done {
                    return Ok((step, None));
                }
                let trailers = decoder.trailers()?;
                *self = BodyDecoder::Done;
                Ok((step, (!trailers.is_empty()).then_some(trailers)))
            }
        }
    }

    /// The connection has ended: fine for a body that lasts until then, a truncation for any other.
    pub fn end_of_stream(&mut self) -> Result<(), Truncated> {
        match self {
            BodyDecoder::Done | BodyDecoder::UntilClose => {
                *self = BodyDecoder::Done;
                Ok(())
            }
            BodyDecoder::Length(_) | BodyDecoder::Chunked(_) => Err(Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_kept_to_the_byte() {
        let mut decoder = BodyDecoder::new(Framing::Length(5));
        let mut bytes = *b"helloGET /";
        let (step, _) = decoder.step(&mut bytes[..3]).unwrap();
        assert_eq!(step, Step { payload: 3, consumed: 3, done: false });
        assert_eq!(decoder.end_of_stream(), Err(Truncated));
        let (step, _) = decoder.step(&mut bytes[3..]).unwrap();
        assert_eq!(step, Step { payload: 2, consumed: 2, done: true });
        assert!(decoder.is_done());
    }

    #[test]
    fn until_close_ends_with_the_connection() {
        let mut decoder = BodyDecoder::new(Framing::UntilClose);
        assert!(!decoder.step(&mut [1, 2]).unwrap().0.done);
        assert_eq!(decoder.end_of_stream(), Ok(()));
        assert!(decoder.is_done());
    }
}
