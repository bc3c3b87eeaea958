//! A Kong-compatible ingress gateway.
//!
//! Two halves that meet in plain values. The control plane ends in a [`model`]; the data plane starts from it.
//! Neither imports the other's libraries.

pub mod admin;
pub mod app;
pub mod args;
pub mod check;
pub mod clock;
pub mod control;
pub mod controller;
pub mod declarative;
pub mod exchange;
pub mod http;
pub mod model;
pub mod net;
pub mod objects;
pub mod overload;
pub mod plugins;
pub mod probe;
pub mod proxy;
pub mod readiness;
pub mod routing;
pub mod schema;
pub mod settings;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod threads;
pub mod translate;
pub mod upstream;
