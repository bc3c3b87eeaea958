//! A span for every request, as a part of the trace that the request speaks of, for a collector such as Jaeger's.
//!
//! Only where a collector is named. A span ends with the last byte of its answer. Nobody waits for the collector: spans
//! that it can't take are dropped, and whoever started us is told once.

mod exporter;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{
        Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer as _,
        TracerProvider,
    },
};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span};
use traces::{Format, Lines, SpanId, TraceId};

use self::exporter::Exporter;
use crate::{body::Body, reply::Connection};

/// How long spans wait for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Formats a request may speak of its trace in; the first that does counts.
const FORMATS: [Format; 3] = [Format::W3c, Format::B3, Format::Jaeger];

/// Where spans go, and what they say of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanSettings {
    /// The whole URL, `http` only.
    pub endpoint: http::Uri,
    /// Beginning with `service.name`.
    pub speaker: Vec<(String, String)>,
}

/// Makes spans and has them sent.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

/// A body that ends its span when it ends.
struct Spanned {
    body: Body,
    _span: Span,
}

impl Spans {
    /// Must be called within a tokio runtime.
    pub(crate) fn start(settings: SpanSettings) -> Self {
        let scope =
            InstrumentationScope::builder("echo-service").with_version(env!("CARGO_PKG_VERSION")).build();
        let exporter = Exporter::new(settings, &scope);
        let batches = BatchConfigBuilder::default().with_scheduled_delay(BATCH_DELAY).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        Self { tracer: provider.tracer_with_scope(scope), provider }
    }

    /// The span of a request that has just arrived.
    pub(crate) fn begin(&self, request: &Request<Body>, connection: &Connection) -> Span {
        let fields =
            request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let lines = Lines::of(fields);
        let received = FORMATS.iter().find_map(|format| format.read(&lines)).unwrap_or_default();
        let mut parent = opentelemetry::Context::new();
        let sampled = received.sampled.unwrap_or(true);
        // A caller may have decided against sampling without naming a trace.
        let unnamed = (!sampled).then(|| TraceId::from(1_u128));
        if let Some(trace_id) = received.trace_id.or(unnamed) {
            let flags = TraceFlags::default().with_sampled(sampled);
            let span_id = received.span_id.unwrap_or(SpanId::from(1_u64));
            let remote = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
            parent = parent.with_remote_span_context(remote);
        }
        let span = self.tracer.span_builder(request.method().to_string()).with_kind(SpanKind::Server);
        span.with_attributes(attributes(request, connection)).start_with_context(&self.tracer, &parent)
    }

    /// Sends what there is, for five seconds at most.
    pub(crate) async fn flush(self) {
        // The collector may be slow, and waiting for it blocks.
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            eprintln!("the last spans could not be sent");
        }
    }
}

fn attributes(request: &Request<Body>, connection: &Connection) -> Vec<KeyValue> {
    let (uri, client) = (request.uri(), &connection.client_address);
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.host().or(host).unwrap_or_default().to_owned();
    let version = format!("{:?}", request.version());
    let mut attributes = vec![
        KeyValue::new("http.request.method", request.method().to_string()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("url.path", uri.path().to_owned()),
        KeyValue::new("server.address", host),
        KeyValue::new("network.protocol.version", version.trim_start_matches("HTTP/").to_owned()),
        KeyValue::new(
            "network.peer.address",
            client.rsplit_once(':').map_or(&**client, |(ip, _)| ip).to_owned(),
        ),
    ];
    attributes.extend(uri.query().map(|query| KeyValue::new("url.query", query.to_owned())));
    attributes
}

/// Tells the span how the request was answered, and has it end with the answer.
pub(crate) fn answered(mut span: Span, response: Response<Body>) -> Response<Body> {
    let status = response.status();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    response.map(|body| Spanned { body, _span: span }.boxed_unsync())
}

/// Tells the span that there is no answer.
pub(crate) fn broken_off(mut span: Span, error: &std::io::Error) {
    span.set_attribute(KeyValue::new("error.type", "aborted"));
    span.set_status(Status::error(error.to_string()));
}

impl http_body::Body for Spanned {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
