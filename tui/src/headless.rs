//! The picture without a screen: once, or again and again, as text or as JSON.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep_until};

use crate::data::Data;
use crate::picture::Picture;
use crate::recording::Reader;
use crate::source::{Event, Feed, Link, News, Source, replay};
use crate::summary;
use crate::window::Window;

/// How long the first snapshot may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Nobody answers: told apart because scripts ask for it by exit code.
#[derive(Debug)]
pub struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// Watches for so long and writes one picture; a recording is read to its end, or so far, at once.
pub async fn once(source: &Source, window: Window, watch: Option<Duration>, form: Form) -> Result<String> {
    if let Source::Replay { file, .. } = source {
        let mut recording = Reader::open(file)?;
        let mut data = Data::new(&recording.header().gateways.clone());
        let until_ms = watch.map_or(u64::MAX, |watch| watch.as_millis() as u64);
        let note = replay::read_all(&mut recording, until_ms, |event| {
            data.fold(&event);
        });
        let link = Link::Ended { note: note.unwrap_or_default() };
        for gateway in 0..data.gateways.len() {
            data.fold(&Event { at_ms: 0, gateway, news: News::Link(link.clone()) });
        }
        return Ok(written(&data, window, form));
    }
    let watch = watch.unwrap_or(Duration::from_secs(3));
    let mut feed = source.open()?;
    let mut data = Data::new(&feed.addresses);
    // The first snapshot is what the counts begin from; waiting for it is not watching.
    let first = Instant::now() + watch.max(PATIENCE);
    listen(&mut feed, &mut data, first, |data| data.gateways.iter().all(|gateway| gateway.latest.is_some()))
        .await;
    if !data.has_picture() {
        return Err(unreachable_error(&data));
    }
    listen(&mut feed, &mut data, Instant::now() + watch, |_| false).await;
    Ok(written(&data, window, form))
}

/// Folds events until a moment, or until enough is known.
async fn listen(feed: &mut Feed, data: &mut Data, until: Instant, enough: impl Fn(&Data) -> bool) {
    while !enough(data) {
        tokio::select! {
            () = sleep_until(until) => return,
            event = feed.events.recv() => match event {
                Some(event) => {
                    data.fold(&event);
                }
                None => return,
            },
        }
    }
}

fn unreachable_error(data: &Data) -> anyhow::Error {
    let cause = data.gateways.iter().find_map(|gateway| match &gateway.link {
        Link::Lost { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    let cause = cause.unwrap_or_else(|| "failed to hear from any gateway; is one running?".to_owned());
    anyhow!(Unreachable(cause))
}

fn written(data: &Data, window: Window, form: Form) -> String {
    let picture = Picture::of(data, window);
    match form {
        Form::Text => summary::text(data, &picture),
        Form::Json => format!("{}\n", summary::value(data, &picture)),
    }
}

/// Writes a picture to `out` again and again, until the source ends or nobody reads any more.
pub async fn stream(
    source: &Source,
    window: Window,
    every: Duration,
    form: Form,
    out: &mut impl Write,
) -> Result<()> {
    let mut feed = source.open()?;
    let mut data = Data::new(&feed.addresses);
    let mut told = String::new();
    loop {
        listen(&mut feed, &mut data, Instant::now() + every, ended).await;
        let text = match form {
            Form::Text if !data.has_picture() => tell(&data, &mut told),
            _ => written(&data, window, form),
        };
        let separator = if form == Form::Text && !text.is_empty() { "\n" } else { "" };
        match out.write_all(format!("{text}{separator}").as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(cause) if is_closed(&cause) => return Ok(()),
            Err(cause) => return Err(anyhow!("failed to write the output: {cause}")),
        }
        if ended(&data) {
            return Ok(());
        }
    }
}

/// Why there is no picture yet, each cause once.
fn tell(data: &Data, told: &mut String) -> String {
    let cause = unreachable_error(data).to_string();
    if cause == *told {
        return String::new();
    }
    told.clone_from(&cause);
    cause
}

fn ended(data: &Data) -> bool {
    data.gateways.iter().any(|gateway| matches!(gateway.link, Link::Ended { .. }))
}

fn is_closed(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::BrokenPipe)
}
