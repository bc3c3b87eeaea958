//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod admin;
mod arbitrary;
mod bypass;
mod chart;
mod controller;
mod directory;
mod exchange;
mod exhaustion;
mod grpc;
mod health;
mod http2;
mod layers;
mod limits;
mod prometheus;
mod reload;
mod remember;
mod shutdown;
mod sidecar;
mod source;
mod support;
mod tracing;
mod translate;
mod upstream_faults;
mod wire;
