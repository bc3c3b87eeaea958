//! A span as it was received, whatever it was received as.

use std::sync::Arc;

/// The name of who sends spans without saying who it is, and of who says nothing as its name.
const NAMELESS: &str = "missing-service-name";
const EMPTY: &str = "empty-service-name";
const UNNAMED_SPAN: &str = "empty-span-name";

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    List(Vec<Attribute>),
    Map(Attributes),
}

/// By key, sorted.
pub(super) type Attributes = Vec<(String, Attribute)>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset,
    Ok,
    Error,
}

/// Who sent a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Resource {
    pub(super) service: String,
    /// Without the service's name.
    pub(super) attributes: Attributes,
}

/// The part of a program that made a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// Nanoseconds since 1970, as all times here.
    pub(super) time: u64,
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) attributes: Attributes,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    /// 0 for a root.
    pub(super) parent: u64,
    pub(super) trace_state: String,
    /// Whether it was sampled, and whether its parent is in another process, as OTLP has it.
    pub(super) flags: u32,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    pub(super) status: Status,
    pub(super) status_message: String,
    pub(super) resource: Arc<Resource>,
    pub(super) scope: Arc<Scope>,
}

impl Span {
    pub(super) fn operation(&self) -> &str {
        if self.name.is_empty() { UNNAMED_SPAN } else { &self.name }
    }

    /// Never negative, and never nothing.
    pub(super) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start).max(1)
    }
}

impl Kind {
    pub(super) fn of_number(number: u64) -> Kind {
        match number {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Unspecified,
        }
    }

    pub(super) fn number(self) -> u64 {
        self as u64
    }

    /// As searches and tags have it; empty when it isn't specified.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Unspecified => "",
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }
}

impl Status {
    pub(super) fn of_number(number: u64) -> Status {
        match number {
            1 => Status::Ok,
            2 => Status::Error,
            _ => Status::Unset,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Unset => "UNSET",
            Status::Ok => "OK",
            Status::Error => "ERROR",
        }
    }
}

impl Resource {
    pub(super) fn new(attributes: Attributes) -> Resource {
        let (names, attributes): (Attributes, Attributes) =
            attributes.into_iter().partition(|(key, _)| key == "service.name");
        let service = match names.into_iter().next() {
            None => NAMELESS.to_owned(),
            Some((_, Attribute::Text(name))) if name.is_empty() => EMPTY.to_owned(),
            Some((_, value)) => value.to_text(),
        };
        Resource { service, attributes }
    }
}

impl Attribute {
    /// As searches compare it, and as lists and maps are shown: JSON, texts without quotes.
    pub(super) fn to_text(&self) -> String {
        match self {
            Attribute::Text(text) => text.clone(),
            other => other.to_json().to_string(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        use base64::Engine;
        use serde_json::json;
        match self {
            Attribute::Text(text) => json!(text),
            Attribute::Bool(value) => json!(value),
            Attribute::Int(number) => json!(number),
            // JSON has no words for numbers that are none.
            Attribute::Double(number) if !number.is_finite() => json!(number.to_string()),
            Attribute::Double(number) => json!(number),
            Attribute::Bytes(bytes) => json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
            Attribute::List(values) => values.iter().map(Attribute::to_json).collect(),
            Attribute::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// In the order in which they are shown.
pub(super) fn sorted(mut attributes: Attributes) -> Attributes {
    attributes.sort_by(|left, right| left.0.cmp(&right.0));
    attributes
}
