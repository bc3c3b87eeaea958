//! The folder of a run: made with an id that sorts by time, kept when something may be learned from it, and
//! bounded in number.

use std::path::{Path, PathBuf};

use crate::environment::up::Up;

/// Kept folders; the oldest go first.
const KEPT: usize = 10;

/// A run's id and folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    pub id: String,
    pub path: PathBuf,
}

impl RunFolder {
    /// Makes the folder below `runs` in `target`, and removes the oldest of earlier ones.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(target: &Path) -> Result<RunFolder, String> {
        let runs = target.join("runs");
        let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let id = format!("{time}-{:04x}", fastrand::u16(..));
        let path = runs.join(&id);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("failed to make the folder {}: {error}", path.display()))?;
        let in_use = Up::find(target).ok().map(|up| up.state.folder);
        prune(&runs, KEPT, in_use.as_deref());
        Ok(RunFolder { id, path })
    }

    /// Removes it. That it can't be removed harms nobody: it goes with the oldest, later.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Leaves the newest `kept` folders, and that of the environment that is up.
fn prune(runs: &Path, kept: usize, in_use: Option<&Path>) {
    let Ok(entries) = std::fs::read_dir(runs) else { return };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let surplus = folders.len().saturating_sub(kept);
    for folder in folders.into_iter().take(surplus) {
        if in_use != Some(&folder) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_what_is_in_use_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let runs = temporary.path();
        for name in ["1", "2", "3", "4"] {
            std::fs::create_dir(runs.join(name)).unwrap();
        }
        prune(runs, 2, Some(&runs.join("1")));
        let mut left: Vec<_> = std::fs::read_dir(runs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["1", "3", "4"]);
    }
}
