//! A folder of the same objects that a cluster would hold, read again whenever it changes.
//!
//! A file that stops being readable keeps its last good content. Versions are made up: every change of an
//! object counts one up. There is no status and nobody makes `EndpointSlices`: they, or Endpoints, are in the
//! files.

mod content;
mod manifest;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Change, Changes, Feed, Scope, channel};
use crate::objects::Kind;
use content::Content;

/// Writers often make several steps of one change: the folder must have been still for this long.
const STILL: Duration = Duration::from_millis(20);
/// But a folder that is never still is read too.
const AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// Notifications can be missed (network file systems, folders made and filled at once).
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// Why a folder can't be a source.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("failed to read the objects in {path}: {cause}; name a folder with YAML files")]
    Unreadable { path: PathBuf, cause: std::io::Error },
}

/// Reads a folder until told to stop.
pub struct Directory {
    path: PathBuf,
    changes: Changes,
}

/// A source for the folder. It is looked at once, so that a wrong name is an error now and not a wait.
pub fn open(path: &Path) -> Result<(Directory, Feed), DirectoryError> {
    std::fs::read_dir(path).map_err(|cause| DirectoryError::Unreadable { path: path.to_owned(), cause })?;
    let (changes, feed) = channel(Kind::ALL.iter().copied().map(Scope::everywhere).collect());
    Ok((Directory { path: path.to_owned(), changes }, feed))
}

/// Everything in a folder, or in one file, as it is now.
pub fn read(path: &Path) -> Result<Vec<Change>, DirectoryError> {
    std::fs::metadata(path).map_err(|cause| DirectoryError::Unreadable { path: path.to_owned(), cause })?;
    Ok(Content::new(path.to_owned()).look())
}

impl Directory {
    /// Sends all objects, then whatever changes.
    pub async fn run(self, stop: CancellationToken) {
        let touched = Arc::new(Notify::new());
        // Watching starts before the first look, so that nothing falls between.
        let _watcher = watch(&self.path, &touched);
        let mut content = Content::new(self.path.clone());
        loop {
            let Ok((changes, next)) = tokio::task::spawn_blocking(move || {
                let changes = content.look();
                (changes, content)
            })
            .await
            else {
                return;
            };
            content = next;
            for change in changes {
                if self.changes.send(change).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = settled(&touched) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Returns when something was touched and then nothing for a moment.
async fn settled(touched: &Notify) {
    if tokio::time::timeout(LOOK_ANYWAY, touched.notified()).await.is_err() {
        return;
    }
    let still = async { while tokio::time::timeout(STILL, touched.notified()).await.is_ok() {} };
    let _ = tokio::time::timeout(AT_LEAST_EVERY, still).await;
}

/// Keeps the watch alive as long as the result is.
fn watch(path: &Path, touched: &Arc<Notify>) -> Option<Box<dyn Watcher + Send>> {
    let touched = Arc::clone(touched);
    let touch = move |event: notify::Result<notify::Event>| {
        if is_change(&event) {
            touched.notify_one();
        }
    };
    let native = notify::recommended_watcher(touch).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::Recursive)?;
        Ok(Box::new(watcher) as Box<dyn Watcher + Send>)
    });
    match native {
        Ok(watcher) => {
            info!(path = %path.display(), "watching the folder for changes");
            Some(watcher)
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "can't watch the folder; it is read every {LOOK_ANYWAY:?} instead");
            None
        }
    }
}

/// To read a file is an event too: if it counted, every look would ask for the next. An error may hide a change.
fn is_change(event: &notify::Result<notify::Event>) -> bool {
    !event.as_ref().is_ok_and(|event| event.kind.is_access())
}

/// A change that lists nothing says nothing.
fn is_empty(change: &Change) -> bool {
    matches!(change, Change::Listed(listings) if listings.is_empty())
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, DataChange, EventKind, ModifyKind};

    use super::*;

    #[test]
    fn looking_asks_for_no_other_look() {
        let event = |kind| is_change(&Ok(notify::Event::new(kind)));
        assert!(!event(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!event(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(event(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
        assert!(event(EventKind::Any));
        assert!(is_change(&Err(notify::Error::generic("the queue of events overflowed"))));
    }
}
