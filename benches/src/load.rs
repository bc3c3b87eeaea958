//! The load generators: wrk for HTTP/1.1, h2load for HTTP/2 and for a given rate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::case::{BROWSER, Case, Measure, Protocol};

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 10;

/// What a turn of load saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub requests: u64,
    pub seconds: f64,
    /// In microseconds, where the generator tells.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
}

/// Runs one turn.
///
/// # Errors
/// When the generator can't run, or when any request failed: a figure with failures would be none.
pub(crate) fn run(case: &Case, address: SocketAddr, seconds: u64, folder: &Path) -> anyhow::Result<Outcome> {
    match (case.protocol, case.measure) {
        (Protocol::Http1 | Protocol::Tls, Measure::Throughput) => wrk(case, address, seconds, folder),
        _ => h2load(case, address, seconds, folder),
    }
}

/// The programs that the cases need and that are not here.
pub(crate) fn missing(cases: &[Case]) -> Vec<&'static str> {
    let by_wrk = |case: &Case| {
        matches!(case.protocol, Protocol::Http1 | Protocol::Tls) && case.measure == Measure::Throughput
    };
    let needs_wrk = cases.iter().any(by_wrk);
    let needs_h2load = cases.iter().any(|case| !by_wrk(case) && !matches!(case.measure, Measure::Idle(_)));
    let needed = [(needs_wrk, "wrk"), (needs_h2load, "h2load")];
    needed
        .into_iter()
        .filter(|(needed, name)| *needed && which::which(name).is_err())
        .map(|(_, name)| name)
        .collect()
}

fn wrk(case: &Case, address: SocketAddr, seconds: u64, folder: &Path) -> anyhow::Result<Outcome> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", &case.connections.to_string(), "-d", &format!("{seconds}s")]);
    command.args(["--timeout", "5s", "-s"]).arg(script(case, folder)?);
    command.arg(url(case, address));
    let output = output(command)?;
    let line = output.lines().find_map(|line| line.strip_prefix("figures "));
    let line = line.with_context(|| format!("wrk printed no figures:\n{output}"))?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests, micros, p50, p99, errors] = numbers[..] else { bail!("wrk printed {line:?}") };
    ensure!(errors == 0.0, "{errors} of {requests} requests failed");
    Ok(Outcome { requests: requests as u64, seconds: micros / 1e6, p50_us: Some(p50), p99_us: Some(p99) })
}

/// What wrk is to send, and how it is to print what it saw.
fn script(case: &Case, folder: &Path) -> anyhow::Result<PathBuf> {
    use std::fmt::Write as _;
    let mut text = String::new();
    if case.body > 0 {
        let _ = writeln!(text, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {})", case.body);
    }
    if case.close {
        let _ = writeln!(text, "wrk.headers[\"Connection\"] = \"close\"");
    }
    for (name, value) in lines(case) {
        let _ = writeln!(text, "wrk.headers[{name:?}] = {value:?}");
    }
    text.push_str(
        "done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(\"figures %d %d %d %d %d\\n\", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
",
    );
    let path = folder.join(format!("{}.lua", case.name));
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

fn lines(case: &Case) -> &'static [(&'static str, &'static str)] {
    if case.browser { BROWSER } else { &[] }
}

fn url(case: &Case, address: SocketAddr) -> String {
    let scheme = match case.protocol {
        Protocol::Http1 | Protocol::H2c => "http",
        Protocol::Tls | Protocol::H2 => "https",
    };
    // The name that the certificate is for.
    format!("{scheme}://localhost:{}{}", address.port(), case.path())
}

fn h2load(case: &Case, address: SocketAddr, seconds: u64, folder: &Path) -> anyhow::Result<Outcome> {
    let log = folder.join("h2load.log");
    let _ = std::fs::remove_file(&log);
    let mut command = Command::new("h2load");
    command.args(["-t", "1", "-c", &case.connections.to_string(), "-D", &seconds.to_string()]);
    command.arg(format!("--log-file={}", log.display()));
    match case.protocol {
        Protocol::Http1 | Protocol::Tls => command.args(["--h1", "-m", "1"]),
        Protocol::H2c | Protocol::H2 => command.args(["-m", &STREAMS.to_string()]),
    };
    if let Measure::AtRate(rate) = case.measure {
        command.arg(format!("--rps={}", f64::from(rate) / case.connections as f64));
    }
    for (name, value) in lines(case) {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    command.arg(url(case, address));
    output(command)?;
    // One line a request: start in microseconds, status, duration in microseconds.
    let text = std::fs::read_to_string(&log).with_context(|| format!("failed to read {}", log.display()))?;
    let mut times = Vec::new();
    let mut failed = 0;
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        match (fields.next(), fields.next().and_then(|micros| micros.parse::<u64>().ok())) {
            (Some("200"), Some(micros)) => times.push(micros),
            _ => failed += 1,
        }
    }
    ensure!(!times.is_empty(), "h2load got no answer");
    ensure!(failed == 0, "{failed} of {} requests failed", times.len() + failed);
    times.sort_unstable();
    let at = |share: f64| Some(times[((times.len() - 1) as f64 * share) as usize] as f64);
    Ok(Outcome { requests: times.len() as u64, seconds: seconds as f64, p50_us: at(0.5), p99_us: at(0.99) })
}

fn output(mut command: Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to run {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{name} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
