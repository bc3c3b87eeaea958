//! From a file to a checked scenario. All steps are judged, so that one look at the errors is enough.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

use super::decode::decode;
use super::document::{
    Ability, Bin, KialiCheck, KillHow, Request, ScenarioDocument, SpanCheck, StepDocument, TraceCheck, Wait,
};
use super::fault::{Fault, position, suggestion};
use super::node::{Content, Node};
use super::variables::{self, BUILT_IN};
use super::{Action, Place, Reply, Scenario, Step};
use crate::manifest;

/// Reads the text of a scenario file. `name` is what it is called by, `root` where manifests are looked for.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn parse(name: &str, text: &str, root: &Path) -> Result<Scenario, Vec<Fault>> {
    let node = Node::read(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let head: Option<ScenarioDocument> =
        decode(&without_steps(&node)).map_err(|fault| faults.push(fault)).ok();
    let requires = head.as_ref().map(|head| head.requires.clone()).unwrap_or_default();
    let mut reader = Reader { text, root, requires, known: BTreeSet::new(), names: BTreeSet::new(), faults };
    reader.known.extend(BUILT_IN.iter().map(|name| (*name).to_owned()));
    reader.known.extend(head.iter().flat_map(|head| head.variables.keys().cloned()));
    if let Some(variables) = node.get("variables") {
        reader.uses(variables);
    }
    let steps = node.get("steps").map(|steps| reader.steps(steps)).unwrap_or_default();
    if let Some(steps) =
        node.get("steps").filter(|steps| matches!(&steps.content, Content::List(items) if items.is_empty()))
    {
        reader.faults.push(Fault::new(steps.span.clone(), "a scenario without steps"));
    }
    reader.faults.sort_by_key(|fault| fault.span.start);
    match head {
        Some(head) if reader.faults.is_empty() => Ok(Scenario {
            name: name.to_owned(),
            title: head.title,
            story: head.story,
            tags: head.tags,
            requires: head.requires,
            variables: head.variables,
            steps,
        }),
        _ => Err(reader.faults),
    }
}

/// The steps are judged one by one; of the rest the decoder sees an empty list.
fn without_steps(node: &Node) -> Node {
    let mut node = node.clone();
    if let Content::Map(entries) = &mut node.content {
        for entry in entries.iter_mut().filter(|entry| entry.key == "steps") {
            if let Content::List(items) = &mut entry.value.content {
                items.clear();
            }
        }
    }
    node
}

