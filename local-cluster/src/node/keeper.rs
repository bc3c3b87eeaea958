//! The process between the cluster and a program: it sees to it that the program, and whatever the program
//! started, ends when the cluster ends, also when the cluster is killed.
//!
//! The keeper leads a process group of its own, in which the program runs. Its standard input is a pipe whose
//! other end only the cluster holds: when that end closes, the cluster is gone, and the keeper kills its group.
//! Signals to the group reach the program; the keeper itself survives those that ask to end, so that it can
//! tell how the program ended. It is the cluster's own executable, called with a first argument that nobody
//! types, so every `main` that links this crate begins with [`become_keeper_if_asked`].
//!
//! A program that leaves its group (`setsid`) is not found again.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::getpgrp;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// The first argument of a keeper.
const ASKED: &str = "__local-cluster-keeper";

/// The program could not be started; as a shell says it.
const NOT_FOUND: i32 = 127;
const NOT_STARTED: i32 = 126;

static MAIN_KNOWS: AtomicBool = AtomicBool::new(false);

/// The executable that is called to become a keeper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keeper {
    /// This one. Its `main` must begin with [`become_keeper_if_asked`].
    #[default]
    Itself,
    /// Another whose `main` begins so: for tests, whose own `main` is not theirs.
    At(PathBuf),
}

/// To be called first in `main`: when this process was started as a keeper it does that work and never returns.
pub fn become_keeper_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(ASKED.as_ref()) {
        MAIN_KNOWS.store(true, Ordering::Relaxed);
        return;
    }
    let program: Vec<OsString> = arguments.collect();
    std::process::exit(keep(&program));
}

impl Keeper {
    /// # Errors
    /// When `main` of this process would not become a keeper.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Keeper::Itself if !MAIN_KNOWS.load(Ordering::Relaxed) => Err(
                "this program's main doesn't begin with local_cluster::node::keeper::become_keeper_if_asked()"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// A command that keeps `program`; shown as `title` in the list of processes.
    pub(super) fn command(&self, title: &str, program: &std::path::Path) -> std::process::Command {
        // By way of /proc the executable is found even when it has been built anew meanwhile.
        let path = match self {
            Keeper::At(path) => path.clone(),
            Keeper::Itself if cfg!(target_os = "linux") => PathBuf::from("/proc/self/exe"),
            Keeper::Itself => std::env::current_exe().unwrap_or_default(),
        };
        let mut command = std::process::Command::new(path);
        command.arg0(title).arg(ASKED).arg(program).process_group(0);
        command
    }
}

fn keep(program: &[OsString]) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.and_then(|runtime| runtime.block_on(run(program)));
    match result {
        Ok(status) => exit_code(status),
        Err(error) => {
            let shown = program.first().map(|program| program.display().to_string()).unwrap_or_default();
            // The pod's log is where somebody will look.
            eprintln!("failed to start {shown}: {error}");
            if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED }
        }
    }
}

async fn run(program: &[OsString]) -> io::Result<ExitStatus> {
    // Handlers, other than ignored signals, are not passed on to the program.
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
    let _survived = kinds.map(signal);
    let [path, arguments @ ..] = program else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut child = Command::new(path).args(arguments).stdin(Stdio::null()).spawn()?;
    // A thread of its own: it reads until the process ends, and the runtime would wait for it.
    std::thread::spawn(die_with_cluster);
    child.wait().await
}

fn die_with_cluster() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let _ = killpg(getpgrp(), Signal::SIGKILL);
}

/// As a shell tells it: 128 and the signal's number for a program that a signal ended.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(NOT_STARTED)
}
