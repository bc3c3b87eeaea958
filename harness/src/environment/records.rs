//! Which clusters were made here, by whom, and how to be rid of them: one file each, in a folder of this user and machine
//! that all checkouts share. A lock on the file says that its run is alive; it goes with the process, however that ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is written down before a cluster is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the cluster; for one that was there before, of the run.
    pub name: String,
    /// `kind`, `k3d` or `kubeconfig`.
    pub environment: String,
    /// For people; where that file is not private to the run, its own copy.
    pub kubeconfig: PathBuf,
    /// Wanted to stay.
    pub kept: bool,
    /// RFC 3339, UTC.
    pub since: String,
}

/// All of them.
pub struct Records {
    folder: PathBuf,
}

/// A record that is ours as long as this lives.
pub struct Held {
    pub record: Record,
    folder: PathBuf,
    _lock: File,
}

impl Records {
    /// # Errors
    /// The folder can't be made.
    pub fn open() -> Result<Records, String> {
        let folder = std::env::var_os("LIMEN_RECORDS").map_or_else(usual, PathBuf::from);
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("failed to make the folder {}: {error}", folder.display()))?;
        Ok(Records { folder })
    }

    /// Where what belongs to a cluster is kept.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes down a cluster that is about to be made.
    ///
    /// # Errors
    /// It can't be written.
    pub fn begin(&self, record: Record) -> Result<Held, String> {
        let folder = self.folder(&record.name);
        let failed = |error: std::io::Error| format!("failed to write {}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| format!("failed to lock {}: {error}", folder.display()))?;
        let held = Held { record, folder, _lock: lock };
        held.write()?;
        Ok(held)
    }

    /// Every record; those that nobody holds are taken.
    pub fn all(&self) -> Vec<(Record, Option<Held>)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let mut all: Vec<_> = entries.filter_map(|entry| take(&entry.path())).collect();
        all.sort_by(|one, other| one.0.since.cmp(&other.0.since));
        all
    }
}

fn take(folder: &Path) -> Option<(Record, Option<Held>)> {
    let text = std::fs::read_to_string(folder.join("record.json")).ok()?;
    let record: Record = serde_json::from_str(&text).ok()?;
    let lock = File::options().write(true).open(folder.join("lock")).ok()?;
    match lock.try_lock() {
        Ok(()) => {
            let held = Held { record: record.clone(), folder: folder.to_owned(), _lock: lock };
            Some((record, Some(held)))
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Some((record, None)),
    }
}

/// In the folder for files that don't outlive the machine's next start, as no process does either; apart for each user.
fn usual() -> PathBuf {
    #[cfg(unix)]
    let user = nix::unistd::getuid().to_string();
    #[cfg(not(unix))]
    let user = "user";
    std::env::temp_dir().join(format!("limen-{user}"))
}

impl Held {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets it stay when we are gone.
    ///
    /// # Errors
    /// It can't be written.
    pub fn keep(mut self) -> Result<(), String> {
        self.record.kept = true;
        self.write()
    }

    fn write(&self) -> Result<(), String> {
        let file = self.folder.join("record.json");
        let text = serde_json::to_string_pretty(&self.record).unwrap_or_default();
        std::fs::write(&file, text).map_err(|error| format!("failed to write {}: {error}", file.display()))
    }

    /// It is gone, and so is all that belonged to it.
    pub fn forget(self) {
        // What can't be removed is looked at again by the next `gc`.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_can_be_taken() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records { folder: folder.path().to_owned() };
        let record = |name: &str| Record {
            name: name.to_owned(),
            environment: "kind".to_owned(),
            kubeconfig: PathBuf::from("k"),
            kept: false,
            since: name.to_owned(),
        };
        let first = records.begin(record("1")).unwrap();
        let second = records.begin(record("2")).unwrap();
        assert!(records.begin(record("2")).is_err());
        assert!(records.all().iter().all(|(_, held)| held.is_none()));
        second.keep().unwrap();
        let all = records.all();
        assert_eq!(
            all.iter().map(|(record, held)| (record.kept, held.is_some())).collect::<Vec<_>>(),
            [(false, false), (true, true)]
        );
        drop(all);
        first.forget();
        assert_eq!(records.all().len(), 1);
    }
}
