//! A set of fields of an object, as a tree, and its form in `managedFields` (`FieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One step down from an object or list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of an object.
    Field(String),
    /// The item of a list with these keys, as canonical JSON.
    Key(String),
    /// The item of a set, as canonical JSON.
    Value(String),
    Index(usize),
}

/// Fields, with what is below them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FieldSet {
    nodes: BTreeMap<Step, Node>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    /// Whether the field itself is in the set, not only something below it.
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn insert(&mut self, path: &[Step]) {
        let Some((step, rest)) = path.split_first() else { return };
        let node = self.nodes.entry(step.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    /// Whether the field one step down is itself in the set.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.nodes.get(step).is_some_and(|node| node.member)
    }

    pub(super) fn below(&self, step: &Step) -> Option<&FieldSet> {
        self.nodes.get(step).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    pub(super) fn union(&mut self, other: &FieldSet) {
        for (step, node) in &other.nodes {
            let mine = self.nodes.entry(step.clone()).or_default();
            mine.member |= node.member;
            mine.below.union(&node.below);
        }
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |mine, theirs| mine && theirs, false)
    }

    /// What is in here and not in there, field by field.
    pub(super) fn difference(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |mine, theirs| mine && !theirs, true)
    }

    fn combine(&self, other: &FieldSet, rule: fn(bool, bool) -> bool, keep_alone: bool) -> FieldSet {
        let mut result = FieldSet::default();
        for (step, node) in &self.nodes {
            let combined = match other.nodes.get(step) {
                Some(theirs) => Node {
                    member: rule(node.member, theirs.member),
                    below: node.below.combine(&theirs.below, rule, keep_alone),
                },
                None if keep_alone => node.clone(),
                None => continue,
            };
            if combined.member || !combined.below.is_empty() {
                result.nodes.insert(step.clone(), combined);
            }
        }
        result
    }

    /// The same, with every field that something is below of.
    pub(super) fn with_parents(&self) -> FieldSet {
        let parent = |(step, node): (&Step, &Node)| {
            (step.clone(), Node { member: true, below: node.below.with_parents() })
        };
        FieldSet { nodes: self.nodes.iter().map(parent).collect() }
    }

    /// Takes a field out, but not what is below it.
    pub(super) fn remove(&mut self, path: &[Step]) {
        let Some((step, rest)) = path.split_first() else { return };
        let Some(node) = self.nodes.get_mut(step) else { return };
        if rest.is_empty() {
            node.member = false;
        } else {
            node.below.remove(rest);
        }
        if !node.member && node.below.is_empty() {
            self.nodes.remove(step);
        }
    }

    /// Takes a field out with all that is below it.
    pub(super) fn prune(&mut self, step: &Step) {
        self.nodes.remove(step);
    }

    /// Only what is below one field.
    pub(super) fn only(&self, step: &Step) -> FieldSet {
        let node = self.nodes.get_key_value(step);
        FieldSet { nodes: node.into_iter().map(|(step, node)| (step.clone(), node.clone())).collect() }
    }

    /// Paths as conflicts name them: `.spec.containers[name="c"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        for (step, node) in self.nodes.iter().filter(|(_, node)| node.member) {
            let _ = node;
            paths.push(format!("{prefix}{}", shown(step)));
        }
        for (step, node) in &self.nodes {
            node.below.collect(&format!("{prefix}{}", shown(step)), paths);
        }
    }

    pub(super) fn to_fields(&self) -> Value {
        let mut fields = Map::new();
        for (step, node) in &self.nodes {
            let mut below = match node.below.to_fields() {
                Value::Object(below) => below,
                _ => Map::new(),
            };
            if node.member && !below.is_empty() {
                below.insert(".".to_owned(), json!({}));
                below.sort_keys();
            }
            fields.insert(written(step), Value::Object(below));
        }
        Value::Object(fields)
    }

    /// Leaves out what it can't read.
    pub(super) fn from_fields(fields: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        for (name, below) in fields.as_object().into_iter().flatten() {
            let Some(step) = read(name) else { continue };
            let alone = below.as_object().is_none_or(Map::is_empty);
            let member = alone || below.get(".").is_some();
            set.nodes.insert(step, Node { member, below: FieldSet::from_fields(below) });
        }
        set
    }
}

fn written(step: &Step) -> String {
    match step {
        Step::Field(name) => format!("f:{name}"),
        Step::Key(keys) => format!("k:{keys}"),
        Step::Value(value) => format!("v:{value}"),
        Step::Index(index) => format!("i:{index}"),
    }
}

fn read(text: &str) -> Option<Step> {
    let (kind, rest) = text.split_once(':')?;
    Some(match kind {
        "f" => Step::Field(rest.to_owned()),
        "k" => Step::Key(canonical(&serde_json::from_str(rest).ok()?)),
        "v" => Step::Value(canonical(&serde_json::from_str(rest).ok()?)),
        "i" => Step::Index(rest.parse().ok()?),
        _ => return None,
    })
}

/// JSON with sorted keys and no spaces.
pub(super) fn canonical(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

fn shown(step: &Step) -> String {
    match step {
        Step::Field(name) => format!(".{name}"),
        Step::Key(keys) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Step::Value(value) => format!("[={value}]"),
        Step::Index(index) => format!("[{index}]"),
    }
}
