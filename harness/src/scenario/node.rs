//! A YAML text as a tree that remembers where everything stood, so that whatever is wrong with it can be shown.
//!
//! Booleans are `true` and `false` only. What the values should be is not judged here.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

use super::fault::Fault;

/// Deeper than any scenario, shallow enough for the stack.
const MAX_DEPTH: usize = 64;
/// Bounds what aliases can blow a small file up to.
const MAX_NODES: usize = 100_000;

/// A value and the bytes it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Range<usize>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map, in the order written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

impl Node {
    /// Reads a text of one document.
    pub fn read(text: &str) -> Result<Node, Fault> {
        let options = granit_parser::options! { emit_comments: false };
        let parser = Parser::new_from_str_with_options(text, options);
        Reader { text, parser, anchors: HashMap::new(), nodes: 0 }.document()
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The items, if this is a list.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The same without places.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect(),
            ),
        }
    }

    /// Every text in it, with its place; keys are no texts.
    pub fn texts<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &Range<usize>)) {
        match &self.content {
            Content::Scalar(Value::String(text)) => visit(text, &self.span),
            Content::Scalar(_) => {}
            Content::List(items) => items.iter().for_each(|item| item.texts(visit)),
            Content::Map(entries) => entries.iter().for_each(|entry| entry.value.texts(visit)),
        }
    }

    /// The same tree with every text replaced.
    #[must_use]
    pub fn with_texts(&self, replace: &dyn Fn(&str) -> String) -> Node {
        let content = match &self.content {
            Content::Scalar(Value::String(text)) => Content::Scalar(Value::String(replace(text))),
            Content::Scalar(other) => Content::Scalar(other.clone()),
            Content::List(items) => {
                Content::List(items.iter().map(|item| item.with_texts(replace)).collect())
            }
            Content::Map(entries) => Content::Map(
                entries
                    .iter()
                    .map(|entry| Entry { value: entry.value.with_texts(replace), ..entry.clone() })
                    .collect(),
            ),
        };
        Node { span: self.span.clone(), content }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Node, Fault> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => {
                    return Err(Fault::new(0..self.text.len().min(1), "the file is empty"));
                }
                event => {
                    let node = self.node(event, 0)?;
                    return self.end().map(|()| node);
                }
            }
        }
    }

    /// A second document is refused rather than overlooked.
    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, span) => {
                    return Err(Fault::new(self.bytes(&span), "a second document")
                        .help("one file holds one scenario; put this into a file of its own"));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = Span::empty(*error.marker());
                Err(Fault::new(self.bytes(&at), format!("this is not YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Fault> {
        let place = self.bytes(&span);
        if depth > MAX_DEPTH {
            return Err(Fault::new(place, "nested too deeply"));
        }
        self.nodes += 1;
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag.as_ref().filter(|tag| tag.core_suffix() != Some("str")) {
                    return Err(Fault::new(place, format!("the tag {} is not known here", tag.original())));
                }
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (Content::Scalar(if plain { implicit(&text) } else { Value::from(&*text) }), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| Fault::new(place.clone(), "an alias inside of what it names"))?;
                self.nodes += count(&node);
                if self.nodes > MAX_NODES {
                    return Err(Fault::new(place, "aliases make too much of this file"));
                }
                return Ok(node);
            }
            _ => return Err(Fault::new(place, "expected a value")),
        };
        if self.nodes > MAX_NODES {
            return Err(Fault::new(place, "the file is too large"));
        }
        let node = Node { span: self.covering(place, &content), content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Content, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key_span = self.bytes(&span);
            let key = match event {
                Event::MappingEnd => return Ok(Content::Map(entries)),
                Event::Scalar(text, ..) => text.to_string(),
                _ => return Err(Fault::new(key_span, "a key must be a plain text")),
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                return Err(Fault::new(key_span, format!("`{key}` is given twice"))
                    .also(first.key_span.clone(), "first here"));
            }
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            entries.push(Entry { key, key_span, value });
        }
    }

    /// A list or a map is shown from its first to its last child; the parser only tells where it began.
    fn covering(&self, place: Range<usize>, content: &Content) -> Range<usize> {
        let (first, last) = match content {
            Content::Scalar(_) => return place,
            Content::List(items) => {
                (items.first().map(|item| item.span.start), items.last().map(|item| item.span.end))
            }
            Content::Map(entries) => (
                entries.first().map(|entry| entry.key_span.start),
                entries.last().map(|entry| entry.value.span.end),
            ),
        };
        let start = first.unwrap_or(place.start).min(place.start.max(first.unwrap_or(place.start)));
        start..last.unwrap_or(place.end).clamp(start, self.text.len())
    }

    fn bytes(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        let start = floor(self.text, range.start);
        start..floor(self.text, range.end).max(start)
    }
}

/// The next place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn count(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar(_) => 0,
        Content::List(items) => items.iter().map(count).sum(),
        Content::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
    }
}

/// What a plain scalar means (YAML 1.2's core schema; octal and hexadecimal numbers stay texts).
fn implicit(text: &str) -> Value {
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole
        && (digits == "0" || !digits.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::from(number);
    }
    let fraction = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.contains('.')
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit());
    if fraction && let Ok(number) = text.parse::<f64>() {
        return Value::from(number);
    }
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        Node::read(text).unwrap().to_value()
    }

    #[test]
    fn plain_texts_are_what_they_look_like() {
        assert_eq!(
            read("a: 1\nb: -2\nc: 1.5\nd: yes\ne: true\nf: ~\ng: '1'\nh: 007\ni: 1.2.3\nj: 10s"),
            json!({"a": 1, "b": -2, "c": 1.5, "d": "yes", "e": true, "f": null, "g": "1", "h": "007",
                   "i": "1.2.3", "j": "10s"})
        );
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "a:\n  b: [x, 'yé']\n  c: z\n";
        let node = Node::read(text).unwrap();
        let a = node.get("a").unwrap();
        assert_eq!(&text[a.span.clone()], "b: [x, 'yé']\n  c: z");
        assert_eq!(&text[a.get("b").unwrap().items()[1].span.clone()], "'yé'");
    }

    #[test]
    fn what_is_no_single_document_is_refused_with_its_place() {
        for (text, message) in [
            ("", "empty"),
            ("# only words\n", "empty"),
            ("a: [1", "not YAML"),
            ("a: 1\na: 2\n", "`a` is given twice"),
            ("a: 1\n---\nb: 1\n", "second document"),
            ("a: !!binary eA==\n", "tag"),
            ("? [a]\n: b\n", "key must be"),
        ] {
            let fault = Node::read(text).unwrap_err();
            assert!(fault.message.contains(message), "{text:?}: {}", fault.message);
        }
        let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n";
        assert!(Node::read(bomb).unwrap_err().message.contains("aliases"));
    }
}
