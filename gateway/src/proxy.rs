//! Traffic from accept to log.
//!
//! `listener` accepts, `tls` decrypts, `http1` and `http2` read requests, `exchange` carries one request through
//! routing, plugins and `forward`; whatever goes wrong becomes a `failure`, and `respond` alone decides what a
//! client sees of it.

pub mod client_address;
pub mod downstream;
pub mod exchange;
pub mod failure;
pub mod forward;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod intake;
mod leg;
pub mod listener;
pub mod protocol;
pub mod proxy_protocol;
pub mod respond;
pub mod rewind;
pub mod tls;
pub mod upgrade;
pub mod worker;
