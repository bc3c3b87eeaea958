//! What the steps of one scenario share while they run.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::dispatcher::Events;
use crate::environment::{Environment, Observer};
use crate::expect::response::Outcome;
use crate::tools::{ToolUrl, Tools};

/// Replies that are kept for the evidence.
const LAST_REPLIES: usize = 20;

/// One scenario under way.
pub struct Context {
    pub environment: Arc<dyn Environment>,
    /// The top of the repository: where manifests are.
    pub root: PathBuf,
    /// Tools that are asked instead of the environment's own.
    pub tools: Tools,
    pub scenario: String,
    pub variables: IndexMap<String, String>,
    /// Replies by the name a step gave them.
    pub replies: HashMap<String, Vec<Outcome>>,
    pub events: Events,
    /// The last replies, told in words.
    pub last_replies: Arc<Mutex<VecDeque<String>>>,
}

impl Context {
    /// Where an observer answers: the one given for this run, else the environment's own.
    ///
    /// # Errors
    /// There is none.
    pub async fn tool(&self, observer: Observer) -> Result<ToolUrl, String> {
        match self.tools.of(observer) {
            Some(url) => Ok(url.clone()),
            None => self.environment.observer(observer).await?.parse(),
        }
    }

    /// Keeps a reply for the evidence.
    pub fn remember(&self, request: &str, outcome: &Outcome) {
        let text = match outcome {
            Ok(answer) => {
                let fields: Vec<String> = answer
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
                    .collect();
                let body = crate::expect::check::shorten(&answer.text());
                let head = format!("{} {} in {:?}", answer.version, answer.status, answer.took);
                format!("{request}\n{head}\n{}\n\n{body}\n", fields.join("\n"))
            }
            Err(error) => format!("{request}\nno reply: {error}\n"),
        };
        let mut last = self.last_replies.lock();
        if last.len() == LAST_REPLIES {
            last.pop_front();
        }
        last.push_back(text);
    }
}
