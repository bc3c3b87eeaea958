//! What a person sees: live progress where there is a terminal, and for every scenario what was asserted, when
//! it is over. Complete and readable without colour, without a terminal, and with ASCII only.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Report;
use super::failure_text::lines;
use super::run::{Run, Told, ToldStep};
use crate::runner::event::{Event, Verdict, What};
use crate::scenario::ability::lacking;

/// How it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub colour: bool,
    /// Characters other than ASCII.
    pub unicode: bool,
    /// Lines that are redrawn while something runs.
    pub live: bool,
    /// Stories and narration too.
    pub verbose: bool,
}

impl Look {
    /// As the environment asks for it.
    pub fn of_environment(verbose: bool) -> Look {
        let options = tui::Options::of_environment();
        let terminal = io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        Look { colour: terminal && !options.no_color, unicode: !options.ascii, live: terminal, verbose }
    }
}

/// The report on the standard output.
pub struct Terminal {
    look: Look,
    run: Run,
    out: Box<dyn Write + Send>,
    progress: MultiProgress,
    bars: IndexMap<String, ProgressBar>,
}

impl Terminal {
    pub fn new(look: Look, out: Box<dyn Write + Send>) -> Terminal {
        let target = if look.live { ProgressDrawTarget::stdout() } else { ProgressDrawTarget::hidden() };
        let progress = MultiProgress::with_draw_target(target);
        Terminal { look, run: Run::default(), out, progress, bars: IndexMap::new() }
    }

    /// That nobody reads the standard output is no failure of the run.
    fn print(&mut self, text: &str) {
        let Terminal { progress, out, .. } = self;
        progress.suspend(|| {
            let _ = out.write_all(text.as_bytes());
            let _ = out.flush();
        });
    }

