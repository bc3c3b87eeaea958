//! What a search asks for, and which traces answer it. All of its conditions must hold for one span of the
//! service.

use super::go_text::parse_duration;
use super::query::Query;
use super::span::{Attributes, Span, Status};
use super::store::{MOST_TRACES, Store};

/// Traces that a search gives when it doesn't say how many.
const USUAL: usize = 100;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Search {
    /// Any, when it is empty.
    pub(super) service: String,
    pub(super) operation: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    /// Nanoseconds: when a span must begin.
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    pub(super) shortest: Option<u64>,
    pub(super) longest: Option<u64>,
    pub(super) limit: usize,
}

/// A search that can't be done: code and words.
pub(super) type Refusal = (u16, String);

impl Search {
    /// From the parameters of `/api/traces`.
    pub(super) fn of_jaeger(query: &Query) -> Result<Search, Refusal> {
        let bad = |message: String| (400, message);
        let time = |name: &str| match query.get(name) {
            None | Some("") => Ok(None),
            Some(text) => {
                let number =
                    parse_int(text).map_err(|why| bad(format!("unable to parse param '{name}': {why}")))?;
                Ok(Some(u64::try_from(number).unwrap_or(0).saturating_mul(1_000)))
            }
        };
        let duration = |name: &str| match query.get(name) {
            None | Some("") => Ok(None),
            Some(text) => {
                let length = parse_duration(text)
                    .map_err(|why| bad(format!("unable to parse param '{name}': {why}")))?;
                Ok(Some(u64::try_from(length).unwrap_or(0)))
            }
        };
        let service = query.get("service").unwrap_or_default();
        if service.is_empty() {
            return Err(bad("parameter 'service' is required".to_owned()));
        }
        let limit = match query.get("limit") {
            None | Some("") => USUAL as i64,
            Some(text) => parse_int(text).map_err(bad)?,
        };
        let (shortest, longest) = (duration("minDuration")?, duration("maxDuration")?);
        if let (Some(shortest), Some(longest)) = (shortest, longest)
            && shortest > longest
        {
            return Err(bad("'maxDuration' should be greater than 'minDuration'".to_owned()));
        }
        let search = Search {
            service: service.to_owned(),
            operation: query.get("operation").filter(|name| !name.is_empty()).map(ToOwned::to_owned),
            tags: tags(query).map_err(bad)?,
            from: time("start")?,
            to: time("end")?,
            shortest,
            longest,
            limit: checked_limit(limit)?,
        };
        Ok(search)
    }

    /// The newest traces that answer it.
    pub(super) fn run<'a>(&self, store: &'a Store) -> Vec<&'a [Span]> {
        store.traces().filter(|spans| spans.iter().any(|span| self.takes(span))).take(self.limit).collect()
    }

    fn takes(&self, span: &Span) -> bool {
        (self.service.is_empty() || span.resource.service == self.service)
            && self.operation.as_deref().is_none_or(|name| span.operation() == name)
            && self.from.is_none_or(|from| span.start >= from)
            && self.to.is_none_or(|to| span.start <= to)
            && self.shortest.is_none_or(|shortest| span.duration() >= shortest)
            && self.longest.is_none_or(|longest| span.duration() <= longest)
            && self.tags.iter().all(|(key, value)| has_tag(span, key, value))
    }
}

pub(super) fn checked_limit(limit: i64) -> Result<usize, Refusal> {
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=MOST_TRACES).contains(limit));
    limit.ok_or((500, "search depth must be greater than 0 and less than max traces".to_owned()))
}

