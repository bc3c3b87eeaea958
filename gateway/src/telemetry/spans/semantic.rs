//! Spans as OpenTelemetry's conventions for HTTP have them (1.23 and later): the request's is named after method and
//! route, an attempt's after the method. What the conventions have no word for is under `limen`.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::{Spans, address, host_name, lossy, number, route_path, text};
use crate::exchange::Record;
use crate::exchange::trace::{Trace, Work};
use crate::http::head::Method;
use crate::http::name::Name;
use crate::http::target::{host, resource};

/// Steps that took less, in nanoseconds, are left out: a trace is read for what took time.
const NEGLIGIBLE_NS: u64 = 1_000;

pub(super) fn spans(record: &Record, trace: &Trace) -> Vec<SpanData> {
    let mut spans = Spans::of(record, trace);
    let method = method(record);
    let route = route_path(record);
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_string(),
    };
    let status = record.response.status;
    spans.request(name, request(record, &method, route), failed(status >= 500, record));
    for step in trace.steps() {
        if step.end_ns.saturating_sub(step.start_ns) < NEGLIGIBLE_NS {
            continue;
        }
        let phase = |plugin: &'static str, phase| {
            (format!("{plugin} {phase}"), vec![text("limen.plugin", plugin), text("limen.phase", phase)])
        };
        let (name, attributes) = match &step.what {
            Work::Routing { .. } => ("route".to_owned(), Vec::new()),
            Work::Access(plugin) => phase(plugin, "access"),
            Work::HeaderFilter(plugin) => phase(plugin, "header_filter"),
            Work::Lookup(name, found) => {
                let name = host_name(name).to_owned();
                let answers = KeyValue::new(
                    "dns.answers",
                    opentelemetry::Value::Array(
                        vec![opentelemetry::StringValue::from(address(*found))].into(),
                    ),
                );
                (format!("DNS {name}"), vec![text("dns.question.name", name), answers])
            }
        };
        let times = (step.start_ns, step.end_ns);
        spans.add(step.span_id, name, SpanKind::Internal, times, attributes, Status::Unset);
    }
    for (at, (attempt, tried)) in trace.attempts().iter().zip(&record.tries).enumerate() {
        let port = tried.address.port();
        let mut attributes = vec![
            text("http.request.method", method.clone()),
            text("url.full", url_of(record, &attempt.host)),
            text("server.address", host_name(&attempt.host).to_owned()),
            number("server.port", port),
            text("network.peer.address", address(tried.address)),
            number("network.peer.port", port),
        ];
        if at > 0 {
            attributes.push(number("http.request.resend_count", at as i64));
        }
        if let Some(status) = tried.status {
            attributes.push(number("http.response.status_code", status));
        }
        // Of statuses only 5xx count: that a target has no such page is no fault of the way there.
        let failed = match (attempt.failed, tried.status) {
            (Some(reason), _) => Some(Cow::from(reason.as_str())),
            (None, Some(status)) if status >= 500 => Some(Cow::from(status.to_string())),
            _ => None,
        };
        let status = if failed.is_some() { Status::error("") } else { Status::Unset };
        attributes.extend(failed.map(|kind| text("error.type", kind)));
        let times = (attempt.start_ns, spans.end_of(at, attempt));
        spans.add(attempt.span_id, method.clone(), SpanKind::Client, times, attributes, status);
    }
    spans.all
}

/// Methods nobody knows would make as many names of spans as there are fools.
fn method(record: &Record) -> Cow<'static, str> {
    match record.request.method() {
        Method::Other => "_OTHER".into(),
        _ => lossy(record.request.method_bytes()).into(),
    }
}

fn request(record: &Record, method: &str, route: Option<String>) -> Vec<KeyValue> {
    let (client, request) = (&record.client, &record.request);
    let resource = lossy(resource(&record.target));
    let (path, query) =
        resource.split_once('?').map_or((&*resource, None), |(path, query)| (path, Some(query)));
    let mut attributes = vec![
        text("http.request.method", method.to_owned()),
        text("url.scheme", if client.tls.is_some() { "https" } else { "http" }),
        text("url.path", path.to_owned()),
        text("server.address", host(&record.target, &request.fields)),
        number("server.port", client.local.port()),
        text("network.protocol.version", request.version.as_str()),
        text("network.peer.address", address(client.peer)),
        text("client.address", client.address.to_canonical().to_string()),
        number("http.response.status_code", record.response.status),
        text("limen.request_id", record.id.as_str().to_owned()),
        text("limen.reason", record.outcome.reason.as_str()),
    ];
    attributes.extend(query.map(|query| text("url.query", query.to_owned())));
    attributes.extend(route.map(|route| text("http.route", route)));
    attributes
        .extend(request.fields.get(Name::UserAgent).map(|agent| text("user_agent.original", lossy(agent))));
    if let Some(matched) = &record.matched {
        attributes.extend(matched.route.name.clone().map(|name| text("limen.route", name)));
        let service = matched.service.as_ref().and_then(|service| service.name.clone());
        attributes.extend(service.map(|name| text("limen.service", name)));
    }
    if let Some(plugin) = record.outcome.ended_by {
        attributes.push(text("limen.ended_by", plugin));
    }
    if record.response.status >= 500 {
        attributes.push(text("error.type", record.outcome.reason.as_str()));
    }
    attributes
}

fn failed(failed: bool, record: &Record) -> Status {
    if failed { Status::error(record.outcome.detail.clone()) } else { Status::Unset }
}

fn url_of(record: &Record, host: &str) -> String {
    let service = record.matched.as_ref().and_then(|matched| matched.service.as_ref());
    let tls = service.is_some_and(|service| service.protocol.is_tls());
    format!("{}://{host}{}", if tls { "https" } else { "http" }, lossy(&record.upstream_target))
}