    fn bar(&mut self, scenario: &str, message: String) {
        if !self.look.live {
            return;
        }
        let progress = &self.progress;
        let bar = self.bars.entry(scenario.to_owned()).or_insert_with(|| {
            let bar = progress.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix}  {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{scenario:24}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        bar.set_message(message);
    }

    fn finish_bar(&mut self, scenario: &str) {
        if let Some(bar) = self.bars.shift_remove(scenario) {
            bar.finish_and_clear();
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.look.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn marked(&self, word: &str, text: &str) -> String {
        let colour = match word {
            "passed" => "32",
            "unsupported" | "interrupted" => "33",
            _ => "31;1",
        };
        self.painted(colour, text)
    }

    fn mark(&self, step: &ToldStep) -> String {
        let (word, unicode, ascii) = match &step.result {
            Some(Ok(_)) => ("passed", "✓", "ok"),
            Some(Err(_)) => ("failed", "✗", "FAILED"),
            None => ("interrupted", "…", "not ended"),
        };
        self.marked(word, if self.look.unicode { unicode } else { ascii })
    }

    fn plain(&self, text: &str) -> String {
        if self.look.unicode {
            return text.to_owned();
        }
        text.replace('→', "->").replace('×', "x").replace('…', "...")
    }

    fn scenario(&self, told: &Told) -> String {
        let word = told.word();
        let seconds = told.took_ms as f64 / 1_000.0;
        let mut text = format!(
            "{} {:28} {:>6.1} s  {}\n",
            self.marked(word, &format!("{word:11}")),
            told.planned.name,
            seconds,
            told.planned.title
        );
        if self.look.verbose {
            told.planned.story.lines().for_each(|line| {
                let _ = writeln!(text, "    | {line}");
            });
        }
        for step in &told.steps {
            let indent = " ".repeat(4 + 2 * step.number.matches('.').count());
            if let Some(say) = step.say.as_ref().filter(|say| self.look.verbose && **say != step.title) {
                say.lines().for_each(|line| {
                    let _ = writeln!(text, "{indent}| {line}");
                });
            }
            let asserted = match &step.result {
                Some(Ok(asserted)) if !asserted.is_empty() => self.painted("2", &format!("  [{asserted}]")),
                _ => String::new(),
            };
            let _ = writeln!(text, "{indent}{} {} {}{asserted}", self.mark(step), step.number, step.title);
        }
        text.push_str(&self.ending(told));
        self.plain(&text)
    }

    /// What went wrong, where, and where to look.
    fn ending(&self, told: &Told) -> String {
        let mut text = String::new();
        if let Some((step, failure)) = told.failed() {
            let place = step.place;
            let at = format!("{}:{}:{}", told.planned.file, place.line, place.column);
            let _ = writeln!(text, "    {} {}", self.marked("failed", "failed:"), failure.message);
            let _ = writeln!(text, "          at: step {}, {at}", step.number);
            for line in lines(&failure) {
                let _ = writeln!(text, "    {line}");
            }
        }
        match &told.verdict {
            Some(Verdict::Failed { evidence }) => {
                let _ = writeln!(text, "    evidence: {evidence}");
            }
            Some(Verdict::Unsupported { needs }) => {
                for line in lacking(needs) {
                    let _ = writeln!(text, "    {line}");
                }
            }
            Some(Verdict::Unavailable { why } | Verdict::Broken { why }) => {
                why.lines().for_each(|line| {
                    let _ = writeln!(text, "    {line}");
                });
            }
            Some(Verdict::Passed | Verdict::Interrupted) | None => {}
        }
        text
    }

    fn summary(&self, took_ms: u64, kept: bool) -> String {
        let counts: Vec<String> = self
            .run
            .counts()
            .into_iter()
            .map(|(word, count)| self.marked(word, &format!("{count} {word}")))
            .collect();
        let steps: usize = self.run.scenarios.iter().map(|told| told.steps.len()).sum();
        let seconds = took_ms as f64 / 1_000.0;
        let mut text = format!(
            "\n{} of {} scenarios, {steps} steps, in {seconds:.1} s\n",
            counts.join(", "),
            self.run.scenarios.len()
        );
        if kept {
            let _ = writeln!(text, "the run is kept in {}", self.run.folder);
        }
        text
    }
}

impl Report for Terminal {
    fn event(&mut self, event: &Event) -> Result<(), String> {
        self.run.fold(event);
        match &event.what {
            What::RunStarted { run, environment, scenarios, .. } => {
                let count = scenarios.len();
                self.print(&format!("{count} scenarios in the environment {environment}, run {run}\n"));
            }
            What::Preparing { text } => self.print(&format!("  {text}\n")),
            What::Called { line, code, took_ms } if self.look.verbose => {
                let ended = code.map_or("ended".to_owned(), |code| format!("exit code {code}"));
                self.print(&format!("  $ {line}  [{ended}, {:.1} s]\n", *took_ms as f64 / 1_000.0));
            }
            What::Called { .. } => {}
            What::Left { text } => {
                let text = format!("{} {text}\n", self.marked("failed", "left behind:"));
                self.print(&text);
            }
            What::ScenarioStarted { scenario } => self.bar(scenario, "starting the environment".to_owned()),
            What::EnvironmentReady { .. } | What::StepPassed { .. } | What::StepFailed { .. } => {}
            What::StepStarted { scenario, step, title, .. } => self.bar(scenario, format!("{step} {title}")),
            What::StepWaits { scenario, step, text } => {
                if self.look.live {
                    self.bar(scenario, format!("{step} {text}"));
                } else {
                    self.print(&format!("  {scenario}, step {step}: {text}\n"));
                }
            }
            What::ScenarioFinished { scenario, .. } => {
                self.finish_bar(scenario);
                let told = self.run.scenarios.iter().find(|told| told.planned.name == *scenario);
                let text = told.map(|told| self.scenario(told)).unwrap_or_default();
                self.print(&text);
            }
            What::Interrupted => self.print("interrupted: stopping everything; once more to stop at once\n"),
            What::RunFinished { took_ms, kept, .. } => {
                let text = self.summary(*took_ms, *kept);
                self.print(&text);
            }
        }
        Ok(())
    }
}
