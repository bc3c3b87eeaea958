//! A Kong-compatible ingress gateway.
//!
//! Two halves that meet in plain values. The control plane ends in a [`model`]; the data plane starts from it.
//! Neither imports the other's libraries.

pub mod exchange;
pub mod http;
pub mod model;
pub mod plugins;
pub mod routing;
pub mod upstream;
