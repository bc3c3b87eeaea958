//! One self-contained page: what was asserted, how long it took, and of a failure everything one needs to
//! understand it.

use minijinja::{AutoEscape, Environment, Value, context};

use super::failure_text::lines;
use super::run::{Run, Told, ToldStep};
use crate::runner::event::{Failure, Verdict};
use crate::scenario::ability::lacking;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");

/// The whole run as a page.
pub fn render(run: &Run) -> Result<String, String> {
    let failed = |error: minijinja::Error| format!("failed to write the HTML report: {error:#}");
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", PAGE).map_err(failed)?;
    let page = environment.get_template("page").map_err(failed)?;
    let counts: Vec<Value> =
        run.counts().into_iter().map(|(word, count)| context! { word => word, count => count }).collect();
    let steps: usize = run.scenarios.iter().map(|told| told.steps.len()).sum();
    page.render(context! {
        style => STYLE,
        id => run.id.as_str(),
        version => run.version.as_str(),
        environment => run.environment.as_str(),
        began => run.began.as_str(),
        took => seconds(run.took_ms),
        interrupted => run.interrupted,
        exit_code => run.exit_code,
        counts => counts,
        steps => steps,
        length => run.took_ms.max(1),
        scenarios => run.scenarios.iter().map(|told| scenario(told, run)).collect::<Vec<_>>(),
    })
    .map_err(failed)
}

fn scenario(told: &Told, run: &Run) -> Value {
    let note = match &told.verdict {
        Some(Verdict::Unsupported { needs }) => lacking(needs).join("; "),
        Some(Verdict::Unavailable { why } | Verdict::Broken { why }) => why.clone(),
        Some(Verdict::Failed { evidence }) => format!("evidence: {evidence}"),
        Some(Verdict::Interrupted) | None => "the run was interrupted".to_owned(),
        Some(Verdict::Passed) => String::new(),
    };
    let percent = |ms: u64| 100.0 * ms as f64 / run.took_ms.max(1) as f64;
    context! {
        name => told.planned.name.as_str(),
        title => told.planned.title.as_str(),
        file => told.planned.file.as_str(),
        story => paragraphs(&told.planned.story),
        word => told.word(),
        took => seconds(told.took_ms),
        gateway => told.gateway.as_str(),
        note => note,
        left => percent(told.started_ms.unwrap_or(0)),
        width => percent(told.took_ms).max(0.4),
        open => told.word() != "passed",
        steps => told.steps.iter().map(step).collect::<Vec<_>>(),
    }
}

/// Lines that belong together are one paragraph, wherever they were broken.
fn paragraphs(text: &str) -> Vec<String> {
    let paragraphs = text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect()
}

fn step(step: &ToldStep) -> Value {
    let (word, asserted, failure) = match &step.result {
        Some(Ok(asserted)) => ("passed", asserted.clone(), None),
        Some(Err(failure)) => ("failed", String::new(), Some(told_failure(failure))),
        None => ("interrupted", String::new(), None),
    };
    context! {
        number => step.number.as_str(),
        depth => step.number.matches('.').count(),
        title => step.title.as_str(),
        say => step.say.as_ref().filter(|say| **say != step.title),
        line => step.place.line,
        took => seconds(step.took_ms),
        word => word,
        asserted => asserted,
        failure => failure,
    }
}

fn told_failure(failure: &Failure) -> Value {
    context! { message => failure.message.as_str(), lines => lines(failure) }
}

fn seconds(ms: u64) -> String {
    format!("{:.2} s", ms as f64 / 1_000.0)
}
