//! Spans in OpenTelemetry's wire form (OTLP, protobuf), for the body of a POST.
//!
//! A span is encoded when it ends and waits as bytes. What spans have in common is put around them when they are sent:
//! a message in protobuf is its fields one after another, so nothing is encoded twice.

use opentelemetry::{InstrumentationScope, Value};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// The media type of what [`Envelope::around`] gives.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Numbers of the fields that hold the next smaller unit, in `ExportTraceServiceRequest` and in `ResourceSpans`.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;

/// What spans have in common: who speaks, and with which part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// A `ResourceSpans` without spans.
    resource: Vec<u8>,
    /// A `ScopeSpans` without spans.
    scope: Vec<u8>,
}

/// One span, as a `ScopeSpans` that holds nothing else.
pub fn span(span: SpanData) -> Vec<u8> {
    ScopeSpans { spans: vec![span.into()], ..ScopeSpans::default() }.encode_to_vec()
}

impl Envelope {
    /// `speaker` are the attributes of whoever sends, such as `service.name`.
    pub fn new(speaker: &[(String, String)], scope: &InstrumentationScope) -> Envelope {
        let attribute = |(key, value): &(String, String)| KeyValue {
            key: key.clone(),
            value: Some(Value::from(value.clone()).into()),
            ..KeyValue::default()
        };
        let attributes = speaker.iter().map(attribute).collect();
        let resource = Some(Resource { attributes, ..Resource::default() });
        let resource = ResourceSpans { resource, ..ResourceSpans::default() };
        let scope = ScopeSpans { scope: Some((scope.clone(), None).into()), ..ScopeSpans::default() };
        Envelope { resource: resource.encode_to_vec(), scope: scope.encode_to_vec() }
    }

    /// An export request with these spans, each as [`span`] made it.
    pub fn around(&self, spans: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let in_scope = self.scope.len() + spans.iter().map(|span| span.as_ref().len()).sum::<usize>();
        // Two keys of a byte each and two lengths of ten bytes at most.
        let mut message = Vec::with_capacity(self.resource.len() + in_scope + 22);
        let mut scope_header = Vec::new();
        encode_key(SCOPE_SPANS, WireType::LengthDelimited, &mut scope_header);
        encode_varint(in_scope as u64, &mut scope_header);
        encode_key(RESOURCE_SPANS, WireType::LengthDelimited, &mut message);
        encode_varint((self.resource.len() + scope_header.len() + in_scope) as u64, &mut message);
        message.extend_from_slice(&self.resource);
        message.extend_from_slice(&scope_header);
        message.extend_from_slice(&self.scope);
        for span in spans {
            message.extend_from_slice(span.as_ref());
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::KeyValue as Attribute;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn named(name: &'static str, scope: &InstrumentationScope) -> SpanData {
        let (trace_id, span_id) = (TraceId::from(7_u128), SpanId::from(8_u64));
        SpanData {
            span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: name.into(),
            start_time: UNIX_EPOCH,
            end_time: UNIX_EPOCH + Duration::from_nanos(5),
            attributes: vec![Attribute::new("a", 1), Attribute::new("b", 2.5)],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::error("why"),
            instrumentation_scope: scope.clone(),
        }
    }

    #[test]
    fn spans_in_their_envelope_are_what_a_whole_request_would_be() {
        let scope = InstrumentationScope::builder("scope").with_version("1").build();
        let speaker = [("service.name".to_owned(), "x".repeat(200)), ("env".to_owned(), "test".to_owned())];
        let spans = [named("one", &scope), named("two", &scope)];
        let apart: Vec<Vec<u8>> = spans.iter().cloned().map(span).collect();
        let message = Envelope::new(&speaker, &scope).around(&apart);
        let mut whole =
            group_spans_by_resource_and_scope(spans.to_vec(), &ResourceAttributesWithSchema::default());
        let attribute = |(key, value): &(String, String)| KeyValue {
            key: key.clone(),
            value: Some(Value::from(value.clone()).into()),
            ..KeyValue::default()
        };
        whole[0].resource.as_mut().unwrap().attributes = speaker.iter().map(attribute).collect();
        assert_eq!(
            ExportTraceServiceRequest::decode(&*message).unwrap(),
            ExportTraceServiceRequest { resource_spans: whole }
        );
    }
}