struct Reader<'a> {
    text: &'a str,
    root: &'a Path,
    requires: Vec<Ability>,
    /// Variables that exist by now.
    known: BTreeSet<String>,
    /// Names of replies that exist by now.
    names: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn steps(&mut self, list: &Node) -> Vec<Step> {
        list.items().iter().filter_map(|node| self.step(node)).collect()
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let document: StepDocument = match decode(&childless(node)) {
            Ok(document) => document,
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        let (line, column) = position(self.text, node.span.start);
        let before = self.faults.len();
        let own = childless(node);
        self.uses(&own);
        self.shape(node, &document);
        let children = node.get("steps").map(|steps| self.steps(steps)).unwrap_or_default();
        self.known.extend(document.capture.keys().cloned());
        self.names.extend(document.name.iter().cloned());
        let say = document.say.clone();
        let action = action(document, children)?;
        self.action(node, &action);
        if self.faults.len() > before {
            return None;
        }
        let variable = variables::used(&own);
        Some(Step { place: Place { line, column }, title: action.title(), say, node: own, variable, action })
    }

    /// Variables that are used must exist.
    fn uses(&mut self, node: &Node) {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let mut faults = Vec::new();
        node.texts(&mut |text, span| {
            for name in variables::names(text) {
                if !known.contains(&name) {
                    let fault = Fault::new(span.clone(), format!("unknown variable `${{{name}}}`"));
                    faults.push(fault.help(suggestion(name, &known)));
                }
            }
        });
        self.faults.extend(faults);
    }

    /// One action, and only what goes with it.
    fn shape(&mut self, node: &Node, document: &StepDocument) {
        let given = |name: &&&str| node.get(name).is_some();
        let actions: Vec<&str> = ACTIONS.iter().filter(given).copied().collect();
        match actions[..] {
            [] if document.say.is_some() => {}
            [] => {
                let fault = Fault::new(node.span.clone(), "a step that does nothing");
                self.faults.push(fault.help(format!("give it one of {}", ACTIONS.join(", "))));
            }
            [_] => {}
            [first, second, ..] => {
                let fault = Fault::new(key_of(node, second), format!("`{second}` beside `{first}`"));
                self.faults.push(fault.help("one step does one thing; make two steps of it"));
            }
        }
        let action = actions.first().copied().unwrap_or("say");
        for (beside, allowed) in BESIDE {
            if node.get(beside).is_some() && !allowed.contains(&action) {
                let fault = Fault::new(key_of(node, beside), format!("`{beside}` beside `{action}`"));
                self.faults.push(fault.help(format!("it goes with {}", allowed.join(", "))));
            }
        }
        for wants in ["traffic", "within"] {
            if action == wants && node.get("steps").is_none_or(|steps| steps.items().is_empty()) {
                let fault = Fault::new(node.span.clone(), format!("`{wants}` without `steps`"));
                self.faults.push(fault.help("write what happens meanwhile below `steps`"));
            }
        }
    }

    fn action(&mut self, node: &Node, action: &Action) {
        match action {
            Action::Apply(apply) => {
                let place = node.get("apply").map_or(node.span.clone(), |node| node.span.clone());
                if apply.files.0.is_empty() && apply.objects.is_empty() {
                    self.faults.push(
                        Fault::new(place.clone(), "nothing to apply").help("give `files` or `objects`"),
                    );
                }
                let mut objects = Vec::new();
                for file in &apply.files.0 {
                    objects.extend(self.manifest(&place, file));
                }
                for object in &apply.objects {
                    match manifest::Object::new(object.clone()) {
                        Ok(object) => objects.push(object.name()),
                        Err(message) => self.faults.push(Fault::new(place.clone(), message)),
                    }
                }
                self.overrides(node, &objects);
            }
            Action::Delete(delete) => {
                let place = node.get("delete").map_or(node.span.clone(), |node| node.span.clone());
                for file in &delete.files.0 {
                    self.manifest(&place, file);
                }
                if delete.files.0.is_empty() && delete.objects.0.is_empty() {
                    self.faults
                        .push(Fault::new(place, "nothing to delete").help("give `files` or `objects`"));
                }
            }
            Action::Request { request, reply } => {
                self.request(node.get("request").unwrap_or(node), request);
                self.reply(node, reply);
            }
            Action::Admin { path, reply } => {
                if !path.starts_with('/') {
                    let fault = Fault::new(place_of(node, "admin"), "a path begins with `/`");
                    self.faults.push(fault.help("for example /status"));
                }
                self.reply(node, reply);
            }
            Action::Traffic { traffic, .. } => {
                let node = node.get("traffic").unwrap_or(node);
                if !(0.1..=100_000.0).contains(&traffic.rate) {
                    self.faults
                        .push(Fault::new(place_of(node, "rate"), "the rate must be from 0.1 to 100000"));
                }
                if !(1..=10_000).contains(&traffic.clients) {
                    self.faults
                        .push(Fault::new(place_of(node, "clients"), "there may be 1 to 10000 clients"));
                }
                for request in &traffic.requests.0 {
                    self.request(node.get("requests").unwrap_or(node), &request.0);
                }
                for name in traffic.contract.latency.keys() {
                    if crate::traffic::latency::quantile(name).is_none() {
                        let fault = Fault::new(
                            place_of(node, "contract"),
                            format!("`{name}` is no share of requests"),
                        );
                        self.faults.push(fault.help("write p50, p90, p99, p99.9 or max"));
                    }
                }
            }
            Action::Wait(wait) => self.wait(node, wait),
            Action::Kill(kill) if kill.how == KillHow::Crash => self.needs(node, Ability::Crash),
            Action::Bin { bin, .. } => self.bin(node, bin),
            Action::Trace { trace, .. } => {
                self.needs(node, Ability::Jaeger);
                self.trace(node.get("trace").unwrap_or(node), trace);
            }
            Action::Dependencies { .. } => self.needs(node, Ability::Jaeger),
            Action::Kiali { kiali, .. } => {
                self.needs(node, Ability::Kiali);
                self.kiali(node.get("kiali").unwrap_or(node), kiali);
            }
            _ => {}
        }
    }

    fn request(&mut self, node: &Node, request: &Request) {
        if !request.path.starts_with('/') {
            self.faults.push(Fault::new(place_of(node, "path"), "a path begins with `/`"));
        }
        if request.times == 0 || request.together == 0 {
            self.faults.push(Fault::new(node.span.clone(), "`times` and `together` are at least 1"));
        }
        if let Some(from) = &request.from {
            if from.parse::<IpAddr>().is_err() && variables::names(from).next().is_none() {
                let fault = Fault::new(place_of(node, "from"), format!("`{from}` is no IP address"));
                self.faults.push(fault.help("for example 127.0.0.9"));
            }
            self.needs(node, Ability::ClientAddresses);
        }
        for name in request.headers.keys() {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                self.faults
                    .push(Fault::new(place_of(node, "headers"), format!("`{name}` is no header name")));
            }
        }
    }

    fn reply(&mut self, node: &Node, reply: &Reply) {
        let expect = node.get("expect");
        let place = |field: &str| {
            let place = expect.and_then(|expect| expect.get(field)).or(expect).unwrap_or(node);
            place.span.clone()
        };
        for pointer in reply.expect.json.keys().filter(|pointer| !is_pointer(pointer)) {
            self.faults.push(no_pointer(place("json"), pointer));
        }
        for pointer in reply.expect.exchange.keys().filter(|pointer| !is_pointer(pointer)) {
            self.faults.push(no_pointer(place("exchange"), pointer));
        }
        if !reply.expect.exchange.is_empty() && (reply.eventually.is_some() || node.get("admin").is_some()) {
            let fault = Fault::new(place("exchange"), "`exchange` is for a request that is sent once");
            self.faults.push(fault.help("leave out `eventually`, and ask it of a `request`"));
        }
        for key in reply.expect.counts.keys().filter(|key| *key != "failed" && key.parse::<u16>().is_err()) {
            let fault = Fault::new(place("counts"), format!("`{key}` is no status"));
            self.faults.push(fault.help("write a number such as 200, or `failed` for no answer"));
        }
        if let Some(shares) = &reply.expect.shares
            && shares.of.is_empty() == shares.among.is_none()
        {
            let fault = Fault::new(place("shares"), "`shares` wants either `of` or `among`");
            self.faults.push(fault.help("`of` names each share, `among` says how many equal ones"));
        }
        for (name, capture) in &reply.capture {
            let given = [capture.header.is_some(), capture.json.is_some(), capture.matches.is_some()];
            if given.iter().filter(|given| **given).count() != 1 {
                let fault = Fault::new(place_of(node, "capture"), format!("`{name}` wants one source"));
                self.faults.push(fault.help("give one of `header`, `json`, `matches`"));
            }
        }
    }

    fn wait(&mut self, node: &Node, wait: &Wait) {
        let place = place_of(node, "wait");
        let given = [
            wait.rolled_out.is_some(),
            wait.condition.is_some(),
            wait.event.is_some(),
            wait.field.is_some(),
            wait.gone.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            let fault = Fault::new(place.clone(), "`wait` wants exactly one fact");
            self.faults.push(fault.help("give one of `rolled_out`, `condition`, `event`, `field`, `gone`"));
        }
        if let Some(field) = wait.field.as_ref().filter(|field| !is_pointer(&field.pointer)) {
            self.faults.push(no_pointer(place, &field.pointer));
        }
    }

    fn bin(&mut self, node: &Node, bin: &Bin) {
        if let Some(name) = bin.exactly.as_ref().filter(|name| !self.names.contains(*name)) {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            let bin = node.get("bin").unwrap_or(node);
            let fault =
                Fault::new(place_of(bin, "exactly"), format!("no earlier replies are called `{name}`"));
            self.faults.push(fault.help(suggestion(name, &names)));
        }
        for pointer in bin.each.keys().filter(|pointer| !is_pointer(pointer)) {
            self.faults.push(no_pointer(place_of(node, "bin"), pointer));
        }
    }

    fn trace(&mut self, node: &Node, trace: &TraceCheck) {
        let mut wrong = |place, message: &str, help: &str| {
            self.faults.push(Fault::new(place, message).help(help));
        };
        if trace.id.is_some() == trace.service.is_some() {
            wrong(
                node.span.clone(),
                "`trace` wants either `id` or `service`",
                "`id` names the trace, `service` finds it",
            );
        }
        if trace.id.is_some() && !trace.tags.is_empty() {
            wrong(
                place_of(node, "tags"),
                "`tags` beside `id`",
                "they find a trace of a `service`; of spans they go below `spans`",
            );
        }
        if trace.caller.is_some() && !trace.unbroken {
            wrong(
                place_of(node, "caller"),
                "`caller` without `unbroken`",
                "it says where the trace may begin; add `unbroken: true`",
            );
        }
        for (at, span) in trace.spans.0.iter().enumerate() {
            let anything = SpanCheck { count: span.count.clone(), ..SpanCheck::default() };
            if *span == anything {
                let spans = node.get("spans").unwrap_or(node);
                let place = spans.items().get(at).unwrap_or(spans).span.clone();
                wrong(
                    place,
                    "a span without anything to know it by",
                    "give `service`, `name`, `kind`, `tags` or `below`",
                );
            }
        }
        if trace.services.is_none() && trace.spans.0.is_empty() && !trace.unbroken {
            wrong(
                node.span.clone(),
                "nothing is asked of this trace",
                "give `services`, `spans` or `unbroken`",
            );
        }
    }

    fn kiali(&mut self, node: &Node, kiali: &KialiCheck) {
        if kiali.edges.0.is_empty() && kiali.health.is_empty() {
            let fault = Fault::new(node.span.clone(), "nothing is asked of Kiali");
            self.faults.push(fault.help("give `edges` or `health`"));
        }
        let ends = kiali.edges.0.iter().flat_map(|edge| [("edges", &edge.from), ("edges", &edge.to)]);
        for (field, name) in ends.chain(kiali.health.keys().map(|name| ("health", name))) {
            let whole = |(namespace, name): (&str, &str)| !namespace.is_empty() && !name.is_empty();
            if !name.split_once('/').is_some_and(whole) && variables::names(name).next().is_none() {
                let fault = Fault::new(place_of(node, field), format!("`{name}` names no workload"));
                self.faults.push(fault.help("write `NAMESPACE/WORKLOAD`"));
            }
        }
    }

    fn needs(&mut self, node: &Node, ability: Ability) {
        if !self.requires.contains(&ability) {
            let word = ability.word();
            let fault = Fault::new(node.span.clone(), format!("this needs the ability `{word}`"));
            self.faults.push(fault.help(format!("add it to `requires`, so that the scenario is told to be unsupported elsewhere: `requires: [{word}]`")));
        }
    }

    /// The names of the objects in a manifest, which must be there and readable.
    fn manifest(&mut self, place: &Range<usize>, file: &str) -> Vec<super::values::ObjectName> {
        match manifest::read(&self.root.join(file)) {
            Ok(objects) => objects.iter().map(manifest::Object::name).collect(),
            Err(message) => {
                self.faults.push(Fault::new(place.clone(), message));
                Vec::new()
            }
        }
    }

    fn overrides(&mut self, node: &Node, objects: &[super::values::ObjectName]) {
        let Some(Content::Map(entries)) =
            node.get("apply").and_then(|apply| apply.get("set")).map(|set| &set.content)
        else {
            return;
        };
        let names: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        for entry in entries {
            let named: Option<super::values::ObjectName> = entry.key.parse().ok();
            if !named.is_some_and(|named| objects.iter().any(|object| named.means(object))) {
                let fault =
                    Fault::new(entry.key_span.clone(), format!("`{}` is not in these files", entry.key));
                self.faults.push(fault.help(suggestion(&entry.key, &known)));
            }
            if let Content::Map(fields) = &entry.value.content {
                for field in fields.iter().filter(|field| !is_pointer(&field.key)) {
                    self.faults.push(no_pointer(field.key_span.clone(), &field.key));
                }
            }
        }
    }
}

