//! The output of one run of a container: lines with their times in a file of bounded size, read back by
//! `kubectl logs`.
//!
//! Each line is kept as container runtimes do: `TIME STREAM P|F TEXT`, where `P` says that the line goes on in
//! the next one. When the file is full it becomes the old half and a new one is begun, so what is kept is
//! between one and two halves.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// A longer line is kept in pieces.
const LONGEST_PIECE: usize = 16 * 1024;

/// Where the two outputs of a run are written to.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    half: u64,
    writer: Mutex<Writer>,
    /// Goes up with every piece, and says when there will be no more.
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Writer {
    file: Option<File>,
    length: u64,
    lost: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Progress {
    pieces: u64,
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// One kept piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) time: Timestamp,
    pub(crate) text: Vec<u8>,
    /// The line ends here.
    pub(crate) whole: bool,
}

impl LogFile {
    /// `bytes` bounds both halves together.
    pub(crate) fn create(path: &Path, bytes: u64) -> io::Result<Arc<LogFile>> {
        let file = File::create(path)?;
        Ok(Arc::new(LogFile {
            path: path.to_owned(),
            half: (bytes / 2).max(1),
            writer: Mutex::new(Writer { file: Some(file), length: 0, lost: 0 }),
            progress: watch::Sender::new(Progress::default()),
        }))
    }

    /// Writes what comes until it ends. Never stops reading: a program whose output nobody takes would stand still.
    pub(crate) async fn take(self: Arc<Self>, stream: Stream, mut output: impl AsyncRead + Unpin) {
        let mut buffer = Vec::with_capacity(LONGEST_PIECE);
        while output.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
            let mut rest = buffer.as_slice();
            loop {
                match memchr_newline(rest) {
                    Some(at) => {
                        self.write(stream, &rest[..at], true);
                        rest = &rest[at + 1..];
                    }
                    None if rest.len() >= LONGEST_PIECE => {
                        self.write(stream, &rest[..LONGEST_PIECE], false);
                        rest = &rest[LONGEST_PIECE..];
                    }
                    None => break,
                }
            }
            let left = rest.len();
            let from = buffer.len() - left;
            buffer.drain(..from);
        }
        if !buffer.is_empty() {
            self.write(stream, &buffer, true);
        }
    }

    /// No more will come; readers that follow end.
    pub(crate) fn end(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    pub(crate) fn write(&self, stream: Stream, text: &[u8], whole: bool) {
        let mut writer = self.writer.lock();
        let stream = if matches!(stream, Stream::Out) { "stdout" } else { "stderr" };
        let flag = if whole { "F" } else { "P" };
        let mut line = format!("{:.9} {stream} {flag} ", Timestamp::now()).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        let written = self.rotate(&mut writer).and_then(|()| match &mut writer.file {
            Some(file) => file.write_all(&line),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        match written {
            Ok(()) => writer.length += line.len() as u64,
            Err(error) => {
                writer.lost += 1;
                if writer.lost == 1 {
                    tracing::warn!("failed to write {}, so lines are lost: {error}", self.path.display());
                }
            }
        }
        drop(writer);
        self.progress.send_modify(|progress| progress.pieces += 1);
    }

    fn rotate(&self, writer: &mut Writer) -> io::Result<()> {
        if writer.length < self.half && writer.file.is_some() {
            return Ok(());
        }
        writer.file = None;
        fs::rename(&self.path, self.old())?;
        writer.file = Some(File::create(&self.path)?);
        writer.length = 0;
        Ok(())
    }

    /// Forgets what was kept; who reads it now reads on.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.old());
    }

    fn old(&self) -> PathBuf {
        self.path.with_extension("old.log")
    }

    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        Reader { log: Arc::clone(self), progress: self.progress.subscribe(), parts: Vec::new(), begun: false }
    }
}

fn memchr_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Reads a log from its beginning, and on as it grows.
pub(crate) struct Reader {
    log: Arc<LogFile>,
    progress: watch::Receiver<Progress>,
    /// The files still to read, the next one last.
    parts: Vec<BufReader<File>>,
    begun: bool,
}

impl Reader {
    /// The next piece that is there now.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        if !self.begun {
            self.begun = true;
            self.progress.borrow_and_update();
            let _writing = self.log.writer.lock();
            self.parts = [self.log.path.clone(), self.log.old()]
                .iter()
                .filter_map(|path| File::open(path).ok().map(BufReader::new))
                .collect();
        }
        loop {
            let Some(part) = self.parts.last_mut() else { return Ok(None) };
            let begin = part.stream_position()?;
            let mut line = Vec::new();
            part.read_until(b'\n', &mut line)?;
            if line.last() == Some(&b'\n') {
                line.pop();
                match parse(&line) {
                    Some(piece) => return Ok(Some(piece)),
                    None => continue,
                }
            }
            // Half a line is still being written.
            part.seek(io::SeekFrom::Start(begin))?;
            if self.parts.len() > 1 {
                self.parts.pop();
                continue;
            }
            return self.follow_rotation();
        }
    }

    /// At the end of the newest file that was known: goes on in the one that has taken its place, if any.
    fn follow_rotation(&mut self) -> io::Result<Option<Piece>> {
        use std::os::unix::fs::MetadataExt;
        let log = Arc::clone(&self.log);
        let writing = log.writer.lock();
        let Ok(newest) = File::open(&log.path) else { return Ok(None) };
        let same = match self.parts.last() {
            Some(part) => part.get_ref().metadata()?.ino() == newest.metadata()?.ino(),
            None => false,
        };
        if same {
            return Ok(None);
        }
        // Between the last read and now the file was finished: its rest comes first.
        self.parts.insert(0, BufReader::new(newest));
        drop(writing);
        self.next()
    }

    /// The next piece, waited for; none when there will be no more.
    pub(crate) async fn follow(&mut self) -> io::Result<Option<Piece>> {
        loop {
            // Asked before looking, so that what was written just before the end is not missed.
            let ended = self.progress.borrow_and_update().ended;
            if let Some(piece) = self.next()? {
                return Ok(Some(piece));
            }
            if ended || self.progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

fn parse(line: &[u8]) -> Option<Piece> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let (_stream, flag) = (parts.next()?, parts.next()?);
    Some(Piece { time, text: parts.next()?.to_vec(), whole: flag == b"F" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(reader: &mut Reader) -> Vec<String> {
        let pieces = std::iter::from_fn(|| reader.next().unwrap());
        pieces.map(|piece| String::from_utf8(piece.text).unwrap()).collect()
    }

    #[tokio::test]
    async fn lines_come_back_in_order_and_long_ones_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::create(&folder.path().join("0.log"), 1 << 20).unwrap();
        let long = "x".repeat(LONGEST_PIECE + 5);
        let output = format!("one\n\n{long}\nlast");
        Arc::clone(&log).take(Stream::Out, output.as_bytes()).await;
        let read = texts(&mut log.reader());
        assert_eq!(read, ["one", "", &long[..LONGEST_PIECE], "xxxxx", "last"]);
    }

    #[tokio::test]
    async fn keeps_the_newest_and_readers_follow_across_files() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::create(&folder.path().join("0.log"), 2_000).unwrap();
        let mut follower = log.reader();
        let mut followed = Vec::new();
        for line in 0..200 {
            log.write(Stream::Out, format!("line {line}").as_bytes(), true);
            followed.extend(texts(&mut follower));
        }
        assert_eq!(followed.len(), 200);
        assert_eq!(followed[199], "line 199");
        let kept = texts(&mut log.reader());
        assert!((20..60).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap(), "line 199");
        assert!(fs::read_dir(folder.path()).unwrap().count() == 2);
    }

    #[tokio::test]
    async fn who_follows_is_told_of_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::create(&folder.path().join("0.log"), 2_000).unwrap();
        let mut reader = log.reader();
        assert_eq!(reader.next().unwrap(), None);
        let text = |piece: Option<Piece>| piece.map(|piece| String::from_utf8(piece.text).unwrap());
        let (followed, ()) = tokio::join!(reader.follow(), async { log.write(Stream::Err, b"late", true) });
        assert_eq!(text(followed.unwrap()).as_deref(), Some("late"));
        log.write(Stream::Err, b"last", true);
        log.end();
        assert_eq!(text(reader.follow().await.unwrap()).as_deref(), Some("last"));
        assert_eq!(reader.follow().await.unwrap(), None);
    }
}
