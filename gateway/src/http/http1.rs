//! HTTP/1.1: one codec for both directions, strict in what it accepts and canonical in what it writes
//! (RFC 9112). It works on bytes; sockets are the business of `proxy` and `upstream`.

pub mod chunked;
pub mod decode;
pub mod encode;
pub mod framing;
pub mod parse;