const ACTIONS: [&str; 17] = [
    "apply",
    "delete",
    "annotate",
    "patch",
    "request",
    "traffic",
    "within",
    "wait",
    "scale",
    "restart",
    "kill",
    "bin",
    "admin",
    "metric",
    "trace",
    "dependencies",
    "kiali",
];

/// What may stand beside which actions.
const BESIDE: [(&str, &[&str]); 5] = [
    ("expect", &["request", "admin"]),
    ("eventually", &["request", "admin", "metric", "bin", "trace", "dependencies", "kiali"]),
    ("capture", &["request", "admin"]),
    ("as", &["request", "traffic"]),
    ("steps", &["traffic", "within"]),
];

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

fn no_pointer(span: Range<usize>, text: &str) -> Fault {
    Fault::new(span, format!("`{text}` is no JSON pointer"))
        .help(format!("write `/{}`", text.replace('.', "/")))
}

/// The place of a key, or of the whole.
fn key_of(node: &Node, key: &str) -> Range<usize> {
    let Content::Map(entries) = &node.content else { return node.span.clone() };
    let entry = entries.iter().find(|entry| entry.key == key);
    entry.map_or_else(|| node.span.clone(), |entry| entry.key_span.clone())
}

/// The place of a value, or of the whole.
fn place_of(node: &Node, key: &str) -> Range<usize> {
    node.get(key).unwrap_or(node).span.clone()
}