/// `tag=key:value`, any number of times, and `tags={"key":"value"}`.
fn tags(query: &Query) -> Result<Vec<(String, String)>, String> {
    let mut tags = Vec::new();
    for tag in query.all("tag") {
        let malformed = || format!("malformed 'tag' parameter, expecting key:value, received: {tag}");
        let (key, value) = tag.split_once(':').ok_or_else(malformed)?;
        tags.push((key.to_owned(), value.to_owned()));
    }
    for text in query.all("tags") {
        let object: std::collections::BTreeMap<String, String> = serde_json::from_str(text)
            .map_err(|error| format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"))?;
        tags.extend(object);
    }
    Ok(tags)
}

/// # Errors
/// In Go's words.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// A few keys stand for fields of a span; any other is an attribute of the span, its events or its resource.
fn has_tag(span: &Span, key: &str, value: &str) -> bool {
    match key {
        "error" => match value {
            "true" => span.status == Status::Error,
            "false" => span.status == Status::Ok,
            _ => false,
        },
        "span.kind" => span.kind.word().eq_ignore_ascii_case(value),
        "span.status" => span.status.word().eq_ignore_ascii_case(value),
        "scope.name" => span.scope.name == value,
        "scope.version" => span.scope.version == value,
        _ => {
            let has = |attributes: &Attributes, key: &str| {
                attributes.iter().any(|(name, attribute)| name == key && attribute.to_text() == value)
            };
            match key.strip_prefix("resource.") {
                Some("service.name") => span.resource.service == value,
                Some(key) if has(&span.resource.attributes, key) => true,
                _ => {
                    has(&span.attributes, key)
                        || has(&span.resource.attributes, key)
                        || span.events.iter().any(|event| has(&event.attributes, key))
                        || (key == "service.name" && span.resource.service == value)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::traces::span::{Attribute, Kind, Resource};

    fn search(query: &str) -> Result<Search, Refusal> {
        Search::of_jaeger(&Query::parse(query))
    }

    fn span() -> Span {
        let name = ("service.name".to_owned(), Attribute::Text("echo".to_owned()));
        let version = ("service.version".to_owned(), Attribute::Text("v1".to_owned()));
        Span {
            trace: 1,
            name: "GET /".to_owned(),
            kind: Kind::Server,
            start: 5_000_000,
            end: 9_000_000,
            status: Status::Error,
            attributes: vec![("http.response.status_code".to_owned(), Attribute::Int(429))],
            resource: Arc::new(Resource::new(vec![name, version])),
            ..Span::default()
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let mut store = Store::default();
        store.add(vec![span()]);
        let found = |query: &str| search(query).unwrap().run(&store).len() == 1;
        for (query, expected) in [
            ("service=echo", true),
            ("service=other", false),
            ("service=echo&operation=GET%20/", true),
            ("service=echo&operation=all", false),
            ("service=echo&start=5000&end=5000", true),
            ("service=echo&start=5001", false),
            ("service=echo&minDuration=4ms&maxDuration=4ms", true),
            ("service=echo&minDuration=4.1ms", false),
            ("service=echo&tag=http.response.status_code:429", true),
            ("service=echo&tags=%7B%22error%22%3A%22true%22%2C%22span.kind%22%3A%22server%22%7D", true),
            ("service=echo&tag=error:false", false),
            ("service=echo&tag=resource.service.version:v1", true),
            ("service=echo&tag=service.version:v2", false),
            ("service=echo&minDuration=&lookback=nonsense", true),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
    }

    #[test]
    fn what_can_not_be_searched_is_refused() {
        for (query, code, words) in [
            ("", 400, "parameter 'service' is required"),
            ("service=a&limit=0", 500, "search depth must be greater than 0"),
            ("service=a&limit=x", 400, "strconv.ParseInt: parsing \"x\""),
            ("service=a&start=x", 400, "unable to parse param 'start'"),
            ("service=a&minDuration=4", 400, "missing unit"),
            ("service=a&minDuration=2ms&maxDuration=1ms", 400, "should be greater"),
            ("service=a&tag=error", 400, "expecting key:value"),
            ("service=a&tags=abc", 400, "cannot unmarshal JSON"),
            ("service=a&tags=%7B%22a%22%3A1%7D", 400, "cannot unmarshal JSON"),
        ] {
            let (seen, message) = search(query).unwrap_err();
            assert!(seen == code && message.contains(words), "{query}: {seen} {message}");
        }
    }
}
