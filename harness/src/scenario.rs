//! What a scenario is: a story told in steps, each checked before anything starts.
//!
//! `document` says what a file may hold, `node` and `decode` read it and keep the places, `parse` judges it.

pub mod ability;
pub mod decode;
pub mod document;
pub mod fault;
pub mod node;
pub mod parse;
pub mod schema;
pub mod select;
pub mod values;
pub mod variables;

use std::time::Duration;

use indexmap::IndexMap;

use self::document::{
    Ability, Annotate, Apply, Bin, Capture, Delete, Expect, KialiCheck, Kill, LinkCheck, Metric, Patch,
    Request, Scale, StepDocument, TraceCheck, Traffic, Wait, Within,
};
use self::fault::Fault;
use self::node::Node;
use self::values::ObjectName;

/// A scenario that may be run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its path below `scenarios/` without the ending: `plugins/rate-limit`.
    pub name: String,
    pub title: String,
    pub story: String,
    pub tags: Vec<String>,
    pub requires: Vec<Ability>,
    pub variables: IndexMap<String, String>,
    pub steps: Vec<Step>,
}

/// Where a step stands in its file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    pub place: Place,
    /// What it does, in a few words, as it stands in the file.
    title: String,
    pub say: Option<String>,
    /// As read from the file; what `action` is made of once variables have values.
    node: Node,
    variable: bool,
    action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    Say(String),
    Apply(Apply),
    Delete(Delete),
    Annotate(Annotate),
    Patch(Patch),
    Request { request: Request, reply: Box<Reply> },
    Traffic { traffic: Traffic, name: Option<String>, steps: Vec<Step> },
    Within { within: Within, steps: Vec<Step> },
    Wait(Box<Wait>),
    Scale(Scale),
    Restart(ObjectName),
    Kill(Kill),
    Bin { bin: Bin, eventually: Option<Duration> },
    Admin { path: String, reply: Box<Reply> },
    Metric { metric: Metric, eventually: Option<Duration> },
    Trace { trace: Box<TraceCheck>, eventually: Option<Duration> },
    Dependencies { links: Vec<LinkCheck>, eventually: Option<Duration> },
    Kiali { kiali: Box<KialiCheck>, eventually: Option<Duration> },
}

/// What is asked of a reply.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub expect: Expect,
    /// Try again until it is true, for so long.
    pub eventually: Option<Duration>,
    pub capture: IndexMap<String, Capture>,
    /// What later steps call the replies.
    pub name: Option<String>,
}

impl Step {
    /// What to do, with the values that variables have now.
    ///
    /// # Errors
    /// With these values the step makes no sense.
    pub fn action(&self, variables: &IndexMap<String, String>) -> Result<Action, Fault> {
        if !self.variable {
            return Ok(self.action.clone());
        }
        let node = self.node.with_texts(&|text| variables::expand(text, variables));
        let document: StepDocument = decode::decode(&node)?;
        let children = match &self.action {
            Action::Traffic { steps, .. } | Action::Within { steps, .. } => steps.clone(),
            _ => Vec::new(),
        };
        let same = parse::action(document, children);
        same.ok_or_else(|| Fault::new(self.node.span.clone(), "a step that does nothing"))
    }

    /// What it does, with the values that variables have now.
    pub fn title(&self, variables: &IndexMap<String, String>) -> String {
        self.action(variables).map_or_else(|_| self.title.clone(), |action| action.title())
    }

    /// The steps that run while this one does.
    pub fn children(&self) -> &[Step] {
        match &self.action {
            Action::Traffic { steps, .. } | Action::Within { steps, .. } => steps,
            _ => &[],
        }
    }
}

