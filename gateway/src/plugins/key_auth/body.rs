//! Named values in a request's body: forms, JSON objects and multipart forms. Everything else has none.

use memchr::memmem;
use serde_json::Value;

use crate::exchange::Exchange;
use crate::http::name::Name;
use crate::http::query;

/// A body whose form is understood.
pub(super) enum FormBody<'a> {
    Form(&'a [u8]),
    Json(serde_json::Map<String, Value>),
    Multipart { body: &'a [u8], boundary: Vec<u8> },
}

impl<'a> FormBody<'a> {
    pub(super) fn of(exchange: &'a Exchange) -> Option<FormBody<'a>> {
        let body = exchange.body.as_deref()?;
        let content_type = exchange.request.fields.get_str(Name::ContentType)?;
        let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Some(FormBody::Form(body)),
            "application/json" => serde_json::from_slice(body).ok().map(FormBody::Json),
            "multipart/form-data" => {
                let boundary = parameter(content_type, "boundary")?;
                Some(FormBody::Multipart { body, boundary: format!("--{boundary}").into_bytes() })
            }
            _ => None,
        }
    }

    /// Values under a name. One in a JSON list is one of several, however long the list.
    pub(super) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        match self {
            FormBody::Form(body) => {
                let named = query::arguments(body).filter(|argument| *argument.name == *name.as_bytes());
                named.filter_map(|argument| Some(argument.value?.into_owned())).collect()
            }
            FormBody::Json(object) => match object.get(name) {
                Some(Value::String(text)) => vec![text.clone().into_bytes()],
                Some(Value::Array(_) | Value::Object(_)) => vec![Vec::new(), Vec::new()],
                _ => Vec::new(),
            },
            FormBody::Multipart { body, boundary } => {
                let named = parts(body, boundary).filter(|part| part.name() == Some(name));
                named.map(|part| part.content.to_vec()).collect()
            }
        }
    }

    /// The body without that name, in its own form; `None` if the name isn't in it.
    pub(super) fn without(&self, name: &str) -> Option<Vec<u8>> {
        if self.values(name).is_empty() {
            return None;
        }
        Some(match self {
            FormBody::Form(body) => query::without(body, |argument| *argument.name == *name.as_bytes()),
            FormBody::Json(object) => {
                let mut object = object.clone();
                object.shift_remove(name);
                Value::Object(object).to_string().into_bytes()
            }
            FormBody::Multipart { body, boundary } => {
                let mut out = Vec::new();
                for part in parts(body, boundary).filter(|part| part.name() != Some(name)) {
                    out.extend_from_slice(boundary);
                    out.extend_from_slice(part.raw);
                }
                out.extend_from_slice(boundary);
                out.extend_from_slice(b"--\r\n");
                out
            }
        })
    }
}

struct Part<'a> {
    /// From the end of the boundary to the start of the next.
    raw: &'a [u8],
    head: &'a [u8],
    content: &'a [u8],
}

impl<'a> Part<'a> {
    fn name(&self) -> Option<&'a str> {
        let head = std::str::from_utf8(self.head).ok()?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
        })?;
        parameter(disposition, "name")
    }
}

fn parts<'a>(body: &'a [u8], boundary: &'a [u8]) -> impl Iterator<Item = Part<'a>> {
    let starts: Vec<usize> = memmem::find_iter(body, boundary).map(|at| at + boundary.len()).collect();
    let ends: Vec<usize> = starts.iter().skip(1).map(|start| start - boundary.len()).collect();
    starts.into_iter().zip(ends).filter_map(move |(start, end)| {
        let raw = &body[start..end];
        let split = memmem::find(raw, b"\r\n\r\n")?;
        let content = &raw[split + 4..];
        Some(Part { raw, head: &raw[..split], content: content.strip_suffix(b"\r\n").unwrap_or(content) })
    })
}

/// A parameter of a header value: `; name="value"`.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}
