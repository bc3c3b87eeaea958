//! The file as written: YAML or JSON read into values that remember where they stood.
//!
//! Scalars mean what they mean to Kong's YAML 1.1 reader (`yes` is a boolean, `010` is eight), and of a key
//! that is given twice the last one counts. What the values should be is not judged here.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use indexmap::IndexMap;
use serde_json::Value;

/// Deeper than any configuration, shallow enough for the stack.
const MAX_DEPTH: usize = 64;
/// Bounds what aliases can blow a small file up to.
const MAX_NODES: usize = 4_000_000;

/// A value and where it starts, if that is known.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub position: Option<Position>,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(IndexMap<String, Node>),
}

/// A place in a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// Why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub position: Option<Position>,
    pub message: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Node {
    /// Reads YAML or JSON.
    pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
        // JSON is YAML but for a few control characters, and only as YAML does it have positions.
        Node::read_yaml(text).or_else(|error| match serde_json::from_str(text) {
            Ok(value) => Ok(Node::without_position(value)),
            Err(_) => Err(error),
        })
    }

    fn read_yaml(text: &str) -> Result<Node, Unreadable> {
        let options = granit_parser::options! { emit_comments: false };
        let parser = Parser::new_from_str_with_options(text, options);
        Reader { parser, anchors: HashMap::new(), nodes: 0 }.document()
    }

    fn without_position(value: Value) -> Node {
        let content = match value {
            Value::Array(items) => Content::List(items.into_iter().map(Node::without_position).collect()),
            Value::Object(entries) => {
                let entries = entries.into_iter();
                Content::Map(entries.map(|(key, value)| (key, Node::without_position(value))).collect())
            }
            Value::Number(number) => Content::Scalar(number.as_f64().map_or(Value::Null, to_number)),
            other => Content::Scalar(other),
        };
        Node { position: None, content }
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }

    /// The deepest node on a path that exists.
    pub(super) fn nearest(&self, path: &[Step]) -> &Node {
        let Some((step, rest)) = path.split_first() else { return self };
        let next = match (&self.content, step) {
            (Content::Map(entries), Step::Name(name)) => entries.get(name),
            (Content::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        };
        next.map_or(self, |next| next.nearest(rest))
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.iter().map(Node::count).sum(),
            Content::Map(entries) => entries.values().map(Node::count).sum(),
        }
    }
}

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Name(String),
    Index(usize),
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Node, Unreadable> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, at) => {
                    return Ok(Node { position: Some(position(&at)), content: Content::Scalar(Value::Null) });
                }
                event => {
                    let node = self.node(event, 0)?;
                    // Reads to the end, so that what follows is at least well-formed.
                    while !matches!(self.next()?.0, Event::StreamEnd) {}
                    return Ok(node);
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Unreadable {
                position: Some(Position { line: error.marker().line(), column: error.marker().col() + 1 }),
                message: error.info(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Unreadable> {
        let refuse =
            |message: &str| Unreadable { position: Some(position(&span)), message: message.to_owned() };
        if depth > MAX_DEPTH {
            return Err(refuse("nested too deeply"));
        }
        self.nodes += 1;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().and_then(|tag| tag.core_suffix()).unwrap_or_default();
                let value = scalar(&text, style, tag)
                    .ok_or_else(|| refuse(&format!("invalid '{tag}' value: '{text}'")))?;
                (Content::Scalar(value), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or_else(|| refuse("an alias inside of what it names"))?;
                self.nodes += node.count();
                if self.nodes > MAX_NODES {
                    return Err(refuse("too many values"));
                }
                return Ok(node);
            }
            _ => return Err(refuse("expected a value")),
        };
        if self.nodes > MAX_NODES {
            return Err(refuse("too many values"));
        }
        let node = Node { position: Some(position(&span)), content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Content, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Unreadable> {
        let mut entries = IndexMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (key, merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => {
                    (text.to_string(), style == ScalarStyle::Plain && text == "<<")
                }
                _ => {
                    return Err(Unreadable {
                        position: Some(position(&span)),
                        message: "a key must be a plain text".to_owned(),
                    });
                }
            };
            let event = self.next()?;
            let node = self.node(event, depth + 1)?;
            if merge {
                merged.push(node);
            } else {
                entries.insert(key, node);
            }
        }
        for node in merged {
            merge(&mut entries, node)?;
        }
        Ok(Content::Map(entries))
    }
}

/// Adds what a `<<` key names, one map or several; what is already there stays.
fn merge(entries: &mut IndexMap<String, Node>, node: Node) -> Result<(), Unreadable> {
    match node.content {
        Content::Map(more) => {
            for (key, value) in more {
                entries.entry(key).or_insert(value);
            }
            Ok(())
        }
        Content::List(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        Content::Scalar(_) => {
            Err(Unreadable { position: node.position, message: "'<<' wants a map to merge".to_owned() })
        }
    }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

/// What a scalar means; nothing if it isn't what its tag says.
fn scalar(text: &str, style: ScalarStyle, tag: &str) -> Option<Value> {
    match tag {
        "str" => Some(Value::from(text)),
        "null" => implicit(text).filter(Value::is_null),
        "bool" => implicit(text).filter(Value::is_boolean),
        "int" | "float" => implicit(text).filter(Value::is_number),
        _ if style == ScalarStyle::Plain => Some(implicit(text).unwrap_or_else(|| Value::from(text))),
        _ => Some(Value::from(text)),
    }
}

/// A plain scalar that is not a string, in YAML 1.1's words.
fn implicit(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        _ => {}
    }
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let number = unsigned(digits)?;
    Some(to_number(if negative { -number } else { number }))
}

fn unsigned(digits: &str) -> Option<f64> {
    let plain = digits.replace('_', "");
    let all = |allowed: fn(&u8) -> bool| !plain.is_empty() && plain.as_bytes().iter().all(allowed);
    let radix = |prefix: &str, radix: u32| {
        let digits = plain.strip_prefix(prefix).filter(|digits| !digits.is_empty())?;
        u64::from_str_radix(digits, radix).ok().map(|number| number as f64)
    };
    if !digits.starts_with(|char: char| char.is_ascii_digit() || char == '.') {
        return None;
    }
    if all(u8::is_ascii_digit) {
        let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|byte| byte < b'8');
        return if octal { radix("0", 8) } else { plain.parse().ok() };
    }
    if let Some(number) = radix("0x", 16).or_else(|| radix("0b", 2)) {
        return Some(number);
    }
    if plain.contains(':') {
        return sexagesimal(&plain);
    }
    let fraction = plain.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    plain.parse().ok().filter(|number: &f64| fraction && number.is_finite())
}

/// `10:30` is 630.
fn sexagesimal(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let first = parts.next()?.parse::<u32>().ok()?;
    parts.try_fold(f64::from(first), |sum, part| {
        let part = part.parse::<u8>().ok().filter(|part| *part < 60)?;
        Some(sum * 60.0 + f64::from(part))
    })
}

/// Whole numbers are integers, however they were written.
pub(super) fn to_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.0e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}
