//! Plays a recording: the same events in the same order, with the pauses between them that they had, divided by
//! the speed.

use std::time::Duration;

use admin_api::FeedMessage;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Event, Link, News, Playback};
use crate::recording::Reader;

/// A recording that paused for an hour does not make its viewer wait for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Plays until the end, or until nobody listens any more.
pub async fn run(
    mut recording: Reader,
    events: mpsc::Sender<Event>,
    mut playback: watch::Receiver<Playback>,
) {
    let mut last_ms = None;
    let mut steps_taken = 0;
    let note = loop {
        let event = match recording.next_event() {
            None => break String::new(),
            Some(Err(error)) => break format!("{error:#}"),
            Some(Ok(event)) => event,
        };
        let recorded = event.at_ms.saturating_sub(last_ms.unwrap_or(event.at_ms));
        last_ms = Some(event.at_ms.max(last_ms.unwrap_or(0)));
        wait(Duration::from_millis(recorded), steps_taken, &mut playback).await;
        let is_snapshot = matches!(event.news, News::Message(FeedMessage::Totals(_)));
        if events.send(event).await.is_err() {
            return;
        }
        if is_snapshot {
            steps_taken = playback.borrow().steps;
        }
    };
    let gateways = recording.header().gateways.len();
    for gateway in 0..gateways {
        let news = News::Link(Link::Ended { note: note.clone() });
        let _ = events.send(Event { at_ms: last_ms.unwrap_or(0), gateway, news }).await;
    }
    // Keeps the channel open: the end of a recording is not the end of looking at it.
    events.closed().await;
}

/// Waits for the moment of an event; while paused, for an order to go one snapshot on.
async fn wait(recorded: Duration, steps_taken: u64, playback: &mut watch::Receiver<Playback>) {
    let mut left = recorded.min(LONGEST_PAUSE);
    loop {
        let now = *playback.borrow_and_update();
        if now.paused {
            if now.steps > steps_taken || playback.changed().await.is_err() {
                return;
            }
            continue;
        }
        let started = Instant::now();
        let speed = now.speed.max(0.01);
        tokio::select! {
            () = tokio::time::sleep(left.div_f64(speed)) => return,
            changed = playback.changed() => {
                if changed.is_err() {
                    return;
                }
                left = left.saturating_sub(started.elapsed().mul_f64(speed));
            }
        }
    }
}

/// All events of a recording at once, up to so many milliseconds after its first. Returns why it ended early,
/// if it did.
pub fn read_all(recording: &mut Reader, until_ms: u64, mut each: impl FnMut(Event)) -> Option<String> {
    let mut start = None;
    while let Some(event) = recording.next_event() {
        match event {
            Err(error) => return Some(format!("{error:#}")),
            Ok(event) => {
                if event.at_ms.saturating_sub(*start.get_or_insert(event.at_ms)) > until_ms {
                    return None;
                }
                each(event);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Writer;
    use crate::source::demo::Demo;

    fn recorded(folder: &std::path::Path) -> (Reader, Vec<Event>) {
        let path = folder.join("feed.rec");
        let mut writer = Writer::create(&path, &["demo".to_owned()]).unwrap();
        let events: Vec<Event> = Demo::new(1, 100.0, 1_700_000_000_000).take(60).collect();
        for event in &events {
            writer.event(event).unwrap();
        }
        writer.finish().unwrap();
        (Reader::open(&path).unwrap(), events)
    }

    fn is_snapshot(event: &Event) -> bool {
        matches!(event.news, News::Message(FeedMessage::Totals(_)))
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_pauses_divided_by_the_speed() {
        let folder = tempfile::tempdir().unwrap();
        let (reader, recorded) = recorded(folder.path());
        let (sender, mut events) = mpsc::channel(4);
        let (_orders, playback) = watch::channel(Playback { paused: false, speed: 4.0, steps: 0 });
        tokio::spawn(run(reader, sender, playback));
        let started = Instant::now();
        for expected in &recorded {
            assert_eq!(events.recv().await.as_ref(), Some(expected));
        }
        let took = recorded[recorded.len() - 1].at_ms - recorded[0].at_ms;
        let expected = Duration::from_millis(took).div_f64(4.0);
        assert!(started.elapsed().abs_diff(expected) < Duration::from_millis(100), "{:?}", started.elapsed());
        assert!(
            matches!(events.recv().await.unwrap().news, News::Link(Link::Ended { note }) if note.is_empty())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_goes_to_the_next_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let (reader, _) = recorded(folder.path());
        let (sender, mut events) = mpsc::channel(4);
        let (orders, playback) = watch::channel(Playback { paused: true, speed: 1.0, steps: 0 });
        tokio::spawn(run(reader, sender, playback));
        for steps in 1..=3 {
            assert!(tokio::time::timeout(Duration::from_mins(1), events.recv()).await.is_err(), "paused");
            orders.send_modify(|playback| playback.steps = steps);
            while !is_snapshot(&events.recv().await.unwrap()) {}
        }
    }

    #[test]
    fn reads_up_to_a_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, recorded) = recorded(folder.path());
        let mut count = 0;
        assert_eq!(read_all(&mut reader, 1_000, |_| count += 1), None);
        let within = recorded.iter().filter(|event| event.at_ms <= recorded[0].at_ms + 1_000).count();
        assert_eq!(count, within);
    }
}
