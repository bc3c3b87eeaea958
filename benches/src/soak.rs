//! Requests by the million while the configuration changes ten times a second. None may fail, and every answer has to
//! come from one configuration as a whole.

mod client;
mod swaps;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use admin_api::Histogram;
use anyhow::{Context, ensure};
use clap::Args;
use tokio::task::LocalSet;

use self::swaps::Swaps;
use crate::case::{Protocol, Setup};
use crate::compare::gateway;
use crate::peer::{self, Certificate, Peer, Start};
use crate::process::{Program, free_port, local};

/// Bytes of every answer.
const ANSWER: usize = 64;
/// The share of the written configurations that has to have served: two that follow each other closely may be read as
/// one.
const KEPT_UP: f64 = 0.9;
/// Causes that are told; more are only counted.
const TOLD: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// Requests to send
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Changes of the configuration in a second
    #[arg(long, default_value_t = 10.0)]
    swaps: f64,
    /// HTTP/1.1 connections that are kept; there are also an eighth as many that are new for every request, and an
    /// eighth as many of HTTP/2
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Workers of the gateway
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// The gateway to run. [default: the one beside this program]
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

/// What all clients share.
struct Tally {
    left: Cell<u64>,
    done: Cell<u64>,
    failed: Cell<u64>,
    causes: RefCell<Vec<String>>,
    times: RefCell<Histogram>,
    longest_us: Cell<u64>,
}

/// Sends the requests and prints `name: value unit`, a line per figure.
///
/// # Errors
/// When a request failed, or when the gateway took over fewer configurations than were written.
#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) fn run(args: &SoakArgs) -> anyhow::Result<()> {
    ensure!(args.swaps > 0.0, "--swaps is the number of changes in a second, and has to be above 0");
    let folder = tempfile::tempdir().context("failed to make a folder for the run")?;
    let certificate = Certificate::make(folder.path())?;
    let upstreams = [free_port()?, free_port()?];
    let mut programs = Vec::new();
    for port in upstreams {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--port", &port.to_string()]);
        programs.push(Program::start(&format!("upstream-{port}"), &mut command, folder.path(), local(port))?);
    }
    let objects = folder.path().join("limen");
    std::fs::create_dir_all(&objects)?;
    let mut swaps = Swaps::new(&objects, upstreams[1])?;
    let start = Start {
        setup: Setup { routes: 1, plugins: &[] },
        upstream: upstreams[0],
        folder: &objects,
        certificate: &certificate,
        gateway: &gateway(args.gateway.as_deref())?,
        workers: args.workers,
        watched: true,
    };
    let running = peer::start(Peer::Limen, &start)?;
    let address = running.address(Protocol::Http1);
    let before = running.generation()?;
    let written_before = swaps.written();
    let tally = Rc::new(Tally::new(args.requests));
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let few = (args.connections / 8).max(1);
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..args.connections.max(1) {
            clients.spawn_local(client::kept(address, Rc::clone(&tally)));
        }
        for _ in 0..few {
            clients.spawn_local(client::new_for_each(address, Rc::clone(&tally)));
            clients.spawn_local(client::http2(address, Rc::clone(&tally)));
        }
        let all = async { while clients.join_next().await.is_some() {} };
        tokio::select! {
            () = all => Ok(()),
            failed = swaps.run(args.swaps) => failed,
        }
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let written = swaps.written() - written_before;
    let served = running.generation()?.saturating_sub(before);
    let times = tally.times.borrow();
    println!("soak.requests: {} requests", tally.done.get());
    println!("soak.failed: {} requests", tally.failed.get());
    println!("soak.rate: {:.0} 1/s", tally.done.get() as f64 / seconds);
    println!("soak.configurations: {served} of {written} written, {:.1} 1/s", served as f64 / seconds);
    println!("soak.p50: {} us", times.quantile(0.5).unwrap_or(0));
    println!("soak.p99: {} us", times.quantile(0.99).unwrap_or(0));
    println!("soak.longest: {} us", tally.longest_us.get());
    let causes = tally.causes.borrow();
    ensure!(causes.is_empty(), "{} requests failed: {}", tally.failed.get(), causes.join("; "));
    ensure!(
        served as f64 >= KEPT_UP * written as f64,
        "of {written} configurations only {served} came to serve"
    );
    Ok(())
}

impl Tally {
    fn new(requests: u64) -> Tally {
        Tally {
            left: Cell::new(requests),
            done: Cell::new(0),
            failed: Cell::new(0),
            causes: RefCell::default(),
            times: RefCell::default(),
            longest_us: Cell::new(0),
        }
    }

    /// Whether there is another request to send; it is the caller's then.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// A request is over.
    fn over(&self, begun: Instant, outcome: anyhow::Result<()>) {
        let took = begun.elapsed().as_micros() as u64;
        self.done.set(self.done.get() + 1);
        self.times.borrow_mut().record(took);
        self.longest_us.set(self.longest_us.get().max(took));
        if let Err(cause) = outcome {
            self.failed.set(self.failed.get() + 1);
            let mut causes = self.causes.borrow_mut();
            if causes.len() < TOLD {
                causes.push(format!("{cause:#}"));
            }
        }
    }
}
