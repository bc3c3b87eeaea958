//! The words of an exchange, ours alone: no type of hyper or of the `http` crate leaves this folder.
//!
//! Routing, plugins, telemetry and forwarding see [`head`] and stretches of bodies only, so the codecs behind them can
//! be exchanged without anything above noticing.

pub mod address;
pub mod byte_set;
pub mod fields;
pub mod head;
pub mod http1;
pub mod name;
pub mod query;
pub mod target;