/// A step without the steps inside of it, which are judged by themselves.
fn childless(node: &Node) -> Node {
    without_steps(node)
}

/// What a document asks for; nothing if it asks for nothing.
pub(super) fn action(document: StepDocument, children: Vec<Step>) -> Option<Action> {
    let reply = Reply {
        expect: document.expect.unwrap_or_default(),
        eventually: document.eventually.map(|span| span.0),
        capture: document.capture,
        name: document.name.clone(),
    };
    let eventually = reply.eventually;
    Some(if let Some(apply) = document.apply {
        Action::Apply(apply.0)
    } else if let Some(delete) = document.delete {
        Action::Delete(delete.0)
    } else if let Some(annotate) = document.annotate {
        Action::Annotate(annotate)
    } else if let Some(patch) = document.patch {
        Action::Patch(patch)
    } else if let Some(request) = document.request {
        Action::Request { request: request.0, reply: Box::new(reply) }
    } else if let Some(traffic) = document.traffic {
        Action::Traffic { traffic, name: document.name, steps: children }
    } else if let Some(within) = document.within {
        Action::Within { within: within.0, steps: children }
    } else if let Some(wait) = document.wait {
        Action::Wait(Box::new(wait))
    } else if let Some(scale) = document.scale {
        Action::Scale(scale)
    } else if let Some(object) = document.restart {
        Action::Restart(object)
    } else if let Some(kill) = document.kill {
        Action::Kill(kill)
    } else if let Some(bin) = document.bin {
        Action::Bin { bin, eventually }
    } else if let Some(path) = document.admin {
        Action::Admin { path, reply: Box::new(reply) }
    } else if let Some(metric) = document.metric {
        Action::Metric { metric, eventually }
    } else if let Some(trace) = document.trace {
        Action::Trace { trace: Box::new(trace), eventually }
    } else if let Some(links) = document.dependencies {
        Action::Dependencies { links: links.0, eventually }
    } else if let Some(kiali) = document.kiali {
        Action::Kiali { kiali: Box::new(kiali), eventually }
    } else {
        Action::Say(document.say?)
    })
}

#[cfg(test)]
mod tests;
