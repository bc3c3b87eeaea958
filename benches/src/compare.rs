//! The comparison: several starts of every proxy, turns in rotating order within a start, and figures from the
//! turns in which nothing else was busy.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::CompareArgs;
use crate::case::{self, Case, Measure, Protocol, Setup};
use crate::figures::{Figure, Turns, median};
use crate::load;
use crate::peer::{self, Certificate, Peer, Running, Start};
use crate::process::{Program, free_port, local, machine_busy_ns};

/// Share of a processor that others may use during a turn.
const QUIET: f64 = 0.25;
/// How often a turn that was not quiet is taken again.
const AGAIN: usize = 3;

/// Quantities, in the order in which they are printed.
const QUANTITIES: &[(&str, &str)] =
    &[("cpu", "us"), ("requests", "1/s"), ("p50", "us"), ("p99", "us"), ("idle-connection", "B")];

/// Results by case, quantity and proxy; one number per start.
type Results = HashMap<(&'static str, &'static str, &'static str), Vec<Option<f64>>>;

/// Runs the comparison and prints its figures.
#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let cases = case::selected(&args.only)?;
    let missing = load::missing(&cases);
    ensure!(
        missing.is_empty(),
        "{} is not on PATH; on Debian: apt-get install wrk nghttp2-client",
        missing.join(", ")
    );
    let bench = Bench {
        gateway: gateway(args.gateway.as_deref())?,
        peers: peers(&args.peers)?,
        folder: tempfile::tempdir().context("failed to make a folder for the run")?,
        rounds: args.rounds.max(1),
        seconds: args.seconds.max(1),
    };
    let mut setups: Vec<Setup> = Vec::new();
    for case in &cases {
        if !setups.contains(&case.setup) {
            setups.push(case.setup);
        }
    }
    let mut results = Results::new();
    for start in 0..args.starts.max(1) {
        for setup in &setups {
            eprintln!(
                "start {} of {}: {} routes, {:?}",
                start + 1,
                args.starts.max(1),
                setup.routes,
                setup.plugins
            );
            let of_setup: Vec<&Case> = cases.iter().filter(|case| case.setup == *setup).collect();
            bench.start(*setup, &of_setup, &mut results)?;
        }
    }
    for case in &cases {
        for (quantity, unit) in QUANTITIES {
            let by_proxy: Vec<_> = bench
                .peers
                .iter()
                .filter_map(|peer| {
                    Some((peer.name(), results.get(&(case.name, *quantity, peer.name()))?.clone()))
                })
                .collect();
            let figure = Figure { name: format!("{}.{quantity}", case.name), unit, by_proxy };
            for line in figure.lines() {
                println!("{line}");
            }
        }
    }
    Ok(())
}

/// The gateway to measure: the one named, or the one that cargo put beside this program.
pub(crate) fn gateway(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        ensure!(named.exists(), "{} is not there", named.display());
        return Ok(named.to_owned());
    }
    let beside = std::env::current_exe()?.with_file_name("gateway");
    ensure!(
        beside.exists(),
        "{} is not there; build it with `cargo build --release -p gateway`, or name one with --gateway",
        beside.display()
    );
    Ok(beside)
}

/// Ours and those asked for that are here.
fn peers(names: &[String]) -> anyhow::Result<Vec<Peer>> {
    let mut peers = vec![Peer::Limen];
    for name in names {
        let Some(peer) = Peer::by_name(name) else {
            bail!("--peers {name}: expected nginx, haproxy or envoy");
        };
        if which::which(peer.name()).is_ok() {
            peers.push(peer);
        } else {
            eprintln!("{name} is not on PATH: left out");
        }
    }
    Ok(peers)
}

struct Bench {
    gateway: PathBuf,
    peers: Vec<Peer>,
    folder: tempfile::TempDir,
    rounds: usize,
    seconds: u64,
}

