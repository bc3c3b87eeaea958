//! Instructions per request, by callgrind: the difference of two runs that differ in the number of requests
//! only, so that starting and stopping cancel out. The same binary gives the same number whatever else the
//! machine is doing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::InstructionsArgs;
use crate::case::{self, BROWSER, Case, Measure, Protocol};
use crate::compare::gateway;
use crate::peer::{self, Certificate, Peer, Start};
use crate::process::{Program, free_port, local};

/// Connections that send at the same time, so that the gateway finds several requests when it looks.
const CONNECTIONS: u64 = 32;
/// Requests that are sent before any are counted.
const WARM: u64 = 10 * CONNECTIONS;

/// Prints `name: count instructions`, a line per case.
#[expect(clippy::print_stdout, reason = "figures are this program's output")]
pub(crate) fn run(args: &InstructionsArgs) -> anyhow::Result<()> {
    ensure!(which::which("valgrind").is_ok(), "valgrind is not on PATH; on Debian: apt-get install valgrind");
    let gateway = gateway(args.gateway.as_deref())?;
    let countable =
        |case: &Case| case.protocol == Protocol::Http1 && case.measure == Measure::Throughput && !case.close;
    for case in case::selected(&args.only)?.iter().filter(|case| countable(case)) {
        let few = count(case, &gateway, WARM, None)?;
        let many = count(case, &gateway, WARM + args.requests, args.keep.as_deref())?;
        println!(
            "{}.instructions: {} instructions",
            case.name,
            many.saturating_sub(few) / args.requests.max(1)
        );
    }
    Ok(())
}

/// Instructions of a whole life of the gateway with so many requests in it.
fn count(case: &Case, gateway: &Path, requests: u64, keep: Option<&Path>) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let certificate = Certificate::make(folder.path())?;
    let upstream_port = free_port()?;
    let _upstream = Program::start(
        "upstream",
        Command::new(std::env::current_exe()?).args(["upstream", "--port", &upstream_port.to_string()]),
        folder.path(),
        local(upstream_port),
    )?;
    let wrapper = folder.path().join("counted");
    let counts = folder.path().join("counts");
    let script = format!(
        "#!/bin/sh\nexec valgrind --quiet --tool=callgrind --callgrind-out-file={} {} \"$@\"\n",
        counts.display(),
        gateway.display()
    );
    std::fs::write(&wrapper, script)?;
    Command::new("chmod").arg("+x").arg(&wrapper).status().context("failed to run chmod")?;
    let start = Start {
        setup: case.setup,
        upstream: upstream_port,
        folder: &folder.path().join("limen"),
        certificate: &certificate,
        gateway: &wrapper,
        workers: 1,
        watched: false,
    };
    let running = peer::start(Peer::Limen, &start)?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(running.address(case.protocol))?;
        connection.set_read_timeout(Some(Duration::from_mins(1)))?;
        connections.push(connection);
    }
    let request = request(case);
    for _ in 0..requests / CONNECTIONS {
        for connection in &mut connections {
            connection.write_all(&request)?;
        }
        for connection in &mut connections {
            read_answer(connection, case.answer)?;
        }
    }
    drop(running);
    if let Some(keep) = keep {
        std::fs::create_dir_all(keep)?;
        std::fs::copy(&counts, keep.join(format!("callgrind.out.{}", case.name)))?;
    }
    let text = std::fs::read_to_string(&counts).context("callgrind left no counts")?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    total.and_then(|total| total.trim().parse().ok()).context("callgrind's file has no total")
}

fn request(case: &Case) -> Vec<u8> {
    use std::fmt::Write as _;
    let method = if case.body > 0 { "POST" } else { "GET" };
    let mut text = format!("{method} {} HTTP/1.1\r\nHost: localhost\r\n", case.path());
    if case.browser {
        for (name, value) in BROWSER {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    if case.body > 0 {
        let _ = write!(text, "Content-Length: {}\r\n", case.body);
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len() + case.body, b'x');
    bytes
}

fn read_answer(connection: &mut TcpStream, size: usize) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = connection.read(&mut buffer)?;
        ensure!(read > 0, "the gateway closed the connection");
        seen.extend_from_slice(&buffer[..read]);
        if let Some(head) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            if !seen.starts_with(b"HTTP/1.1 200") {
                bail!("the gateway answered {}", String::from_utf8_lossy(&seen[..head]));
            }
            if seen.len() >= head + 4 + size {
                return Ok(());
            }
        }
    }
}
