//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod remember;
mod support;
mod translate;
