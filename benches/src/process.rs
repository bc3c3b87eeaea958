//! Programs under measurement: started, waited for, asked for their CPU time and memory, and always ended.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);

/// A running program; it ends with this value.
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    /// Starts a program whose output goes to a file of `folder`, and waits until it listens.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        folder: &Path,
        address: SocketAddr,
    ) -> anyhow::Result<Program> {
        let log = folder.join(format!("{name}.log"));
        let file =
            std::fs::File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("failed to start {name}"))?;
        let mut program = Program { name: name.to_owned(), child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = program.child.try_wait()? {
                let output = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{name} ended with {status} before it listened on {address}:\n{output}");
            }
            if begun.elapsed() > START {
                bail!("{name} does not listen on {address} after {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(program)
    }

    /// CPU time so far of all threads of the program and its children, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for process in self.family() {
            let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
            for task in tasks.with_context(|| format!("{} is gone", self.name))?.flatten() {
                let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                sum += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok(sum)
    }

    /// Resident memory of the program and its children, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.family().into_iter().map(resident).sum()
    }

    /// The program's processes: itself and all below.
    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(&process) = family.get(next) {
            let below = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            family
                .extend(below.unwrap_or_default().split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
            next += 1;
        }
        family
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on loopback")?;
    Ok(listener.local_addr()?.port())
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Time that all processors have been busy since boot, in nanoseconds, and how long there has been.
pub(crate) fn machine_busy_ns() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/stat").context("failed to read /proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy =
        ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks);
    Ok(busy.sum::<u64>() * 10_000_000)
}