impl Action {
    /// In a few words, for progress and reports.
    pub fn title(&self) -> String {
        match self {
            Action::Say(text) => text.lines().next().unwrap_or_default().to_owned(),
            Action::Apply(apply) => {
                let inline = match apply.objects.len() {
                    0 => None,
                    1 => apply.objects.first().map(|object| {
                        crate::manifest::Object::new(object.clone())
                            .map_or_else(|_| "one object".to_owned(), |object| object.name().to_string())
                    }),
                    many => Some(format!("{many} objects")),
                };
                let what: Vec<String> = apply.files.0.iter().cloned().chain(inline).collect();
                let changed = if apply.set.is_empty() { "" } else { ", changed" };
                format!("apply {}{changed}", what.join(", "))
            }
            Action::Delete(delete) => {
                let objects = delete.objects.0.iter().map(ToString::to_string);
                let what: Vec<String> = delete.files.0.iter().cloned().chain(objects).collect();
                format!("delete {}", what.join(", "))
            }
            Action::Annotate(annotate) => {
                let set = annotate.set.iter().map(|(key, value)| format!("{key}={value}"));
                let removed = annotate.remove.0.iter().map(|key| format!("{key}-"));
                let what: Vec<String> = set.chain(removed).collect();
                format!("annotate {} {}", annotate.object, what.join(" "))
            }
            Action::Patch(patch) => format!("patch {}", patch.object),
            Action::Request { request, reply } => request_title(request, reply),
            Action::Traffic { traffic, .. } => {
                format!("traffic of {}/s over {} connections", traffic.rate, traffic.clients)
            }
            Action::Within { within, .. } => {
                format!("within one {}", format!("{:?}", within.window).to_lowercase())
            }
            Action::Wait(wait) => wait_title(wait),
            Action::Scale(scale) => format!("scale {} to {}", scale.object, scale.to),
            Action::Restart(object) => format!("restart {object}"),
            Action::Kill(kill) => {
                format!("kill pods of {} ({})", kill.pods_of, format!("{:?}", kill.how).to_lowercase())
            }
            Action::Bin { bin, .. } => bin_title(bin),
            Action::Admin { path, .. } => format!("admin port: GET {path}"),
            Action::Metric { metric, .. } => format!("metric {}", metric.name),
            Action::Trace { trace, .. } => trace_title(trace),
            Action::Dependencies { links, .. } => {
                let name = |check| check_title(check).unwrap_or_else(|| "…".to_owned());
                let links =
                    links.iter().map(|link| format!("{} → {}", name(&link.parent), name(&link.child)));
                let links: Vec<String> = links.collect();
                format!("dependencies: {}", links.join(", "))
            }
            Action::Kiali { kiali, .. } => kiali_title(kiali),
        }
    }
}

fn request_title(request: &Request, reply: &Reply) -> String {
    use std::fmt::Write;
    let mut title = format!("{} {}", request.method, request.path);
    if let Some(host) = &request.host {
        let _ = write!(title, " on {host}");
    }
    if let Some(from) = &request.from {
        let _ = write!(title, " from {from}");
    }
    if request.times > 1 {
        let _ = write!(title, ", {} times", request.times);
    }
    if request.together > 1 {
        let _ = write!(title, ", {} at a time", request.together);
    }
    if let Some(status) = &reply.expect.status {
        let status: Vec<String> = status.0.iter().map(u16::to_string).collect();
        let _ = write!(title, " → {}", status.join(" or "));
    }
    if !reply.expect.counts.is_empty() {
        let counts: Vec<String> = reply.expect.counts.keys().cloned().collect();
        let _ = write!(title, " → counts of {}", counts.join(", "));
    }
    title
}

/// What a check of a text looks for, if that can be said in a word.
fn check_title(check: &values::Check) -> Option<String> {
    match check {
        values::Check::Is(value) => Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        values::Check::Rules(rules) => rules.matches.as_ref().map(|pattern| pattern.0.to_string()),
    }
}

fn trace_title(trace: &TraceCheck) -> String {
    let which = trace.id.as_ref().or(trace.service.as_ref()).map(String::as_str).unwrap_or_default();
    format!("trace {}{which}", if trace.id.is_some() { "" } else { "of " })
}

fn kiali_title(kiali: &KialiCheck) -> String {
    let edges = kiali.edges.0.iter().map(|edge| format!("{} → {}", edge.from, edge.to));
    let health = kiali.health.keys().map(|name| format!("health of {name}"));
    format!("kiali: {}", edges.chain(health).collect::<Vec<_>>().join(", "))
}

fn wait_title(wait: &Wait) -> String {
    let names = |objects: &values::Many<ObjectName>| {
        objects.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if let Some(objects) = &wait.rolled_out {
        return format!("wait until {} is rolled out", names(objects));
    }
    if let Some(objects) = &wait.gone {
        return format!("wait until {} is gone", names(objects));
    }
    if let Some(condition) = &wait.condition {
        return format!("wait until {} is {}={}", condition.object, condition.r#type, condition.status);
    }
    if let Some(event) = &wait.event {
        return format!("wait for an Event about {}", event.object);
    }
    match &wait.field {
        Some(field) => format!("wait for {} of {}", field.pointer, field.object),
        None => "wait".to_owned(),
    }
}

fn bin_title(bin: &Bin) -> String {
    match bin.outage {
        Some(document::Outage::Down) => format!("bin {}: fails from now on", bin.id),
        Some(document::Outage::Up) => format!("bin {}: works again", bin.id),
        None if bin.exactly.is_some() => format!("bin {}: each request exactly once", bin.id),
        None => format!("bin {}", bin.id),
    }
}
