//! The loop: keys, events, signals and time in; frames out. It has a thread and a small runtime of its own, so a terminal
//! that does not take its bytes (Ctrl-S, a slow line) holds up nobody else in the process.
//!
//! It draws when something changed and not more often than the refresh allows; a key is answered at once. With nothing
//! to say it sleeps.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures_util::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::app::{App, Effect, Origin, Setup};
use crate::frames::Frames;
use crate::pace::Pace;
use crate::recording::Writer;
use crate::source::{Event, Feed, Source, now_ms};
use crate::terminal::{self, Guard};
use crate::theme::{Theme, ThemeName};
use crate::{Ended, Ending, Options, format, panes};

/// Events taken in before the next frame is considered.
const BATCH: usize = 512;
/// A stop that does not happen (no shell to return to) is waited for no longer.
const STOP: Duration = Duration::from_millis(500);

/// Shows the dashboard until it is ended. Dropping the future ends it, too, with the terminal restored.
pub async fn run(source: Source, options: Options) -> Result<Ended> {
    terminal::check()?;
    let (stop, stopped) = oneshot::channel();
    let (done, ended) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("dashboard".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ended = match runtime {
                Ok(runtime) => runtime.block_on(show(&source, &options, stopped)),
                Err(cause) => Err(cause).context("failed to start the dashboard's runtime"),
            };
            let _ = done.send(ended);
        })
        .context("failed to start the dashboard's thread")?;
    let _stop_on_drop = Thread { stop: Some(stop), thread: Some(thread) };
    match ended.await {
        Ok(ended) => ended,
        Err(_) => Err(anyhow!("failed to go on: the dashboard panicked; the message is above")),
    }
}

/// Ends the thread and waits for it: the terminal is restored when this is gone.
struct Thread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The signals that matter.
struct Signals {
    interrupt: Arrivals,
    terminate: Arrivals,
    hangup: Arrivals,
    proceed: Arrivals,
}

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            proceed: listen(SignalKind::from_raw(Signal::SIGCONT as i32))?,
        })
    }

    /// The next one; `None` for going on after a stop.
    async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            _ = self.interrupt.recv() => Some(Signal::SIGINT),
            _ = self.terminate.recv() => Some(Signal::SIGTERM),
            _ = self.hangup.recv() => Some(Signal::SIGHUP),
            _ = self.proceed.recv() => None,
        }
    }
}

struct Dashboard {
    app: App,
    feed: Feed,
    guard: Guard,
    frames: Frames,
    signals: Signals,
    recorder: Option<Writer>,
    pace: Pace,
    /// What to print when the terminal is restored.
    parting: Vec<String>,
}

async fn show(source: &Source, options: &Options, mut stop: oneshot::Receiver<()>) -> Result<Ended> {
    let feed = source.open()?;
    let signals = Signals::new()?;
    let recorder = options.record.as_deref().map(|path| Writer::create(path, &feed.addresses)).transpose()?;
    let mut app = App::new(setup(source, options, &feed));
    if let Some(filter) = &options.filter {
        app.filter_by(options.screen, filter)
            .map_err(|mistake| anyhow!("failed to read the filter {filter:?}: {}", mistake.message))?;
    }
    let mut dashboard = Dashboard {
        app,
        feed,
        guard: Guard::enter()?,
        frames: Frames::new(),
        signals,
        recorder,
        pace: Pace::new(options.refresh, Instant::now()),
        parting: Vec::new(),
    };
    let ending = dashboard.go(&mut stop).await;
    dashboard.close(ending)
}

fn setup(source: &Source, options: &Options, feed: &Feed) -> Setup {
    let (origin, speed) = match source {
        Source::Admin(_) => (Origin::Live, 1.0),
        Source::Demo { .. } => (Origin::Demo, 1.0),
        Source::Replay { speed, .. } => (Origin::Replay, *speed),
    };
    let theme = if options.no_color { ThemeName::Mono } else { options.theme };
    Setup {
        addresses: feed.addresses.clone(),
        origin,
        theme: Theme::new(theme, options.ascii),
        zone: jiff::tz::TimeZone::system(),
        size: terminal::size(),
        screen: options.screen,
        window: options.window,
        speed,
        now_ms: now_ms(),
    }
}

