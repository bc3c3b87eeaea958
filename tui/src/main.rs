//! `tui`: parse, run, exit. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 no gateway answers, 128 and the signal's
//! number when a signal ended it.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tui::Ending;
use tui::args::{Args, Job};
use tui::headless::{self, Unreachable};

fn main() -> ExitCode {
    let job = Args::parse().job();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(perform(job)));
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "tui: {error:#}");
            ExitCode::from(if error.is::<Unreachable>() { 3 } else { 1 })
        }
    }
}

async fn perform(job: Job) -> Result<ExitCode> {
    match job {
        Job::PrintKeys => print(&tui::keys::as_text()),
        Job::Once { source, window, watch, form } => {
            print(&headless::once(&source, window, watch, form).await?);
        }
        Job::Stream { source, window, every, form } => {
            headless::stream(&source, window, every, form, &mut io::stdout()).await?;
        }
        Job::Show(source, options) => {
            let ended = tui::run(source, *options).await?;
            if !ended.parting.is_empty() {
                print(&format!("{}\n", ended.parting));
            }
            if let Ending::Signal(number) = ended.by {
                return Ok(ExitCode::from(128 + number as u8));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to the standard output; that nobody reads it is no failure.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
