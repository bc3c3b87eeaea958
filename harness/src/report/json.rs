//! The event stream itself, one JSON object a line, written as it happens; `harness report` reads it back.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Report;
use crate::runner::event::Event;

/// A recording.
pub struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// # Errors
    /// The file can't be made.
    pub fn create(path: &Path) -> Result<JsonLines, String> {
        let file = File::create(path)
            .map_err(|error| format!("failed to write the report {}: {error}", path.display()))?;
        Ok(JsonLines { file, path: path.to_owned() })
    }
}

impl Report for JsonLines {
    fn event(&mut self, event: &Event) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("failed to write the report {}: {error}", self.path.display())
        };
        let mut line = serde_json::to_vec(event).map_err(|error| failed(&error))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| failed(&error))
    }
}

/// Reads a recording.
///
/// # Errors
/// Names the line that is no event.
pub fn read(path: &Path) -> Result<Vec<Event>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| {
                format!("{}:{}: this is no event of a run: {error}", path.display(), number + 1)
            })
        })
        .collect()
}
