//! Runs scenarios and gives back what came of it. Whatever happens goes out as events; whatever was started is
//! stopped before this returns, also when it is told to stop early.

pub mod context;
pub mod dispatcher;
pub mod event;
pub mod executor;
pub mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use self::dispatcher::Events;
use self::event::{Planned, Verdict, What};
use crate::environment::{Provider, Run, Told};
use crate::scenario::{Scenario, Step};
use crate::tools::Tools;

/// Everything passed.
pub const PASSED: u8 = 0;
/// A scenario failed.
pub const FAILED: u8 = 1;
/// The command line or a scenario file makes no sense.
pub const USAGE: u8 = 2;
/// The environment can't be had, or can do nothing of what was asked.
pub const UNAVAILABLE: u8 = 3;
/// The harness itself failed.
pub const INTERNAL: u8 = 4;
/// Stopped by a signal.
pub const INTERRUPTED: u8 = 130;

/// A scenario with its file, from the top of the repository.
#[derive(Debug, Clone)]
pub struct Selected {
    pub scenario: Arc<Scenario>,
    pub file: String,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run's id.
    pub run: String,
    /// Takes everything the run writes.
    pub folder: PathBuf,
    /// The top of the repository.
    pub root: PathBuf,
    /// Tools that are asked instead of the environment's own.
    pub tools: Tools,
    /// Keep the folder even if everything passes.
    pub keep: bool,
}

/// Runs all, side by side as far as the environment allows, and gives the exit code.
pub async fn run(
    provider: Arc<dyn Provider>,
    selected: Vec<Selected>,
    settings: Settings,
    events: Events,
    stop: CancellationToken,
) -> u8 {
    events.tell(What::RunStarted {
        run: settings.run.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: provider.name().to_owned(),
        began: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        folder: settings.folder.display().to_string(),
        scenarios: selected.iter().map(planned).collect(),
    });
    let told = events.clone();
    let watcher = {
        let (stop, events) = (stop.clone(), events.clone());
        tokio::spawn(async move {
            stop.cancelled().await;
            events.tell(What::Interrupted);
        })
    };
    let tell = move |what: Told| {
        told.tell(match what {
            Told::Step(text) => What::Preparing { text },
            Told::Call { line, code, took_ms } => What::Called { line, code, took_ms },
        });
    };
    let run = Run {
        id: settings.run.clone(),
        folder: settings.folder.clone(),
        tell: Arc::new(tell),
        stop: stop.clone(),
        keep: settings.keep,
    };
    let prepared = tokio::select! {
        prepared = provider.prepare(&run) => prepared.map_err(|error| Verdict::Unavailable { why: error.0 }),
        () = stop.cancelled() => Err(Verdict::Interrupted),
    };
    let verdicts: Vec<Verdict> = if let Err(verdict) = prepared {
        for selected in &selected {
            let scenario = selected.scenario.name.clone();
            events.tell(What::ScenarioFinished { scenario, took_ms: 0, verdict: verdict.clone() });
        }
        vec![verdict; selected.len()]
    } else {
        let lanes = provider.side_by_side().max(1);
        let work = selected.into_iter().map(|selected| {
            executor::guarded(Arc::clone(&provider), selected, settings.clone(), events.clone(), stop.clone())
        });
        futures_util::stream::iter(work).buffer_unordered(lanes).collect().await
    };
    for text in provider.finish().await {
        events.tell(What::Left { text });
    }
    if stop.is_cancelled() {
        // So that nobody reads of a summary before the word that led to it.
        let _ = watcher.await;
    } else {
        watcher.abort();
    }
    let exit_code = exit_code(&verdicts, stop.is_cancelled());
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for verdict in &verdicts {
        *counts.entry(verdict.word().to_owned()).or_default() += 1;
    }
    let kept = settings.keep || keeps_folder(exit_code);
    events.tell(What::RunFinished { took_ms: events.elapsed_ms(), counts, exit_code, kept });
    exit_code
}

/// Whether something may be learned from the folder of a run that ended so.
pub fn keeps_folder(exit_code: u8) -> bool {
    exit_code != PASSED && exit_code != INTERRUPTED
}

fn planned(selected: &Selected) -> Planned {
    fn count(steps: &[Step]) -> usize {
        steps.iter().map(|step| 1 + count(step.children())).sum()
    }
    let scenario = &selected.scenario;
    Planned {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        story: scenario.story.clone(),
        file: selected.file.clone(),
        steps: count(&scenario.steps),
    }
}

/// What the run comes to. A failure outweighs an environment that can't be had; that some scenarios are
/// unsupported is no failure as long as something could be shown.
fn exit_code(verdicts: &[Verdict], interrupted: bool) -> u8 {
    let any = |matches: fn(&Verdict) -> bool| verdicts.iter().any(matches);
    let unsupported = |verdict: &Verdict| matches!(verdict, Verdict::Unsupported { .. });
    let nothing_shown = !verdicts.is_empty() && verdicts.iter().all(unsupported);
    if interrupted {
        INTERRUPTED
    } else if any(|verdict| matches!(verdict, Verdict::Broken { .. })) {
        INTERNAL
    } else if any(|verdict| matches!(verdict, Verdict::Failed { .. })) {
        FAILED
    } else if any(|verdict| matches!(verdict, Verdict::Unavailable { .. })) || nothing_shown {
        UNAVAILABLE
    } else {
        PASSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let failed = || Verdict::Failed { evidence: String::new() };
        let unsupported = || Verdict::Unsupported { needs: Vec::new() };
        let unavailable = || Verdict::Unavailable { why: String::new() };
        for (verdicts, code) in [
            (vec![], PASSED),
            (vec![Verdict::Passed, unsupported()], PASSED),
            (vec![unsupported(), unsupported()], UNAVAILABLE),
            (vec![Verdict::Passed, unavailable()], UNAVAILABLE),
            (vec![unavailable(), failed(), Verdict::Passed], FAILED),
            (vec![failed(), Verdict::Broken { why: String::new() }], INTERNAL),
        ] {
            assert_eq!(exit_code(&verdicts, false), code, "{verdicts:?}");
            assert_eq!(exit_code(&verdicts, true), INTERRUPTED);
        }
    }
}
