//! Kong's `pre-function` and `post-function`: code of the operator before and after all other plugins.
//!
//! Of Kong's phases there are `access`, `header_filter` and `log`; settings for others are refused. What the
//! code can do is in `lua`.

use std::sync::Arc;

use serde::Deserialize;

use super::lua::{self, Phase, Script, Subject};
use super::registry::Build;
use super::{Flow, Phases, Plugin};
use crate::exchange::{Exchange, Record as Finished};
use crate::schema::Literal::List;
use crate::schema::{Check, PluginSchema, Record, Type, array, field, string};

static CONFIG: Record = Record::new(&[
    field("certificate", array(&ABSENT).default(List(&[])).about("not available")),
    field("rewrite", array(&ABSENT).default(List(&[])).about("not available")),
    field("access", array(&CHUNK).default(List(&[])).about("Lua to run before the request is forwarded")),
    field(
        "header_filter",
        array(&CHUNK).default(List(&[])).about("Lua to run when the answer's head is there"),
    ),
    field("body_filter", array(&ABSENT).default(List(&[])).about("not available")),
    field("log", array(&CHUNK).default(List(&[])).about("Lua to run when the request is over")),
]);
static CHUNK: Type = string().check(lua::check_syntax);
static ABSENT: Type = string()
    .check(|_| Err("code for this phase is not available; use access, header_filter or log".to_owned()));

const SOME: &[Check] = &[Check::AtLeastOneOf(&["config.access", "config.header_filter", "config.log"])];

pub static PRE: PluginSchema =
    PluginSchema::new("pre-function", &CONFIG).checks(SOME).about("runs Lua code before all other plugins");
pub static POST: PluginSchema =
    PluginSchema::new("post-function", &CONFIG).checks(SOME).about("runs Lua code after all other plugins");

/// A script for each phase that has code.
struct Functions {
    access: Option<Script>,
    header_filter: Option<Script>,
    log: Option<Script>,
}

#[derive(Deserialize)]
struct Settings {
    access: Vec<String>,
    header_filter: Vec<String>,
    log: Vec<String>,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    let Settings { access, header_filter, log } = build.settings()?;
    let script =
        |chunks: Vec<String>| if chunks.is_empty() { Ok(None) } else { Script::new(chunks).map(Some) };
    Ok(Arc::new(Functions {
        access: script(access)?,
        header_filter: script(header_filter)?,
        log: script(log)?,
    }))
}

impl Plugin for Functions {
    fn phases(&self) -> Phases {
        let when = |script: &Option<Script>, phase| if script.is_some() { phase } else { Phases::NONE };
        when(&self.access, Phases::ACCESS)
            .and(when(&self.header_filter, Phases::HEADER_FILTER))
            .and(when(&self.log, Phases::LOG))
    }

    fn wants_body(&self) -> bool {
        self.access.as_ref().is_some_and(|script| script.mentions("_body"))
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let Some(script) = &self.access else { return Flow::Next };
        let (subject, result) = script.run_all(Subject::take(Phase::Access, exchange));
        let answer = subject.give_back(exchange);
        match (answer, result) {
            (Some(answer), _) => Flow::Answer(answer),
            (None, Ok(())) => Flow::Next,
            (None, Err(error)) => Flow::Fail(error.into()),
        }
    }

    fn header_filter(&self, exchange: &mut Exchange) {
        let Some(script) = &self.header_filter else { return };
        let (subject, result) = script.run_all(Subject::take(Phase::HeaderFilter, exchange));
        subject.give_back(exchange);
        tell("header_filter", result);
    }

    fn log(&self, record: &Arc<Finished>) {
        let Some(script) = &self.log else { return };
        let (_, result) = script.run_all(Subject::of(record));
        tell("log", result);
    }
}

/// When the answer is under way already, an error can only be told.
fn tell(phase: &str, result: Result<(), String>) {
    if let Err(error) = result {
        tracing::error!(phase, "function plugin failed: {error}");
    }
}

#[cfg(test)]
mod tests;
