//! The access log: a line for every request, to standard output or a file.
//!
//! A worker copies what a line needs into its own tray, which is bounded. A thread that belongs to the log takes
//! the trays away, makes the lines and writes them. A disk that is slow or full, or a reader that doesn't read,
//! costs lines, which are counted; it never costs a request.

mod line;
mod sink;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::line::{Row, Writer};
use self::sink::Sink;
use super::counters::Tally;
use crate::exchange::Exchange;

/// Most lines that may wait in a worker's tray, and bytes of text that belong to them.
const ROWS: usize = 16_384;
const TEXT: usize = 4 << 20;
/// How long the writer rests between two looks while there is traffic: a busy worker wakes nobody.
const REST: Duration = Duration::from_millis(20);
/// Lines are written in pieces of about this size.
const PIECE: usize = 64 << 10;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As Kong's front end writes it: nginx's `combined` and the request's id.
    Text,
    Json,
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogSettings {
    pub format: Format,
    /// `None` is standard output.
    pub file: Option<PathBuf>,
}

/// The workers' side of the log.
pub struct AccessLog {
    trays: Box<[Tray]>,
    /// The writer sleeps until it is woken.
    asleep: AtomicBool,
    stopping: AtomicBool,
    /// Lines that could not be written.
    lost: AtomicU64,
}

/// The writer's side, for as long as the process lives.
pub struct AccessLogWriter {
    log: Arc<AccessLog>,
    thread: Thread,
    ended: oneshot::Receiver<()>,
}

#[derive(Default)]
struct Tray {
    batch: Mutex<Batch>,
    dropped: Tally,
}

/// Rows and, one behind the other, their texts.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    text: Vec<u8>,
    /// Who is to be woken.
    writer: Option<Thread>,
}

impl AccessLogWriter {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub fn start(settings: &AccessLogSettings, workers: usize) -> Result<AccessLogWriter, String> {
        let mut sink = Sink::open(settings.file.clone())?;
        let log = Arc::new(AccessLog {
            trays: std::iter::repeat_with(Tray::default).take(workers).collect(),
            asleep: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        let (tell, ended) = oneshot::channel();
        let (shared, format) = (Arc::clone(&log), settings.format);
        let spawned = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            shared.write(&mut sink, format);
            // Nobody waiting for the end is not an error.
            let _ = tell.send(());
        });
        let handle = spawned.map_err(|error| format!("failed to start the access log's thread: {error}"))?;
        let thread = handle.thread().clone();
        for tray in &log.trays {
            tray.batch.lock().writer = Some(thread.clone());
        }
        Ok(AccessLogWriter { log, thread, ended })
    }

    pub fn log(&self) -> Arc<AccessLog> {
        Arc::clone(&self.log)
    }

    /// Writes what waits, for at most so long.
    pub async fn finish(self, patience: Duration) {
        self.log.stopping.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if tokio::time::timeout(patience, self.ended).await.is_err() {
            tracing::warn!("stopped: the access log's last lines could not be written in time");
        }
    }
}

impl AccessLog {
    /// Notes an exchange that is over, on a worker.
    pub fn note(&self, worker: usize, exchange: &Exchange) {
        let tray = &self.trays[worker];
        let mut batch = tray.batch.lock();
        let Batch { rows, text, writer } = &mut *batch;
        if rows.len() >= ROWS || text.len() >= TEXT {
            return tray.dropped.add(1);
        }
        rows.push(Row::of(exchange, text));
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            let writer = writer.clone();
            drop(batch);
            if let Some(writer) = writer {
                writer.unpark();
            }
        }
    }

    /// Lines that were not written: there was no room for them, or the writing failed.
    pub fn dropped(&self) -> u64 {
        let no_room: u64 = self.trays.iter().map(|tray| tray.dropped.get()).sum();
        no_room + self.lost.load(Ordering::Relaxed)
    }

    /// The life of the log's thread.
    fn write(&self, sink: &mut Sink, format: Format) {
        let mut writer = Writer::new(format);
        let (mut batch, mut out) = (Batch::default(), Vec::with_capacity(2 * PIECE));
        loop {
            // Asked before looking, so that nothing noted before the end is missed.
            let stopping = self.stopping.load(Ordering::SeqCst);
            if self.write_waiting(sink, &mut writer, &mut batch, &mut out) > 0 {
                if !stopping {
                    std::thread::park_timeout(REST);
                }
            } else if stopping {
                return;
            } else if self.asleep.swap(true, Ordering::SeqCst) {
                // Nothing has come since this was set.
                std::thread::park();
            }
        }
    }

    /// Writes what waits in all trays. Says how many lines there were.
    fn write_waiting(
        &self,
        sink: &mut Sink,
        writer: &mut Writer,
        batch: &mut Batch,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut count = 0;
        for tray in &self.trays {
            {
                let mut full = tray.batch.lock();
                std::mem::swap(&mut full.rows, &mut batch.rows);
                std::mem::swap(&mut full.text, &mut batch.text);
            }
            let (mut rest, mut lines) = (&batch.text[..], 0);
            for row in &batch.rows {
                rest = writer.line(out, row, rest);
                lines += 1;
                if out.len() >= PIECE {
                    self.write_piece(sink, out, std::mem::take(&mut lines));
                }
            }
            self.write_piece(sink, out, lines);
            count += batch.rows.len();
            batch.rows.clear();
            batch.text.clear();
        }
        count
    }

    fn write_piece(&self, sink: &mut Sink, out: &mut Vec<u8>, lines: u64) {
        if !out.is_empty() && !sink.write(out) {
            self.lost.fetch_add(lines, Ordering::Relaxed);
        }
        out.clear();
    }
}

#[cfg(test)]
mod tests;
