//! What a report is: a fold over the events of a run. Each takes events one by one and may write as it goes or
//! at the end; none knows another, and none is asked anything.

pub mod failure_text;
pub mod html;
pub mod json;
pub mod junit;
pub mod run;
pub mod terminal;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::runner::event::Event;

/// Takes in what happens.
pub trait Report: Send {
    /// # Errors
    /// What could not be written; later events still come.
    fn event(&mut self, event: &Event) -> Result<(), String>;

    /// The run is over.
    ///
    /// # Errors
    /// What could not be written.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// `junit=FILE`, `json=FILE` or `html=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub form: Form,
    pub file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Junit,
    Json,
    Html,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Wanted, String> {
        let refused = || format!("`{text}` is no report; write junit=FILE, json=FILE or html=FILE");
        let (form, file) = text.split_once('=').ok_or_else(refused)?;
        let form = match form {
            "junit" => Form::Junit,
            "json" => Form::Json,
            "html" => Form::Html,
            _ => return Err(refused()),
        };
        if file.is_empty() { Err(refused()) } else { Ok(Wanted { form, file: file.into() }) }
    }
}

impl Wanted {
    /// The report, with its file there and writable.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn open(&self) -> Result<Box<dyn Report>, String> {
        Ok(match self.form {
            Form::Json => Box::new(json::JsonLines::create(&self.file)?),
            Form::Junit => Box::new(AtEnd::create(&self.file, junit::render)?),
            Form::Html => Box::new(AtEnd::create(&self.file, html::render)?),
        })
    }
}

/// A report that is written when all is over, from the whole of what happened.
struct AtEnd {
    file: PathBuf,
    run: run::Run,
    render: fn(&run::Run) -> Result<String, String>,
}

impl AtEnd {
    /// The file is made now, so that a place that can't be written is told before the run.
    fn create(file: &Path, render: fn(&run::Run) -> Result<String, String>) -> Result<AtEnd, String> {
        write(file, "")?;
        Ok(AtEnd { file: file.to_owned(), run: run::Run::default(), render })
    }
}

impl Report for AtEnd {
    fn event(&mut self, event: &Event) -> Result<(), String> {
        self.run.fold(event);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        write(&self.file, &(self.render)(&self.run)?)
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text)
        .map_err(|error| format!("failed to write the report {}: {error}", file.display()))
}