impl Bench {
    /// One start of every proxy with all cases of a setup.
    fn start(&self, setup: Setup, cases: &[&Case], results: &mut Results) -> anyhow::Result<()> {
        let folder = tempfile::tempdir_in(self.folder.path())?;
        let certificate = Certificate::make(folder.path())?;
        let upstream_port = free_port()?;
        let upstream = Program::start(
            "upstream",
            Command::new(std::env::current_exe()?).args(["upstream", "--port", &upstream_port.to_string()]),
            folder.path(),
            local(upstream_port),
        )?;
        let mut running = Vec::new();
        for peer in &self.peers {
            let start = Start {
                setup,
                upstream: upstream_port,
                folder: &folder.path().join(peer.name()),
                certificate: &certificate,
                gateway: &self.gateway,
                workers: 1,
                watched: true,
            };
            running.push(peer::start(*peer, &start)?);
        }
        for case in cases {
            let mut turns: Vec<Turns> = vec![Turns::new(); running.len()];
            for round in 0..self.rounds {
                for at in 0..running.len() {
                    let at = (at + round) % running.len();
                    self.turn(case, &running[at], &upstream, &mut turns[at])
                        .with_context(|| format!("{} with {}", case.name, running[at].peer.name()))?;
                }
            }
            for (proxy, turns) in running.iter().zip(&turns) {
                for (quantity, numbers) in turns {
                    let all = results.entry((case.name, *quantity, proxy.peer.name())).or_default();
                    all.push(median(numbers));
                }
            }
        }
        Ok(())
    }

    /// One turn, again while others were busy.
    fn turn(
        &self,
        case: &Case,
        proxy: &Running,
        upstream: &Program,
        turns: &mut Turns,
    ) -> anyhow::Result<()> {
        let address = proxy.address(case.protocol);
        if let Measure::Idle(connections) = case.measure {
            if !turns.contains_key("idle-connection") {
                let bytes = idle(case, proxy, address, connections)?;
                turns.insert("idle-connection", vec![bytes]);
            }
            return Ok(());
        }
        for attempt in 0..=AGAIN {
            let before = (proxy.program.cpu_ns()?, upstream.cpu_ns()?, machine_busy_ns()?, children_ns()?);
            let outcome = load::run(case, address, self.seconds, self.folder.path())?;
            let cpu = proxy.program.cpu_ns()? - before.0;
            let generator = children_ns()? - before.3;
            let known = cpu + (upstream.cpu_ns()? - before.1) + generator;
            let others = (machine_busy_ns()? - before.2).saturating_sub(known) as f64 / 1e9 / outcome.seconds;
            if others > QUIET && attempt < AGAIN {
                continue;
            }
            if others > QUIET {
                eprintln!("{}: others used {others:.2} of a processor; taken all the same", case.name);
            }
            let mut push = |quantity, number| turns.entry(quantity).or_default().push(number);
            push("cpu", cpu as f64 / 1e3 / outcome.requests as f64);
            if case.measure == Measure::Throughput {
                push("requests", outcome.requests as f64 / outcome.seconds);
            }
            if let (Some(p50), Some(p99)) = (outcome.p50_us, outcome.p99_us) {
                push("p50", p50);
                push("p99", p99);
            }
            return Ok(());
        }
        Ok(())
    }
}

/// CPU time of the children of this process that have ended: of the generators.
fn children_ns() -> anyhow::Result<u64> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds()).unsigned_abs())
}

/// How much memory one idle connection holds, in bytes: the growth over many that have had one answer each.
fn idle(case: &Case, proxy: &Running, address: SocketAddr, connections: usize) -> anyhow::Result<f64> {
    debug_assert_eq!(case.protocol, Protocol::Http1);
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", case.path());
    // What a first few leave behind is not the price of one more.
    let _warm = held(address, &request, 200)?;
    let before = proxy.program.resident_bytes();
    let _held = held(address, &request, connections)?;
    let after = proxy.program.resident_bytes();
    Ok(after.saturating_sub(before) as f64 / connections as f64)
}

fn held(address: SocketAddr, request: &str, connections: usize) -> anyhow::Result<Vec<TcpStream>> {
    (0..connections)
        .map(|_| {
            let mut connection = TcpStream::connect(address)?;
            connection.set_read_timeout(Some(Duration::from_secs(5)))?;
            connection.write_all(request.as_bytes())?;
            let read = connection.read(&mut [0; 4096])?;
            ensure!(read > 0, "closed without an answer");
            Ok(connection)
        })
        .collect()
}
