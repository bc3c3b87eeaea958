//! Makes any report from a recorded run.

use super::Failed;
use crate::cli::ReportArgs;
use crate::report::terminal::{Look, Terminal};
use crate::report::{Report, json};
use crate::runner::PASSED;

pub(super) fn report(args: &ReportArgs) -> Result<u8, Failed> {
    let events = json::read(&args.recording).map_err(Failed::usage)?;
    let mut reports: Vec<Box<dyn Report>> = Vec::new();
    for wanted in &args.report {
        if wanted.file == args.recording {
            return Err(Failed::usage("the report would overwrite its recording; choose another file"));
        }
        reports.push(wanted.open().map_err(Failed::usage)?);
    }
    if reports.is_empty() {
        let look = Look { live: false, ..Look::of_environment(args.verbose) };
        reports.push(Box::new(Terminal::new(look, Box::new(std::io::stdout()))));
    }
    for mut report in reports {
        for event in &events {
            report.event(event).map_err(Failed::usage)?;
        }
        report.finish().map_err(Failed::usage)?;
    }
    Ok(PASSED)
}
