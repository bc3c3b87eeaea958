//! Where lines go: standard output, or a file that may be moved away under us, as log rotation does.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often is looked whether the file is still the one of that name.
const LOOK: Duration = Duration::from_secs(1);
/// At most one word about trouble in this time.
const QUIET: Duration = Duration::from_secs(10);

/// An open place for lines.
pub(super) struct Sink {
    file: Option<(PathBuf, File)>,
    looked: Instant,
    complained: Option<Instant>,
}

impl Sink {
    pub(super) fn open(path: Option<PathBuf>) -> Result<Sink, String> {
        let file = match path {
            None => None,
            Some(path) => {
                let file = open(&path)
                    .map_err(|error| format!("failed to open the access log {}: {error}", path.display()))?;
                Some((path, file))
            }
        };
        Ok(Sink { file, looked: Instant::now(), complained: None })
    }

    /// Writes some lines. Says whether they were written; why not is told in the process's own log.
    pub(super) fn write(&mut self, lines: &[u8]) -> bool {
        let written = match &mut self.file {
            None => {
                let mut out = io::stdout().lock();
                out.write_all(lines).and_then(|()| out.flush())
            }
            Some((path, file)) => {
                let fresh = if self.looked.elapsed() >= LOOK {
                    self.looked = Instant::now();
                    is_same(path, file).map_or_else(|| open(path).map(Some), |()| Ok(None))
                } else {
                    Ok(None)
                };
                fresh.and_then(|fresh| {
                    if let Some(fresh) = fresh {
                        *file = fresh;
                    }
                    file.write_all(lines)
                })
            }
        };
        if let Err(error) = &written
            && self.complained.is_none_or(|at| at.elapsed() >= QUIET)
        {
            self.complained = Some(Instant::now());
            let place =
                self.file.as_ref().map_or("standard output".into(), |(path, _)| path.to_string_lossy());
            tracing::error!("failed to write the access log to {place}: {error}; lines are lost");
        }
        written.is_ok()
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// `None` when the name stands for another file by now, or for none.
fn is_same(path: &PathBuf, file: &File) -> Option<()> {
    let (named, ours) = (std::fs::metadata(path).ok()?, file.metadata().ok()?);
    (named.ino() == ours.ino() && named.dev() == ours.dev()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let mut sink = Sink::open(Some(file.clone())).unwrap();
        assert!(sink.write(b"one\n"));
        std::fs::rename(&file, folder.path().join("access.log.1")).unwrap();
        sink.looked -= LOOK;
        assert!(sink.write(b"two\n"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two\n");
        let error = Sink::open(Some(folder.path().join("none/access.log"))).err().unwrap();
        assert!(error.contains("none/access.log"), "{error}");
    }
}
