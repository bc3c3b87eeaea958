//! Runs the scenarios that were asked for, or lists them.

use std::fmt::Write;
use std::io::IsTerminal;

use super::{Failed, print, provider};
use crate::cli::ScenariosArgs;
use crate::project;
use crate::report::Report;
use crate::report::terminal::{Look, Terminal};
use crate::run_folder::RunFolder;
use crate::runner::dispatcher::Events;
use crate::runner::{self, PASSED, Selected, Settings, UNAVAILABLE, USAGE};
use crate::scenario::select;
use crate::signals::stop_token;

pub(super) async fn scenarios(args: ScenariosArgs) -> Result<u8, Failed> {
    let root = project::root().map_err(Failed::usage)?;
    let selected = selected(&root, &args.names)?;
    if args.list {
        print(&listing(&selected));
        return Ok(PASSED);
    }
    let unavailable = |message: String| Failed::new(UNAVAILABLE, message);
    let mut reports: Vec<Box<dyn Report>> = Vec::new();
    for wanted in &args.report {
        reports.push(wanted.open().map_err(Failed::usage)?);
    }
    reports.push(Box::new(Terminal::new(Look::of_environment(args.verbose), Box::new(std::io::stdout()))));
    let folder = RunFolder::create(&project::target(&root)).map_err(unavailable)?;
    crate::log::to_file(&folder.path.join("harness.log")).map_err(unavailable)?;
    let path = folder.path.clone();
    let stop =
        stop_token(true, move || format!("stopped at once; leftovers of the run are in {}", path.display()))
            .map_err(unavailable)?;
    let events = Events::new(reports);
    let settings = Settings {
        run: folder.id.clone(),
        folder: folder.path.clone(),
        root: root.clone(),
        tools: args.tools.tools(),
        keep: args.keep,
    };
    let provider = provider(&args.environment, root, args.tools.spans());
    let code = runner::run(provider, selected, settings, events.clone(), stop).await;
    for failure in events.finish() {
        eprintln!("harness: {failure}");
    }
    if !args.keep && !runner::keeps_folder(code) {
        folder.remove();
    }
    Ok(code)
}

/// The scenarios that were asked for; a file that can't be read is an error unless others were asked for.
fn selected(root: &std::path::Path, names: &[String]) -> Result<Vec<Selected>, Failed> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut files = select::files(root).map_err(Failed::usage)?;
    let mut wanted = Vec::new();
    for name in names {
        // A file may lie anywhere.
        let file = std::path::Path::new(name);
        match file.canonicalize() {
            Ok(file) if file.is_file() => {
                wanted.push(file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned());
                if !files.contains(&file) {
                    files.push(file);
                }
            }
            _ => wanted.push(name.clone()),
        }
    }
    for file in files {
        match select::read(root, &file) {
            Ok(selected) => good.push(selected),
            Err(faulty) => bad.push((select::name(root, &file), faulty)),
        }
    }
    let concerned = |name: &str, file: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        wanted.is_empty() || wanted.iter().any(|word| word == name || word == last || word == file)
    };
    bad.retain(|(name, faulty)| concerned(name, &faulty.file));
    if !bad.is_empty() {
        let colour = std::io::stderr().is_terminal();
        let told: Vec<String> = bad.iter().map(|(_, faulty)| faulty.render(colour)).collect();
        eprintln!("{}", told.join("\n\n"));
        return Err(Failed::new(USAGE, format!("{} scenario files are wrong; nothing was run", bad.len())));
    }
    select::pick(good, &wanted).map_err(Failed::usage)
}

fn listing(selected: &[Selected]) -> String {
    let mut text = String::new();
    let width = selected.iter().map(|selected| selected.scenario.name.len()).max().unwrap_or(0);
    for selected in selected {
        let scenario = &selected.scenario;
        let tags = if scenario.tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", scenario.tags.join(", "))
        };
        let _ = writeln!(text, "{:width$}  {}{tags}", scenario.name, scenario.title);
    }
    text
}
