//! Sheds load before memory runs out: connections end after the request under way, then no new ones are taken, then
//! requests are refused at once. A gateway that is killed for its memory loses everything that is under way; one that
//! says 503 loses what it says it to.
//!
//! Goes by the limit of the control group it runs in; without one nothing is shed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

/// How often memory is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// Percentage points between two levels, and below a level before it is left.
const STEP: u64 = 3;

/// How much is shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    #[default]
    Nothing,
    /// Connections end after the request under way.
    KeepAlive,
    /// New connections are closed at once.
    Connections,
    /// Requests are answered with 503.
    Requests,
}

/// The level, as everybody sees it.
#[derive(Debug, Clone, Default)]
pub struct Overload(Arc<AtomicU8>);

/// Memory used and allowed, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    used: u64,
    limit: u64,
}

/// A control group's files.
struct Group {
    folder: PathBuf,
    /// Names of the files with the limit and the usage: those of version 2 or 1.
    names: [&'static str; 2],
}

impl Level {
    const ALL: [Level; 4] = [Level::Nothing, Level::KeepAlive, Level::Connections, Level::Requests];

    /// The next level, with so many percent in use. It rises at once and falls one by one, a little later than it rose.
    fn next(self, percent: u64, shed_at: u64) -> Level {
        let begins = |level: Level| shed_at.saturating_sub(STEP * (Level::Requests as u64 - level as u64));
        let reached = Level::ALL.into_iter().rev().find(|level| percent >= begins(*level));
        match reached.filter(|level| *level > Level::Nothing) {
            Some(level) if level >= self => level,
            _ if self > Level::Nothing && percent + STEP < begins(self) => Level::ALL[self as usize - 1],
            _ => self,
        }
    }
}

impl Overload {
    #[inline]
    pub fn level(&self) -> Level {
        Level::ALL[usize::from(self.0.load(Relaxed)) % Level::ALL.len()]
    }

    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Relaxed);
    }

    /// Looks at memory for ever. `shed_at` is the share of the limit, in percent, from which requests are refused.
    pub async fn watch(self, shed_at: u8) {
        let Some(group) = (shed_at > 0).then(Group::own).flatten() else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(memory) = group.memory() else { continue };
            let percent = memory.used.saturating_mul(100) / memory.limit.max(1);
            let (before, next) = (self.level(), self.level().next(percent, shed_at.into()));
            if next != before {
                self.set(next);
                tracing::warn!(percent, "memory: shedding {next:?} now, {before:?} before");
            }
        }
    }
}

impl Group {
    /// The group of this process, if the system has them.
    fn own() -> Option<Group> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        Group::find(Path::new("/sys/fs/cgroup"), &own)
    }

    /// `own` is what `/proc/self/cgroup` says. In a container the group is the root of what can be seen.
    fn find(root: &Path, own: &str) -> Option<Group> {
        let path = |line: &str, controller: &str| {
            let mut parts = line.splitn(3, ':');
            let controllers = parts.nth(1)?;
            let wanted = controllers.split(',').any(|one| one == controller);
            wanted.then(|| parts.next().unwrap_or("/").trim_start_matches('/').to_owned())
        };
        let version_2 = ["memory.max", "memory.current"];
        let version_1 = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
        let second =
            own.lines().find_map(|line| path(line, "")).map(|path| (root.to_owned(), path, version_2));
        let first = own.lines().find_map(|line| path(line, "memory"));
        let first = first.map(|path| (root.join("memory"), path, version_1));
        let candidates = second
            .into_iter()
            .chain(first)
            .flat_map(|(root, path, names)| [root.join(path), root].map(|folder| Group { folder, names }));
        candidates.into_iter().find(|group| group.memory().is_some())
    }

    /// `None` without a limit.
    fn memory(&self) -> Option<Memory> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        let limit: u64 = read(self.names[0])?.trim().parse().ok()?;
        let used: u64 = read(self.names[1])?.trim().parse().ok()?;
        // Version 1 says "no limit" by a number beyond all memory.
        if limit >= 1 << 60 {
            return None;
        }
        // What the system can drop at any time is not in use.
        let stat = read("memory.stat").unwrap_or_default();
        let value =
            |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let cached = value("total_inactive_file ").or_else(|| value("inactive_file ")).unwrap_or(0);
        Some(Memory { used: used.saturating_sub(cached), limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_once_and_fall_one_by_one() {
        use Level::{Connections, KeepAlive, Nothing, Requests};
        let mut level = Level::default();
        let mut seen = Vec::new();
        for percent in [50, 91, 92, 94, 95, 99, 97, 94, 94, 91, 90, 88, 87] {
            level = level.next(percent, 98);
            seen.push(level);
        }
        assert_eq!(
            seen,
            [
                Nothing,
                Nothing,
                KeepAlive,
                KeepAlive,
                Connections,
                Requests,
                Requests,
                Connections,
                Connections,
                KeepAlive,
                KeepAlive,
                Nothing,
                Nothing
            ]
        );
    }

    #[test]
    fn groups_of_both_versions_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert!(Group::find(root.path(), "0::/\n").is_none());
        write("memory/memory.limit_in_bytes", "2000\n");
        write("memory/memory.usage_in_bytes", "900\n");
        let group = Group::find(root.path(), "3:cpu,memory:/gone\n1:name=x:/\n").unwrap();
        assert_eq!(group.memory(), Some(Memory { used: 900, limit: 2_000 }));
        write("pod/memory.max", "1000\n");
        write("pod/memory.current", "800\n");
        write("pod/memory.stat", "anon 1\ninactive_file 300\n");
        let group = Group::find(root.path(), "0::/pod\n").unwrap();
        assert_eq!(group.memory(), Some(Memory { used: 500, limit: 1_000 }));
        write("pod/memory.max", "max\n");
        assert_eq!(group.memory(), None);
    }
}
