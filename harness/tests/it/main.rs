//! The runner against a fake environment, all reports from the same events, and the program's exit codes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod clusters;
mod containers;
mod fake;
mod helm;
mod local;
mod program;
mod reports;
mod repository;
mod runs;
mod tools;
