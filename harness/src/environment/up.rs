//! The environment that `harness up` left running: who keeps it, where it is, and how another process uses it.
//!
//! A lock on a file says that one is up; it goes with the process that holds it, however that ends. What stands
//! in the state file is worth something only while the lock is held.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attached::Attached;
use super::reach::Reached;
use super::{Addresses, Environment};

const LOCK: &str = "up.lock";
const STATE: &str = "up.json";

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that keeps it.
    pub pid: u32,
    /// Such as `local`.
    pub environment: String,
    pub folder: PathBuf,
    pub kubeconfig: PathBuf,
    pub http: SocketAddr,
    pub https: SocketAddr,
    /// Where traces are asked for, if anywhere.
    #[serde(default)]
    pub jaeger: Option<String>,
    /// RFC 3339, UTC.
    pub since: String,
}

/// The environment that is up.
#[derive(Debug)]
pub struct Up {
    pub state: State,
}

impl Up {
    /// # Errors
    /// None is up, and how to start one.
    pub fn find(target: &Path) -> Result<Up, String> {
        let none = || "no environment is up; start one with `cargo run -p harness up`".to_owned();
        if !is_claimed(target) {
            return Err(none());
        }
        let text = std::fs::read_to_string(target.join(STATE)).map_err(|_| none())?;
        serde_json::from_str(&text).map(|state| Up { state }).map_err(|_| none())
    }

    /// Uses it from here. Stopping what is given back leaves it up.
    ///
    /// # Errors
    /// It doesn't answer.
    pub async fn attach(&self) -> Result<Arc<dyn Environment>, String> {
        let State { kubeconfig, http, https, .. } = &self.state;
        if self.state.environment == "local" {
            return Ok(Arc::new(Reached::open(kubeconfig).await?));
        }
        let gateway = Addresses { http: *http, https: *https };
        Ok(Arc::new(Attached::open(kubeconfig, gateway).await?))
    }
}

/// Whether some process keeps an environment, or is about to.
pub fn is_claimed(target: &Path) -> bool {
    File::open(target.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The right to keep the one environment that is up.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
    state: PathBuf,
}

impl Claim {
    /// # Errors
    /// Another process has it.
    pub fn take(target: &Path) -> Result<Claim, String> {
        let path = target.join(LOCK);
        let failed = |error: &dyn std::fmt::Display| format!("failed to lock {}: {error}", path.display());
        std::fs::create_dir_all(target).map_err(|error| failed(&error))?;
        let lock = File::create(&path).map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err("another environment is up; `harness down` stops it".to_owned());
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        // What an earlier process left when it was killed.
        let state = target.join(STATE);
        let _ = std::fs::remove_file(&state);
        Ok(Claim { _lock: lock, state })
    }

    /// Tells everybody where the environment is.
    ///
    /// # Errors
    /// It can't be written.
    pub fn announce(&self, state: &State) -> Result<(), String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("failed to write {}: {error}", self.state.display());
        let text = serde_json::to_string_pretty(state).map_err(|error| failed(&error))?;
        // In one step, so that nobody reads half of it.
        let draft = self.state.with_extension("draft");
        std::fs::write(&draft, text).map_err(|error| failed(&error))?;
        std::fs::rename(&draft, &self.state).map_err(|error| failed(&error))
    }

    /// No environment is up any more.
    pub fn release(self) {
        let _ = std::fs::remove_file(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_seen_while_it_is_held_and_no_longer() {
        let target = tempfile::tempdir().unwrap();
        let target = target.path();
        assert!(!is_claimed(target));
        assert!(Up::find(target).unwrap_err().contains("harness up"));
        let claim = Claim::take(target).unwrap();
        assert!(is_claimed(target));
        assert!(Up::find(target).is_err(), "it is not ready yet");
        assert!(Claim::take(target).unwrap_err().contains("harness down"));
        let address = "127.0.0.1:80".parse().unwrap();
        let state = State {
            pid: 1,
            environment: "local".to_owned(),
            folder: "/f".into(),
            kubeconfig: "/k".into(),
            http: address,
            https: address,
            jaeger: None,
            since: "now".to_owned(),
        };
        claim.announce(&state).unwrap();
        assert_eq!(Up::find(target).unwrap().state, state);
        claim.release();
        assert!(!is_claimed(target));
        assert!(Up::find(target).is_err());
    }
}
