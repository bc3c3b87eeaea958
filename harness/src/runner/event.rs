//! Everything that can happen in a run, as one ordered stream. Reports are folds over it, and a recorded stream
//! gives the same reports again. A change here is a change of the recording's format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expect::Miss;
use crate::scenario::Place;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    #[serde(flatten)]
    pub what: What,
}

/// What happened. `scenario` is a scenario's name, `step` a step's number, `3.1` for one inside of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    RunStarted {
        run: String,
        version: String,
        environment: String,
        /// RFC 3339, UTC.
        began: String,
        /// The folder of the run.
        folder: String,
        scenarios: Vec<Planned>,
    },
    /// Something is done before scenarios can start, or after the last.
    Preparing {
        text: String,
    },
    /// Another program was called.
    Called {
        line: String,
        /// Nothing when it was ended.
        code: Option<i32>,
        took_ms: u64,
    },
    ScenarioStarted {
        scenario: String,
    },
    /// The scenario's environment is there.
    EnvironmentReady {
        scenario: String,
        took_ms: u64,
        gateway: String,
    },
    StepStarted {
        scenario: String,
        step: String,
        title: String,
        say: Option<String>,
        place: Place,
    },
    /// A step takes long; this is what it waits for.
    StepWaits {
        scenario: String,
        step: String,
        text: String,
    },
    StepPassed {
        scenario: String,
        step: String,
        took_ms: u64,
        /// What was asserted and held, if anything was.
        asserted: String,
    },
    StepFailed {
        scenario: String,
        step: String,
        took_ms: u64,
        failure: Failure,
    },
    ScenarioFinished {
        scenario: String,
        took_ms: u64,
        verdict: Verdict,
    },
    /// Something was left behind, and how to remove it.
    Left {
        text: String,
    },
    /// Somebody wants the run to stop.
    Interrupted,
    RunFinished {
        took_ms: u64,
        counts: BTreeMap<String, u64>,
        exit_code: u8,
        kept: bool,
    },
}

/// A scenario that will be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub name: String,
    pub title: String,
    pub story: String,
    /// Its file, from the top of the repository.
    pub file: String,
    /// How many steps it has, with those inside of others.
    pub steps: usize,
}

/// Why a step failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// In one line: what went wrong.
    pub message: String,
    /// What was expected and what came, for each expectation that was not met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misses: Vec<Miss>,
    /// Attempts that were made, and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<Tries>,
    /// What may explain it: problems the gateway reports, states of pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    pub count: u32,
    pub waited_ms: u64,
}

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed {
        /// The folder with what may explain it.
        evidence: String,
    },
    /// The environment can't do what it needs.
    Unsupported {
        needs: Vec<String>,
    },
    /// The environment could not be had.
    Unavailable {
        why: String,
    },
    /// The harness itself failed.
    Broken {
        why: String,
    },
    /// It was under way, or waiting, when the run was stopped.
    Interrupted,
}

impl Verdict {
    /// The word in summaries.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed { .. } => "failed",
            Verdict::Unsupported { .. } => "unsupported",
            Verdict::Unavailable { .. } => "unavailable",
            Verdict::Broken { .. } => "broken",
            Verdict::Interrupted => "interrupted",
        }
    }
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), ..Failure::default() }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::new(message)
    }
}
