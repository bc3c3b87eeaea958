//! Taking spans: OTLP over HTTP, in its two encodings, and over gRPC.

use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response};
use parking_lot::RwLock;
use serde_json::json;

use super::span::Span;
use super::store::Store;
use super::{Answer, otlp_json, otlp_protobuf, plain_answer};

pub(super) const HTTP_PATH: &str = "/v1/traces";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
/// The longest body, also when unpacked.
const HTTP_LIMIT: usize = 20 << 20;
const GRPC_LIMIT: usize = 4 << 20;
/// `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED`, `UNIMPLEMENTED`, `INTERNAL` of gRPC.
const INVALID: u8 = 3;
const EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;

const NO_TRACE: &str = "spans without a trace id are not kept";

pub(super) async fn http(store: &RwLock<Store>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return plain_answer(405, "text/plain", "405 method not allowed, supported: [POST]");
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let kind = match kind {
        JSON => JSON,
        PROTOBUF => PROTOBUF,
        _ => {
            let supported =
                "415 unsupported media type, supported: [application/json, application/x-protobuf]";
            return plain_answer(415, "text/plain", supported);
        }
    };
    let encoding = text(CONTENT_ENCODING).to_owned();
    let Ok(body) = Limited::new(request.into_body(), HTTP_LIMIT).collect().await else {
        return bad_body(kind, "http: request body too large");
    };
    let spans = unpacked(body.to_bytes(), &encoding, HTTP_LIMIT).and_then(|body| {
        if kind == JSON {
            otlp_json::spans(&body)
        } else {
            otlp_protobuf::spans(&body).map_err(ToOwned::to_owned)
        }
    });
    match spans {
        Ok(spans) => {
            let refused = store.write().add(spans);
            let body =
                if kind == PROTOBUF { partial_success(refused) } else { partial_success_json(refused) };
            plain_answer(200, kind, body)
        }
        Err(why) => bad_body(kind, &why),
    }
}

fn unpacked(body: Bytes, encoding: &str, limit: usize) -> Result<Bytes, String> {
    match encoding {
        "" | "identity" => Ok(body),
        "gzip" => {
            let mut plain = Vec::new();
            // One byte more than allowed tells that there is more.
            let most = limit as u64 + 1;
            GzDecoder::new(&*body)
                .take(most)
                .read_to_end(&mut plain)
                .map_err(|error| format!("gzip: {error}"))?;
            if plain.len() > limit {
                Err("http: request body too large".to_owned())
            } else {
                Ok(plain.into())
            }
        }
        other => Err(format!("unsupported Content-Encoding: {other}")),
    }
}

/// A `Status` in the encoding of the request.
fn bad_body(kind: &'static str, why: &str) -> Answer {
    if kind == JSON {
        return plain_answer(400, kind, json!({"code": INVALID, "message": why}).to_string());
    }
    let mut status = BytesMut::from(&[0x08, INVALID][..]);
    put_text(&mut status, 2, why);
    plain_answer(400, kind, status.freeze())
}

fn partial_success_json(refused: usize) -> Bytes {
    let partial = match refused {
        0 => json!({}),
        _ => json!({"rejectedSpans": refused.to_string(), "errorMessage": NO_TRACE}),
    };
    json!({"partialSuccess": partial}).to_string().into()
}

/// `ExportTraceServiceResponse{partial_success{rejected_spans, error_message}}`
fn partial_success(refused: usize) -> Bytes {
    let mut partial = BytesMut::new();
    if refused > 0 {
        partial.put_u8(0x08);
        put_varint(&mut partial, refused);
        put_text(&mut partial, 2, NO_TRACE);
    }
    let mut response = BytesMut::from(&[0x0a][..]);
    put_varint(&mut response, partial.len());
    response.extend_from_slice(&partial);
    response.freeze()
}

fn put_text(out: &mut BytesMut, field: u8, text: &str) {
    out.put_u8(field << 3 | 2);
    put_varint(out, text.len());
    out.put_slice(text.as_bytes());
}

fn put_varint(out: &mut BytesMut, mut number: usize) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

pub(super) fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

pub(super) async fn grpc(store: &RwLock<Store>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path != GRPC_PATH {
        let why = match path.rsplit_once('/') {
            Some((service, method)) if GRPC_PATH.starts_with(&format!("{service}/")) => {
                format!("unknown method {method} for service {}", service.trim_start_matches('/'))
            }
            Some((service, _)) => format!("unknown service {}", service.trim_start_matches('/')),
            None => "malformed method name".to_owned(),
        };
        return grpc_failure(UNIMPLEMENTED, &why);
    }
    let encoding =
        request.headers().get("grpc-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = encoding.to_owned();
    let Ok(body) = Limited::new(request.into_body(), GRPC_LIMIT + 5).collect().await else {
        return grpc_failure(EXHAUSTED, &format!("grpc: received message larger than max ({GRPC_LIMIT})"));
    };
    match grpc_spans(body.to_bytes(), &encoding) {
        Ok(spans) => {
            let message = partial_success(store.write().add(spans));
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(message.len() as u32);
            framed.put_slice(&message);
            grpc_answer(Some(framed.freeze()), 0, "")
        }
        Err(why) => grpc_failure(INTERNAL, &format!("grpc: error unmarshalling request: {why}")),
    }
}

/// The spans of the one message that the request is.
fn grpc_spans(body: Bytes, encoding: &str) -> Result<Vec<Span>, String> {
    let [packed, length @ ..] = *body.first_chunk::<5>().ok_or("the message is cut off")?;
    let message = body.slice(5..);
    if message.len() != u32::from_be_bytes(length) as usize {
        return Err("the message is cut off, or there is more than one".to_owned());
    }
    let encoding = if packed == 0 { "" } else { encoding };
    let message = unpacked(message, encoding, GRPC_LIMIT)?;
    otlp_protobuf::spans(&message).map_err(|why| format!("unmarshal: {why}"))
}

fn grpc_failure(code: u8, why: &str) -> Answer {
    grpc_answer(None, code, why)
}

/// Always 200; the outcome is in the trailers.
fn grpc_answer(message: Option<Bytes>, code: u8, why: &str) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if let Ok(why) = HeaderValue::from_str(why)
        && !why.is_empty()
    {
        trailers.insert("grpc-message", why);
    }
    let body = Full::new(message.unwrap_or_default()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut answer = Response::new(body.boxed());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}
