//! Programs that answer as `kind`, `k3d`, `docker` and `istioctl` do, under whose names they are called. Clusters that they make
//! are local ones in a process of their own; images are names in a file. What they can be told to fail with was recorded from
//! the real programs, in `tests/data/programs.json`.
//!
//! Everything they know is in the folder that `FAKES` names; a line `WHAT` in its file `faults` makes the next call that asks
//! for it fail so, a line `always WHAT` every one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "for tests"
)]

mod docker;
mod injector;
mod istioctl;
mod keeper;
mod makers;
mod pod;
mod state;

use std::path::Path;
use std::process::ExitCode;

use state::{State, Words};

fn main() -> ExitCode {
    local_cluster::node::keeper::become_keeper_if_asked();
    tokio::runtime::Runtime::new().unwrap().block_on(answer())
}

async fn answer() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut arguments: Vec<String> = std::env::args().collect();
    let called = Path::new(&arguments.remove(0)).file_name().unwrap().to_string_lossy().into_owned();
    if called == "fakes" {
        let what = arguments.remove(0);
        return match what.as_str() {
            "keeper" => keeper::keep(Path::new(&arguments[0])).await,
            "pod" => pod::serve(&arguments[0]).await,
            other => panic!("the fakes don't know {other}"),
        };
    }
    let state = State::open();
    state.log(&called, &arguments);
    let words = Words(arguments);
    match called.as_str() {
        "docker" => docker::docker(&state, &words).await,
        "kind" => makers::kind(&state, &words).await,
        "k3d" => makers::k3d(&state, &words).await,
        "istioctl" => istioctl::istioctl(&state, &words).await,
        other => panic!("the fakes are not {other}"),
    }
}
