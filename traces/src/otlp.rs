//! Spans in OpenTelemetry's wire form (OTLP, protobuf), for the body of a POST.

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

/// The media type of [`encode`]'s result.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Who speaks: attributes in this order, and nothing else.
pub fn resource(attributes: impl IntoIterator<Item = (String, String)>) -> Resource {
    let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value));
    Resource::builder_empty().with_attributes(attributes).build()
}

/// An export request with these spans.
pub fn encode(spans: Vec<SpanData>, resource: &Resource) -> Vec<u8> {
    let resource = ResourceAttributesWithSchema::from(resource);
    ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &resource) }
        .encode_to_vec()
}

/// What a collector that took a request did not take of it: how many spans, and why. An answer that isn't one says
/// nothing.
pub fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let rejected = u64::try_from(partial.rejected_spans).ok()?;
    (rejected > 0).then_some((rejected, partial.error_message))
}
