//! Stops the environment that is up and waits until nothing of it is left.

use std::time::Duration;

use super::{Failed, print};
use crate::environment::up::{Up, is_claimed};
use crate::expect::eventually::eventually;
use crate::project;
use crate::runner::{FAILED, PASSED, UNAVAILABLE};

/// How long its processes may take to end; a whole cluster may have to go.
const PATIENCE: Duration = Duration::from_mins(15);

pub(super) async fn down() -> Result<u8, Failed> {
    let root = project::root().map_err(Failed::usage)?;
    let target = project::target(&root);
    let Ok(up) = Up::find(&target) else {
        print("no environment is up\n");
        return Ok(PASSED);
    };
    let pid = up.state.pid;
    stop(pid).map_err(|error| Failed::new(UNAVAILABLE, error))?;
    let gone = eventually(PATIENCE, Duration::from_millis(50), || async {
        if is_claimed(&target) { Err(format!("process {pid} still runs")) } else { Ok(()) }
    });
    gone.await.map_err(|missed| {
        let log = up.state.folder.join("keep.log");
        Failed::new(FAILED, format!("failed to stop the environment: {missed}; see {}", log.display()))
    })?;
    // Best effort: it goes with the oldest runs otherwise.
    let _ = std::fs::remove_dir_all(&up.state.folder);
    print("the environment is down\n");
    Ok(PASSED)
}

/// Asks a process to stop.
#[cfg(unix)]
pub(super) fn stop(pid: u32) -> Result<(), String> {
    use nix::sys::signal::{Signal, kill};
    let process = nix::unistd::Pid::from_raw(pid as i32);
    kill(process, Signal::SIGTERM).map_err(|error| format!("failed to stop process {pid}: {error}"))
}

/// Asks a process to stop.
#[cfg(not(unix))]
pub(super) fn stop(pid: u32) -> Result<(), String> {
    Err(format!("end process {pid} by hand; this system has no signals"))
}
