//! A Kong-compatible ingress gateway.
//!
//! Two halves that meet in plain values. The control plane ends in a [`model`]; the data plane starts from it.
//! Neither imports the other's libraries.

pub mod controller;
pub mod exchange;
pub mod http;
pub mod model;
pub mod objects;
pub mod plugins;
pub mod source;
pub mod store;
pub mod translate;
