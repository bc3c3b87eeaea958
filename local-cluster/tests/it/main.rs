//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod machine;
mod pods;
