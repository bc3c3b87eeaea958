//! Traffic from accept to log.
//!
//! `listener` accepts, `tls` decrypts, `connection` (HTTP/1.1) and `http2` read requests, `exchange` carries one
//! request through routing, plugins and `forward`; whatever goes wrong becomes a `failure`, and `respond` alone
//! decides what a client sees of it.

pub mod failure;
pub mod headers;
pub mod respond;