impl Dashboard {
    async fn go(&mut self, stop: &mut oneshot::Receiver<()>) -> Result<Ending> {
        let mut keys = EventStream::new();
        let mut second = Instant::now() + Duration::from_secs(1);
        loop {
            let wake = self.pace.due().map_or(second, |due| due.min(second));
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    Some(signal) => return Ok(Ending::Signal(signal as i32)),
                    None => self.come_back()?,
                },
                input = keys.next() => {
                    let Some(Ok(input)) = input else { return Ok(Ending::TerminalGone) };
                    if let Some(ending) = self.input(input).await? {
                        return Ok(ending);
                    }
                }
                event = self.feed.events.recv() => {
                    let Some(event) = event else { bail!("failed to go on: the source ended") };
                    self.take_in(&event);
                }
                () = sleep_until(wake) => {}
                _ = &mut *stop => return Ok(Ending::Stopped),
            }
            if terminal::has_panicked() {
                bail!("failed to go on: a part of the program panicked; the message is above");
            }
            let now = Instant::now();
            if now >= second {
                second = now + Duration::from_secs(1);
            }
            self.app.tick(now_ms());
            if self.app.take_dirty() {
                self.pace.numbers();
            }
            if self.pace.take(now) && !self.draw()? {
                return Ok(Ending::TerminalGone);
            }
        }
    }

    /// Draws a frame. Returns whether the terminal still takes it.
    fn draw(&mut self) -> Result<bool> {
        self.app.refresh();
        let mut buffer = Buffer::empty(Rect::from((ratatui::layout::Position::ORIGIN, self.app.size)));
        let area = buffer.area;
        let cursor = panes::draw(&self.app, area, &mut buffer);
        let bytes = self.frames.bytes(buffer, cursor).context("failed to draw")?;
        Ok(bytes.is_empty() || terminal::frame(bytes).is_ok())
    }

    /// Takes in an event and those that wait behind it.
    fn take_in(&mut self, event: &Event) {
        self.fold(event);
        for _ in 1..BATCH {
            let Ok(event) = self.feed.events.try_recv() else { break };
            self.fold(&event);
        }
    }

    fn fold(&mut self, event: &Event) {
        self.app.feed(event);
        if let Some(recorder) = &mut self.recorder {
            let written = recorder.event(event);
            if let Some((_, bytes)) = &mut self.app.recording {
                *bytes = recorder.bytes();
            } else {
                self.app.recording = Some((String::new(), recorder.bytes()));
            }
            if let Err(error) = written {
                self.app.say(format!("recording ended: {error:#}"));
                self.parting.push(format!("recording ended: {error:#}"));
                self.recorder = None;
                self.app.recording = None;
            }
        }
    }

    async fn input(&mut self, input: Input) -> Result<Option<Ending>> {
        let effect = match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => self.app.key(key),
            Input::Mouse(event) => {
                self.app.mouse(event);
                None
            }
            Input::Paste(text) => {
                self.app.paste(&text);
                None
            }
            Input::Resize(..) => {
                self.app.resize(terminal::size());
                None
            }
            _ => return Ok(None),
        };
        let ending = match effect {
            Some(effect) => self.perform(effect).await?,
            None => None,
        };
        if self.app.take_dirty() {
            self.pace.key();
        }
        Ok(ending)
    }

    async fn perform(&mut self, effect: Effect) -> Result<Option<Ending>> {
        match effect {
            Effect::Quit { keep } => {
                if keep {
                    self.parting.push(self.frames.text());
                }
                return Ok(Some(Ending::Quit));
            }
            Effect::Suspend => self.suspend().await?,
            Effect::Redraw => self.frames.forget(),
            Effect::Copy(text) => {
                if terminal::copy(&text).is_ok() {
                    self.app.say(format!("copied: {text}"));
                }
            }
            Effect::SaveScreen => self.save_screen(),
            Effect::Record => self.record(),
            Effect::Mouse(on) => {
                let _ = self.guard.mouse(on);
            }
            Effect::Playback(playback) => {
                self.feed.playback.send_replace(playback);
            }
        }
        Ok(None)
    }

    /// Stops the whole job as Ctrl-Z does, with the terminal as the shell knows it.
    async fn suspend(&mut self) -> Result<()> {
        self.guard.pause();
        // To the group, since whoever started us (cargo, the harness) has to stop as well.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
        let _ = timeout(STOP, self.signals.proceed.recv()).await;
        self.come_back()
    }

    fn come_back(&mut self) -> Result<()> {
        self.guard.resume()?;
        if self.app.has_mouse {
            let _ = self.guard.mouse(true);
        }
        self.frames.forget();
        self.app.resize(terminal::size());
        self.pace.now(Instant::now());
        Ok(())
    }

    fn save_screen(&mut self) {
        let path = file_name("screen", "txt");
        let written = std::fs::File::create_new(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, self.frames.text().as_bytes()));
        self.app.say(match written {
            Ok(()) => format!("this screen is in {}", path.display()),
            Err(cause) => format!("failed to write {}: {cause}", path.display()),
        });
    }

    fn record(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            self.app.recording = None;
            let message = recorded(recorder);
            self.app.say(message);
            return;
        }
        let path = file_name("feed", "rec");
        match self.begin_recording(&path) {
            Ok(writer) => {
                self.app.recording = Some((path.display().to_string(), writer.bytes()));
                self.recorder = Some(writer);
                self.app.say(format!("recording to {}; W ends it", path.display()));
            }
            Err(error) => self.app.say(format!("{error:#}")),
        }
    }

    fn begin_recording(&self, path: &Path) -> Result<Writer> {
        let mut writer = Writer::create(path, &self.feed.addresses)?;
        for event in self.app.live_data().introduction(self.app.now_ms) {
            writer.event(&event)?;
        }
        Ok(writer)
    }

    /// Restores the terminal and says what is to be printed.
    fn close(mut self, ending: Result<Ending>) -> Result<Ended> {
        drop(self.guard);
        if let Some(recorder) = self.recorder.take() {
            self.parting.push(recorded(recorder));
        }
        Ok(Ended { by: ending?, parting: self.parting.join("\n") })
    }
}

fn recorded(writer: Writer) -> String {
    match writer.finish() {
        Ok((path, bytes)) => format!(
            "recorded {} to {}; play it with --replay {}",
            format::bytes(bytes as f64),
            path.display(),
            path.display()
        ),
        Err(error) => format!("{error:#}"),
    }
}

/// A name in the current folder that says what it is and when it was made.
fn file_name(what: &str, ending: &str) -> PathBuf {
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    PathBuf::from(format!("limen-{what}-{time}.{ending}"))
}
