//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod controller;
mod directory;
mod health;
mod remember;
mod source;
mod support;
mod translate;
