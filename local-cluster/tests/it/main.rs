//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod article;
mod clients;
mod kubectl;
mod kubectl_objects;
mod machine;
mod pods;
mod program;
mod server;
mod versions;
mod webhooks;
