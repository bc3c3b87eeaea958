//! `JUnit` XML: a suite is a scenario, a case is a step, so that CI shows where it broke.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::failure_text::lines;
use super::run::{Run, Told, ToldStep};
use crate::runner::event::{Failure, Verdict};
use crate::scenario::ability::lacking;

/// The whole run as `JUnit` XML.
pub fn render(run: &Run) -> Result<String, String> {
    let mut report = Report::new("scenarios");
    report.set_time(Duration::from_millis(run.took_ms));
    report.add_test_suites(run.scenarios.iter().map(suite));
    report.to_string().map_err(|error| format!("failed to write the JUnit report: {error}"))
}

fn suite(told: &Told) -> TestSuite {
    let mut suite = TestSuite::new(told.planned.name.as_str());
    suite.set_time(Duration::from_millis(told.took_ms));
    suite.add_property(("title", told.planned.title.as_str()));
    suite.add_property(("file", told.planned.file.as_str()));
    for step in &told.steps {
        suite.add_test_case(case(told, step));
    }
    // What ended outside of any step is a case of its own, so that nobody overlooks it.
    let whole = match &told.verdict {
        Some(Verdict::Passed | Verdict::Failed { .. }) => None,
        Some(Verdict::Unsupported { needs }) => Some((None, lacking(needs).join("; "))),
        Some(Verdict::Unavailable { why }) => {
            Some((Some("unavailable"), format!("the environment is not available: {why}")))
        }
        Some(Verdict::Broken { why }) => Some((Some("broken"), why.clone())),
        Some(Verdict::Interrupted) | None => {
            Some((Some("interrupted"), "the run was interrupted".to_owned()))
        }
    };
    if let Some((kind, message)) = whole {
        let mut status = match kind {
            Some(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
            None => TestCaseStatus::skipped(),
        };
        status.set_message(message).set_type(kind.unwrap_or("unsupported"));
        suite.add_test_case(TestCase::new(told.planned.title.as_str(), status));
    }
    suite
}

fn case(told: &Told, step: &ToldStep) -> TestCase {
    let status = match &step.result {
        Some(Ok(_)) => TestCaseStatus::success(),
        Some(Err(failure)) => failed(told, step, failure),
        None => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("it had not ended when the run did").set_type("interrupted");
            status
        }
    };
    let mut case = TestCase::new(format!("{} {}", step.number, step.title), status);
    case.set_classname(told.planned.name.as_str());
    case.set_time(Duration::from_millis(step.took_ms));
    if let Some(Ok(asserted)) = &step.result
        && !asserted.is_empty()
    {
        case.set_system_out(asserted.as_str());
    }
    case
}

fn failed(told: &Told, step: &ToldStep, failure: &Failure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let mut text = vec![format!("{}:{}:{}", told.planned.file, step.place.line, step.place.column)];
    text.extend(lines(failure));
    if let Some(Verdict::Failed { evidence }) = &told.verdict {
        text.push(format!("evidence: {evidence}"));
    }
    status.set_message(failure.message.as_str()).set_type("expectation").set_description(text.join("\n"));
    status
}
