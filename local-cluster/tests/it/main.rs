//! One binary for everything that is tested from outside.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod article;
mod kubectl;
mod machine;
mod pods;
mod versions;
