//! Spans as Kong names them: `kong` for the request, `kong.balancer` for an attempt, and so on, all right under the
//! request. Numbers other than statuses are floating, as Lua's are.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::{Spans, address, host_name, lossy, number, route_path, text};
use crate::exchange::Record;
use crate::exchange::trace::{Trace, Work};
use crate::http::target::{host, resource};

pub(super) fn spans(record: &Record, trace: &Trace) -> Vec<SpanData> {
    let mut spans = Spans::of(record, trace);
    spans.request("kong", request(record), Status::Unset);
    for step in trace.steps() {
        let (name, kind, attributes, status) = match &step.what {
            Work::Routing { found } => {
                let status = if *found { Status::Unset } else { Status::error("") };
                ("kong.router".to_owned(), SpanKind::Internal, Vec::new(), status)
            }
            Work::Access(plugin) => {
                (format!("kong.access.plugin.{plugin}"), SpanKind::Internal, Vec::new(), Status::Unset)
            }
            Work::HeaderFilter(plugin) => {
                (format!("kong.header_filter.plugin.{plugin}"), SpanKind::Internal, Vec::new(), Status::Unset)
            }
            Work::Lookup(name, found) => {
                let attributes = vec![
                    text("dns.record.domain", host_name(name).to_owned()),
                    KeyValue::new("dns.record.port", f64::from(found.port())),
                    text("dns.record.ip", address(*found)),
                ];
                ("kong.dns".to_owned(), SpanKind::Client, attributes, Status::Unset)
            }
        };
        spans.add(step.span_id, name, kind, (step.start_ns, step.end_ns), attributes, status);
    }
    for (at, (attempt, tried)) in trace.attempts().iter().zip(&record.tries).enumerate() {
        let mut attributes = vec![
            KeyValue::new("try_count", (at + 1) as f64),
            text("net.peer.ip", address(tried.address)),
            KeyValue::new("net.peer.port", f64::from(tried.address.port())),
            text("net.peer.name", host_name(&attempt.host).to_owned()),
        ];
        let mut status = Status::Unset;
        if let Some(code) = tried.code {
            attributes.push(number("http.status_code", code));
            status = Status::error("");
        }
        let times = (attempt.start_ns, spans.end_of(at, attempt));
        spans.add(attempt.span_id, "kong.balancer", SpanKind::Client, times, attributes, status);
    }
    spans.all
}

fn request(record: &Record) -> Vec<KeyValue> {
    let client = &record.client;
    let scheme = if client.tls.is_some() { "https" } else { "http" };
    let host = host(&record.target, &record.request.fields);
    vec![
        text("http.method", lossy(record.request.method_bytes())),
        text("http.url", format!("{scheme}://{host}{}", lossy(resource(&record.target)))),
        text("http.host", host),
        text("http.scheme", scheme),
        text("http.flavor", record.request.version.as_str()),
        text("http.client_ip", client.address.to_canonical().to_string()),
        text("net.peer.ip", address(client.peer)),
        text("kong.request.id", record.id.as_str().to_owned()),
        number("http.status_code", record.response.status),
        text("http.route", route_path(record).unwrap_or_default()),
    ]
}
