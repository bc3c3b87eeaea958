//! Finds scenario files, reads them, and picks those that were asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{Fault, suggestion};
use super::parse::parse;
use crate::runner::Selected;

/// A file that holds no scenario.
#[derive(Debug, Clone)]
pub struct Faulty {
    /// From the top of the repository where it is below it.
    pub file: String,
    pub source: String,
    pub faults: Vec<Fault>,
}

impl Faulty {
    /// All faults, as a person reads them.
    pub fn render(&self, colour: bool) -> String {
        let each = self.faults.iter().map(|fault| fault.render(&self.file, &self.source, colour));
        each.collect::<Vec<_>>().join("\n\n")
    }
}

/// Every YAML file below `scenarios/`, in order.
///
/// # Errors
/// The folder can't be read.
pub fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.join("scenarios")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|error| format!("failed to read the folder {}: {error}", folder.display()))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            // Links are not followed: a folder that holds itself would have no end.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What a scenario is called: its path below `scenarios/` without the ending.
pub fn name(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root.join("scenarios")).unwrap_or(file);
    below.with_extension("").to_string_lossy().replace('\\', "/")
}

/// Reads one file.
///
/// # Errors
/// What is wrong with it.
pub fn read(root: &Path, file: &Path) -> Result<Selected, Faulty> {
    let shown = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    let faulty = |source: String, faults| Faulty { file: shown.clone(), source, faults };
    let source = match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(source)) => source,
        Ok(Err(error)) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let at = error.utf8_error().valid_up_to();
            return Err(faulty(text, vec![Fault::new(at..at + 1, "this is not UTF-8")]));
        }
        Err(error) => {
            let fault = Fault::new(0..0, format!("failed to read {shown}: {error}"));
            return Err(faulty(String::new(), vec![fault]));
        }
    };
    match parse(&name(root, file), &source, root) {
        Ok(scenario) => Ok(Selected { scenario: Arc::new(scenario), file: shown }),
        Err(faults) => Err(faulty(source, faults)),
    }
}

/// Those of the scenarios that were asked for: by name, by the last part of the name, by folder, by tag, or by
/// file. All of them when nothing was asked for.
///
/// # Errors
/// The first name that fits nothing.
pub fn pick(all: Vec<Selected>, wanted: &[String]) -> Result<Vec<Selected>, String> {
    for word in wanted {
        if !all.iter().any(|selected| fits(selected, word)) {
            let names: Vec<&str> = all.iter().map(|selected| selected.scenario.name.as_str()).collect();
            let last = names.iter().filter_map(|name| name.rsplit('/').next());
            let known: Vec<&str> = names.iter().copied().chain(last).collect();
            return Err(format!(
                "there is no scenario `{word}`; {}",
                match super::fault::nearest(word, known) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => suggestion(word, &names),
                }
            ));
        }
    }
    let asked = |selected: &Selected| wanted.is_empty() || wanted.iter().any(|word| fits(selected, word));
    Ok(all.into_iter().filter(asked).collect())
}

fn fits(selected: &Selected, word: &str) -> bool {
    let scenario = &selected.scenario;
    let word = word.trim_end_matches('/');
    scenario.name == word
        || selected.file == word
        || scenario.name.rsplit('/').next() == Some(word)
        || scenario.name.strip_prefix(word).is_some_and(|rest| rest.starts_with('/'))
        || scenario.tags.iter().any(|tag| tag == word)
}
