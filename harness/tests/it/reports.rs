//! The same run in all its reports, with the times taken out.

use std::sync::Arc;

use harness::report::run::Run;
use harness::report::terminal::{Look, Terminal};
use harness::report::{Report, html, junit};
use harness::runner::event::{Event, Verdict, What};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::runs::{run, selected};

const GOOD: &str = "
format: scenario/v1
title: What holds
story: |
  Two lines
  of a story.
steps:
- say: The first word
- request: GET /
  say: Ask for <it>
  expect: {status: 200, headers: {x-kong-request-id: {present: true}}}
- within: {window: day, leaving: 0s}
  steps:
  - request: {path: /limited, times: 3}
    expect: {counts: {200: 1, 429: 2}}
";

const BAD: &str = "
format: scenario/v1
title: What does not hold
steps:
- request: GET /
- within: {window: day, leaving: 0s}
  steps:
  - request: GET /bad
    expect: {status: 200, json: {/message: fine}}
- request: GET /never
";

const ELSEWHERE: &str = "
format: scenario/v1
title: What needs a mesh
requires: [mesh]
steps: [{say: x}]
";

/// A run of the three, each event with the same time.
async fn events() -> Vec<Event> {
    let root = std::env::temp_dir();
    let mut all = Vec::new();
    for (name, text) in [("a/good", GOOD), ("b/bad", BAD), ("c/elsewhere", ELSEWHERE)] {
        let tried = run(Arc::default(), vec![selected(name, &root, text)], CancellationToken::new()).await;
        all.extend(tried.recorded.0.lock().clone());
    }
    let planned = all.iter().filter_map(|event| match &event.what {
        What::RunStarted { scenarios, .. } => Some(scenarios.clone()),
        _ => None,
    });
    let scenarios = planned.flatten().collect();
    let began = "2026-01-01T00:00:00Z".to_owned();
    let (run, version, folder) = ("20260101-000000-0000".to_owned(), "0".to_owned(), "target/run".to_owned());
    let first = What::RunStarted { run, version, environment: "fake".to_owned(), began, folder, scenarios };
    let inner = all
        .into_iter()
        .map(|event| event.what)
        .filter(|what| !matches!(what, What::RunStarted { .. } | What::RunFinished { .. }));
    let last = What::RunFinished {
        took_ms: 2_000,
        counts: [("failed".to_owned(), 1)].into(),
        exit_code: 1,
        kept: true,
    };
    let whole = [first].into_iter().chain(inner).chain([last]);
    whole.enumerate().map(|(index, what)| Event { at_ms: 10 * index as u64, what: timeless(what) }).collect()
}

fn timeless(mut what: What) -> What {
    match &mut what {
        What::EnvironmentReady { took_ms, gateway, .. } => {
            *took_ms = 5;
            "127.0.0.1:80".clone_into(gateway);
        }
        What::StepPassed { took_ms, asserted, .. } => {
            *took_ms = 12;
            if asserted.starts_with("waited") {
                "waited 0.0 s for the window".clone_into(asserted);
            }
        }
        What::StepFailed { took_ms, .. } => *took_ms = 12,
        What::ScenarioFinished { took_ms, verdict, .. } => {
            *took_ms = 345;
            if let Verdict::Failed { evidence } = verdict {
                "target/run/b-bad".clone_into(evidence);
            }
        }
        _ => {}
    }
    what
}

fn folded(events: &[Event]) -> Run {
    let mut run = Run::default();
    for event in events {
        run.fold(event);
    }
    run
}

/// What the terminal's report writes, as it would be in a pipe.
fn terminal(events: &[Event], look: Look) -> String {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let mut report = Terminal::new(look, Box::new(kept.clone()));
    for event in events {
        report.event(event).unwrap();
    }
    let bytes = kept.0.lock().clone();
    String::from_utf8(bytes).unwrap()
}

const PLAIN: Look = Look { colour: false, unicode: true, live: false, verbose: false };

#[tokio::test]
async fn reports_of_one_run() {
    let events = events().await;
    insta::assert_snapshot!("terminal", terminal(&events, PLAIN));
    insta::assert_snapshot!(
        "terminal-verbose-ascii",
        terminal(&events, Look { unicode: false, verbose: true, ..PLAIN })
    );
    let run = folded(&events);
    insta::assert_snapshot!("junit", junit::render(&run).unwrap());
    insta::assert_snapshot!("html", html::render(&run).unwrap());
    let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    insta::assert_snapshot!("events", lines.join("\n"));
    let coloured = terminal(&events, Look { colour: true, ..PLAIN });
    assert_ne!(coloured, terminal(&events, PLAIN));
    let escapes = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    assert_eq!(escapes.replace_all(&coloured, ""), terminal(&events, PLAIN), "colour adds only colour");
}

#[tokio::test]
async fn a_recording_gives_the_same_reports_again() {
    let events = events().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.jsonl");
    let mut recorder = harness::report::json::JsonLines::create(&file).unwrap();
    for event in &events {
        recorder.event(event).unwrap();
    }
    let read = harness::report::json::read(&file).unwrap();
    assert_eq!(read, events);
    assert_eq!(html::render(&folded(&read)).unwrap(), html::render(&folded(&events)).unwrap());
}
