//! Kong's `request-termination`: an answer without an upstream, for maintenance, tests and routes that should
//! not be there.

use std::borrow::Cow;
use std::sync::Arc;

use admin_api::Reason;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::environment::Node;
use super::log_entry::as_in_kong;
use super::registry::Build;
use super::{Flow, Phases, Plugin, exit_json};
use crate::exchange::{Answer, Exchange};
use crate::http::fields::Fields;
use crate::http::{query, target};
use crate::schema::Literal::{Bool, Int};
use crate::schema::{PluginSchema, Record, boolean, field, integer, string, typedefs};

static CONFIG: Record = Record::new(&[
    field("status_code", integer().required().default(Int(503)).between(100.0, 599.0).about("the status")),
    field("message", string().about("the text of a JSON body; by default a word for the status")),
    field("content_type", string().about("the type of `body`")),
    field("body", string().about("the body, as it is")),
    field(
        "echo",
        boolean()
            .required()
            .default(Bool(false))
            .about("answer with what was received and which route took it"),
    ),
    field(
        "trigger",
        typedefs::header_name().about("answer only requests that have this header or query argument"),
    ),
])
.check(|config| {
    let given = |name: &str| config.get(name).is_some_and(Value::is_string);
    if given("message") && (given("content_type") || given("body")) {
        return Err("message cannot be used with content_type or body".to_owned());
    }
    if given("content_type") && !given("body") {
        return Err("content_type requires a body".to_owned());
    }
    if config["echo"] == true && (given("content_type") || given("body")) {
        return Err("echo cannot be used with content_type and body".to_owned());
    }
    Ok(())
});
pub static SCHEMA: PluginSchema =
    PluginSchema::new("request-termination", &CONFIG).about("answers requests itself");

struct RequestTermination {
    settings: Settings,
    node: Arc<Node>,
}

#[derive(Deserialize)]
struct Settings {
    status_code: u16,
    message: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    echo: bool,
    trigger: Option<String>,
}

pub fn build(build: &Build<'_>) -> Result<Arc<dyn Plugin>, String> {
    Ok(Arc::new(RequestTermination { settings: build.settings()?, node: build.environment.node.clone() }))
}

impl Plugin for RequestTermination {
    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn wants_body(&self) -> bool {
        self.settings.echo
    }

    fn access<'a>(&'a self, exchange: &'a mut Exchange) -> Flow<'a> {
        let Settings { status_code: status, message, content_type, body, echo, trigger } = &self.settings;
        if trigger.as_deref().is_some_and(|trigger| !is_triggered(exchange, trigger)) {
            return Flow::Next;
        }
        if let Some(body) = body {
            return Flow::Answer(Answer::Exit {
                status: *status,
                content_type: content_type.clone().map(Cow::Owned),
                body: Bytes::from(body.clone()),
                reason: Reason::Answered,
            });
        }
        let message = message.as_deref().or_else(|| usual_message(*status));
        if *echo {
            return exit_json(*status, &self.echo(exchange, message), Reason::Answered);
        }
        match message {
            Some(message) => exit_json(*status, &json!({ "message": message }), Reason::Answered),
            None => Flow::Answer(Answer::Exit {
                status: *status,
                content_type: None,
                body: Bytes::new(),
                reason: Reason::Answered,
            }),
        }
    }
}

impl RequestTermination {
    fn echo(&self, exchange: &Exchange, message: Option<&str>) -> Value {
        let request = &exchange.request;
        let captures = exchange.matched.as_ref().map(|matched| {
            let named: Map<String, Value> =
                matched.named_captures.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
            let unnamed: Vec<&String> = matched.captures.iter().skip(1).collect();
            json!({"named": named, "unnamed": unnamed})
        });
        let raw_body = exchange.body.as_deref().unwrap_or_default();
        let mut echo = json!({
            "message": message,
            "kong": {
                "node_id": self.node.id,
                "worker_pid": std::process::id(),
                "hostname": self.node.hostname,
            },
            "request": {
                "scheme": if exchange.client.tls.is_some() { "https" } else { "http" },
                "host": target::host(request.target(), &request.fields),
                "port": exchange.client.local.port(),
                "headers": headers(&request.fields),
                "query": arguments(request.query().unwrap_or_default()),
                "body": serde_json::from_slice::<Value>(raw_body).ok(),
                "raw_body": String::from_utf8_lossy(raw_body),
                "method": String::from_utf8_lossy(request.method_bytes()),
                "path": exchange.path,
                "uri_captures": captures,
            },
            "matched_route": exchange.route().map(as_in_kong),
            "matched_service": exchange.service().map(as_in_kong),
        });
        drop_nulls(&mut echo);
        echo
    }
}

fn is_triggered(exchange: &Exchange, trigger: &str) -> bool {
    let mut arguments = query::arguments(exchange.request.query().unwrap_or_default());
    exchange.request.fields.contains(trigger)
        || arguments.any(|argument| *argument.name == *trigger.as_bytes())
}

/// Kong's words for statuses; most have none.
fn usual_message(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "Unauthorized",
        404 => "Not found",
        405 => "Method not allowed",
        500 => "An unexpected error occurred",
        502 => "Bad Gateway",
        503 => "Service unavailable",
        _ => return None,
    })
}

fn headers(fields: &Fields) -> Value {
    let lines = fields.iter().map(|field| {
        (
            String::from_utf8_lossy(field.name).to_ascii_lowercase(),
            json!(String::from_utf8_lossy(field.value)),
        )
    });
    grouped(lines)
}

fn arguments(query: &[u8]) -> Value {
    let arguments = query::arguments(query).map(|argument| {
        let value = argument.value.map_or(json!(true), |value| json!(String::from_utf8_lossy(&value)));
        (String::from_utf8_lossy(&argument.name).into_owned(), value)
    });
    grouped(arguments)
}

/// An object; a name that comes more than once gets a list.
fn grouped(items: impl Iterator<Item = (String, Value)>) -> Value {
    let mut object = Map::new();
    for (name, value) in items {
        match object.get_mut(&name) {
            None => {
                object.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(object)
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|_, value| !value.is_null());
        object.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests;
