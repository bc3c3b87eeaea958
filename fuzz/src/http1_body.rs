//! A chunked body is the same in whatever pieces it comes, ends where it ends, and says the same when it is written
//! anew. The first byte chooses the size of the pieces.

use gateway::http::fields::Fields;
use gateway::http::http1::chunked::ChunkError;
use gateway::http::http1::decode::BodyDecoder;
use gateway::http::http1::encode;
use gateway::http::http1::framing::Framing;

pub fn check(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = decode(bytes, bytes.len());
    let pieces = decode(bytes, usize::from(*size));
    let (whole, pieces) = match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => (whole, pieces),
        (whole, pieces) => {
            assert_eq!(whole.err(), pieces.err());
            return;
        }
    };
    assert_eq!((&whole.payload, whole.consumed), (&pieces.payload, pieces.consumed));
    assert_eq!(lines(&whole), lines(&pieces));
    assert_eq!(whole.done, pieces.done);
    assert!(whole.payload.len() <= whole.consumed && whole.consumed <= bytes.len());
    if !whole.done {
        assert_eq!(whole.consumed, bytes.len());
        return;
    }
    assert!(bytes[..whole.consumed].ends_with(b"\r\n"));
    // What comes behind it changes nothing, and without its last byte it isn't over.
    let shorter = decode(&bytes[..whole.consumed - 1], usize::MAX);
    assert!(shorter.is_ok_and(|shorter| !shorter.done));
    let mut anew = Vec::new();
    for stretch in whole.payload.chunks(usize::from(*size).max(1)) {
        encode::body(&mut anew, Framing::Chunked, stretch);
    }
    encode::end(&mut anew, Framing::Chunked, whole.trailers.as_ref());
    // Written anew trailers may be longer than is tolerated: a blank behind each colon.
    if let Ok(again) = decode(&anew, usize::MAX) {
        assert!(again.done && again.consumed == anew.len() && again.payload == whole.payload);
        assert_eq!(lines(&again), lines(&whole));
    } else {
        assert!(whole.trailers.is_some());
    }
}

struct Decoded {
    payload: Vec<u8>,
    consumed: usize,
    done: bool,
    trailers: Option<Fields>,
}

fn decode(bytes: &[u8], size: usize) -> Result<Decoded, ChunkError> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut decoded = Decoded { payload: Vec::new(), consumed: 0, done: false, trailers: None };
    for piece in bytes.chunks(size.max(1)) {
        let mut piece = piece.to_vec();
        let (step, trailers) = decoder.step(&mut piece)?;
        assert!(step.payload <= step.consumed && step.consumed <= piece.len());
        decoded.payload.extend_from_slice(&piece[..step.payload]);
        decoded.consumed += step.consumed;
        if step.done {
            assert!(decoder.is_done());
            decoded.done = true;
            decoded.trailers = trailers;
            break;
        }
        assert_eq!(step.consumed, piece.len());
    }
    Ok(decoded)
}

fn lines(decoded: &Decoded) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = decoded.trailers.iter().flat_map(Fields::iter);
    fields.map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}
