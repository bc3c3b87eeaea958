//! The whole of a run as its events tell it, for reports that are written at the end.

use crate::runner::event::{Event, Failure, Planned, Verdict, What};
use crate::scenario::Place;

/// A run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    pub id: String,
    pub version: String,
    pub environment: String,
    pub began: String,
    pub folder: String,
    pub scenarios: Vec<Told>,
    pub took_ms: u64,
    pub exit_code: Option<u8>,
    pub interrupted: bool,
}

/// A scenario and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub planned: Planned,
    pub started_ms: Option<u64>,
    pub took_ms: u64,
    pub gateway: String,
    pub steps: Vec<ToldStep>,
    pub verdict: Option<Verdict>,
}

/// A step and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldStep {
    pub number: String,
    pub title: String,
    pub say: Option<String>,
    pub place: Place,
    pub started_ms: u64,
    pub took_ms: u64,
    /// Nothing while it runs.
    pub result: Option<Result<String, Failure>>,
}

impl Run {
    pub fn fold(&mut self, event: &Event) {
        match &event.what {
            What::RunStarted { run, version, environment, began, folder, scenarios } => {
                self.id.clone_from(run);
                self.version.clone_from(version);
                self.environment.clone_from(environment);
                self.began.clone_from(began);
                self.folder.clone_from(folder);
                self.scenarios = scenarios.iter().map(Told::new).collect();
            }
            What::Preparing { .. } | What::Called { .. } | What::Left { .. } | What::StepWaits { .. } => {}
            What::ScenarioStarted { scenario } => {
                self.with(scenario, |told| told.started_ms = Some(event.at_ms));
            }
            What::EnvironmentReady { scenario, gateway, .. } => {
                self.with(scenario, |told| told.gateway.clone_from(gateway));
            }
            What::StepStarted { scenario, step, title, say, place } => self.with(scenario, |told| {
                // A step that is repeated counts once: the last time.
                told.steps.retain(|told| told.number != *step);
                told.steps.push(ToldStep {
                    number: step.clone(),
                    title: title.clone(),
                    say: say.clone(),
                    place: *place,
                    started_ms: event.at_ms,
                    took_ms: 0,
                    result: None,
                });
            }),
            What::StepPassed { scenario, step, took_ms, asserted } => {
                self.end_step(scenario, step, *took_ms, Ok(asserted.clone()));
            }
            What::StepFailed { scenario, step, took_ms, failure } => {
                self.end_step(scenario, step, *took_ms, Err(failure.clone()));
            }
            What::ScenarioFinished { scenario, took_ms, verdict } => self.with(scenario, |told| {
                told.took_ms = *took_ms;
                told.verdict = Some(verdict.clone());
            }),
            What::Interrupted => self.interrupted = true,
            What::RunFinished { took_ms, exit_code, .. } => {
                self.took_ms = *took_ms;
                self.exit_code = Some(*exit_code);
            }
        }
    }

    fn with(&mut self, scenario: &str, change: impl FnOnce(&mut Told)) {
        if let Some(told) = self.scenarios.iter_mut().find(|told| told.planned.name == scenario) {
            change(told);
        }
    }

    fn end_step(&mut self, scenario: &str, number: &str, took_ms: u64, result: Result<String, Failure>) {
        self.with(scenario, |told| {
            if let Some(step) = told.steps.iter_mut().rev().find(|step| step.number == number) {
                step.took_ms = took_ms;
                step.result = Some(result);
            }
        });
    }

    /// How many scenarios ended in each way, in a fixed order; ways that none ended in are left out.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        ["passed", "failed", "unsupported", "unavailable", "broken", "interrupted"]
            .into_iter()
            .map(|word| (word, self.scenarios.iter().filter(|told| told.word() == word).count()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl Told {
    fn new(planned: &Planned) -> Told {
        Told {
            planned: planned.clone(),
            started_ms: None,
            took_ms: 0,
            gateway: String::new(),
            steps: Vec::new(),
            verdict: None,
        }
    }

    /// How it ended, in one word.
    pub fn word(&self) -> &'static str {
        self.verdict.as_ref().map_or("interrupted", Verdict::word)
    }

    /// The step that failed, if one did: the innermost, and what the steps around it add.
    pub fn failed(&self) -> Option<(&ToldStep, Failure)> {
        let failed = self.steps.iter().filter_map(|step| match &step.result {
            Some(Err(failure)) => Some((step, failure)),
            _ => None,
        });
        let (innermost, failure) = failed.clone().max_by_key(|(step, _)| step.number.matches('.').count())?;
        let mut failure = failure.clone();
        // What is around a step fails for its reason, and has its hints too.
        for hint in failed.flat_map(|(_, around)| &around.hints) {
            if !failure.hints.contains(hint) {
                failure.hints.push(hint.clone());
            }
        }
        Some((innermost, failure))
    }
}
