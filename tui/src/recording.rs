//! Recordings of the feed: what came, not what was drawn, so that every screen can look at it later.
//!
//! A recording is a text file: a header line, then one JSON object for each [`Event`]. It is written as events come
//! and flushed about once a second, so a file cut off by a crash plays up to the cut. It grows by about
//! 60 KB a second with ten busy routes, and in proportion to them.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::sanitize;
use crate::source::{Event, Link, News};

const VERSION: u32 = 1;
/// As long as a line of the feed may be, and a little.
const LONGEST_LINE: u64 = 17 << 20;

/// The first line of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format; also what a recording is known by.
    pub limen_recording: u32,
    /// Addresses of the gateways, in the order of the events' indices.
    pub gateways: Vec<String>,
}

/// Writes a recording.
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    bytes: u64,
    flushed_ms: u64,
}

impl Writer {
    /// Begins a recording in a new file; an existing one is left alone.
    pub fn create(path: &Path, gateways: &[String]) -> Result<Writer> {
        let file = File::create_new(path).with_context(|| {
            format!(
                "failed to record to {}; choose the name of a new file in an existing folder",
                path.display()
            )
        })?;
        let header = Header { limen_recording: VERSION, gateways: gateways.to_vec() };
        let mut writer = Writer { path: path.to_owned(), out: BufWriter::new(file), bytes: 0, flushed_ms: 0 };
        writer.line(&header)?;
        Ok(writer)
    }

    /// Adds an event.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        self.line(event)?;
        if event.at_ms.saturating_sub(self.flushed_ms) >= 1_000 {
            self.flushed_ms = event.at_ms;
            self.out.flush().with_context(|| self.failure())?;
        }
        Ok(())
    }

    /// Writes out what is still held back.
    pub fn finish(mut self) -> Result<(PathBuf, u64)> {
        self.out.flush().with_context(|| self.failure())?;
        Ok((self.path, self.bytes))
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.bytes += line.len() as u64;
        self.out.write_all(&line).with_context(|| self.failure())
    }

    fn failure(&self) -> String {
        format!("failed to write the recording {}; is the disk full?", self.path.display())
    }
}

/// Reads a recording.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    input: BufReader<File>,
    header: Header,
    line: u64,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Reader> {
        let file = File::open(path).with_context(|| {
            format!("failed to open the recording {}; is the path right?", path.display())
        })?;
        let mut input = BufReader::new(file);
        let mut first = Vec::new();
        input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut first)?;
        let Ok(mut header) = serde_json::from_slice::<Header>(&first) else {
            bail!(
                "failed to replay {}: its first line is not that of a recording; make one with --record FILE",
                path.display()
            );
        };
        if header.limen_recording > VERSION {
            bail!(
                "failed to replay {}: its format is version {}, this program reads up to version {VERSION}; \
                 replay it with the program that made it",
                path.display(),
                header.limen_recording
            );
        }
        header.gateways.iter_mut().for_each(sanitize::text);
        Ok(Reader { path: path.to_owned(), input, header, line: 1 })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next event; `None` at the end. A last line without an end was cut off and is an error, too.
    pub fn next_event(&mut self) -> Option<Result<Event>> {
        let mut line = Vec::new();
        self.line += 1;
        match self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(self.parse(&line)),
            Err(cause) => Some(Err(cause).with_context(|| format!("failed to read {}", self.path.display()))),
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Event> {
        if !line.ends_with(b"\n") {
            bail!("the recording is cut off in line {}", self.line);
        }
        let mut event: Event = serde_json::from_slice(line)
            .with_context(|| format!("line {} of {} is damaged", self.line, self.path.display()))?;
        if event.gateway >= self.header.gateways.len() {
            bail!("line {} of {} names a gateway that its header does not", self.line, self.path.display());
        }
        match &mut event.news {
            News::Message(message) => sanitize::message(message),
            News::Link(Link::Lost { cause: text, .. } | Link::Ended { note: text }) => sanitize::text(text),
            News::Link(Link::Connecting | Link::Live) => {}
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use admin_api::{FeedMessage, Hello};

    use super::*;

    fn events() -> Vec<Event> {
        let hello = Hello { instance: "gw".to_owned(), version: "1".to_owned(), started_at_ms: 7 };
        let lost = Link::Lost { cause: "gone".to_owned(), retry_at_ms: 9 };
        [News::Link(Link::Live), News::Message(FeedMessage::Hello(hello)), News::Link(lost)]
            .into_iter()
            .enumerate()
            .map(|(index, news)| Event { at_ms: 1_000 * index as u64, gateway: 0, news })
            .collect()
    }

    fn record(folder: &Path) -> PathBuf {
        let path = folder.join("feed.rec");
        let mut writer = Writer::create(&path, &["http://gw:8001".to_owned()]).unwrap();
        for event in events() {
            writer.event(&event).unwrap();
        }
        let (_, bytes) = writer.finish().unwrap();
        assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
        path
    }

    fn read(path: &Path) -> (Vec<Event>, Option<String>) {
        let mut reader = Reader::open(path).unwrap();
        let mut events = Vec::new();
        loop {
            match reader.next_event() {
                None => return (events, None),
                Some(Ok(event)) => events.push(event),
                Some(Err(error)) => return (events, Some(format!("{error:#}"))),
            }
        }
    }

    #[test]
    fn what_was_recorded_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&record(folder.path())), (events(), None));
    }

    #[test]
    fn a_cut_off_recording_plays_up_to_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = record(folder.path());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let (played, note) = read(&path);
        assert_eq!(played, events()[..2]);
        assert_eq!(note.unwrap(), "the recording is cut off in line 4");
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = record(folder.path());
        let error = Writer::create(&path, &[]).err().unwrap();
        assert!(format!("{error:#}").contains("choose the name of a new file"), "{error:#}");
        assert_eq!(read(&path).0, events());
    }

    #[test]
    fn other_files_and_newer_formats_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let refusal = |text: &str| {
            std::fs::write(&path, text).unwrap();
            format!("{:#}", Reader::open(&path).unwrap_err())
        };
        assert!(refusal("hello\n").contains("not that of a recording"));
        assert!(refusal("").contains("not that of a recording"));
        assert!(refusal("{\"limen_recording\":2,\"gateways\":[]}\n").contains("version 2"));
        assert!(
            format!("{:#}", Reader::open(&folder.path().join("none")).unwrap_err()).contains("is the path")
        );
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = record(folder.path());
        let text = std::fs::read_to_string(&path).unwrap().replace("hello", "hullo");
        std::fs::write(&path, text).unwrap();
        assert!(read(&path).1.unwrap().contains("line 3 of"));
    }
}
