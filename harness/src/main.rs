//! Parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use harness::cli::Cli;
use harness::commands;

fn main() -> ExitCode {
    // Pods are kept by processes that are started from this very program.
    local_cluster::node::keeper::become_keeper_if_asked();
    let cli = Cli::parse();
    harness::open_files::allow_many();
    // One provider for everything that speaks TLS. A second installation would mean that we run twice.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("harness: failed to start the runtime: {error}");
            return ExitCode::from(harness::runner::INTERNAL);
        }
    };
    let code = runtime.block_on(commands::perform(cli.command));
    // Whatever still runs is of no use to anyone; nothing that matters is left to a drop.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ExitCode::from(code)
}
