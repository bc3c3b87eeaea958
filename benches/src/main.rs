//! Holds the gateway against nginx, HAProxy and Envoy on this machine: the same upstream, the same routes, one
//! worker each, in turns. Figures are ratios within one run; nothing here is a test.

mod case;
mod compare;
mod figures;
mod instructions;
mod load;
mod peer;
mod process;
mod soak;
mod upstream;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures the gateway beside its peers
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load every proxy in turns, and print each figure with its ratios to nginx and HAProxy
    #[command(
        after_help = "Needs wrk; h2load for HTTP/2. A peer that is not on PATH (nginx, haproxy, envoy) is left \
                            out, with a word. The gateway is built by `cargo build --release -p gateway`."
    )]
    Compare(CompareArgs),
    /// Count the instructions of one request with valgrind's callgrind: repeatable to the digit
    Instructions(InstructionsArgs),
    /// Send a million requests while the configuration changes ten times a second; none may fail
    Soak(soak::SoakArgs),
    /// Answer every request with as many bytes as its path's last segment says
    #[command(hide = true)]
    Upstream {
        #[arg(long)]
        port: u16,
    },
}

#[derive(Debug, Args)]
struct CompareArgs {
    /// Cases to run, by a part of their name. [default: all]
    only: Vec<String>,
    /// Starts of every proxy; one start is worth ±10 %
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Turns within a start
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of a turn
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    seconds: u64,
    /// Proxies to run beside the gateway
    #[arg(long, value_delimiter = ',', default_value = "nginx,haproxy,envoy")]
    peers: Vec<String>,
    /// The gateway to measure. [default: the one beside this program]
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
    /// Print the cases, and end
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Args)]
struct InstructionsArgs {
    /// Cases to count, by a part of their name. [default: all of HTTP/1 in the clear]
    only: Vec<String>,
    /// Requests over which it is counted
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// Keep the files of callgrind here, to be read with its annotate program
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The gateway to measure. [default: the one beside this program]
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "figures are this program's output")]
fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(args) if args.list => {
            for case in case::all() {
                println!("{:<28} {}", case.name, case.what);
            }
            Ok(())
        }
        Command::Compare(args) => compare::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Upstream { port } => upstream::serve(port),
    }
}
