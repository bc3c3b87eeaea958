//! Runs scenarios against a gateway in a cluster and tells what came of it.
//!
//! ```text
//! scenario (files, checked) ──→ runner ──→ step ──→ environment, cluster, http_client, traffic
//!                                 │          └────→ expect
//!                                 └─ events ──→ report (terminal, JUnit, JSON lines, HTML)
//! ```
//!
//! The gateway and the echo service are programs that are run, never linked: a laptop, a container and a cluster
//! test the same executable.

pub mod cli;
pub mod cluster;
pub mod commands;
pub mod environment;
pub mod evidence;
pub mod expect;
pub mod http_client;
pub mod log;
pub mod manifest;
pub mod open_files;
pub mod process;
pub mod programs;
pub mod project;
pub mod report;
pub mod run_folder;
pub mod runner;
pub mod scenario;
pub mod signals;
pub mod step;
pub mod tools;
pub mod traffic;
pub mod versions;
