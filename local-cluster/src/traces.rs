//! A sink for traces: OTLP in, Jaeger's answers out, all at one address.
//!
//! | path | speaks |
//! |---|---|
//! | `POST /v1/traces` | OTLP over HTTP, binary or JSON, gzip or plain |
//! | `POST /opentelemetry.proto.collector.trace.v1.TraceService/Export` | OTLP over gRPC, in clear text |
//! | `GET /api/services`, `/api/services/NAME/operations`, `/api/operations`, `/api/traces`, `/api/traces/ID`, `/api/dependencies` | Jaeger's JSON |
//! | `GET /api/v3/services`, `/operations`, `/traces`, `/traces/ID` | OTLP's JSON |
//!
//! It keeps the newest spans in memory, within bounds, and counts those that had to go. It has no pages, no
//! metrics, and no clock-skew adjustment. Spans without a trace id are refused, because nobody could find them.

mod export;
mod go_text;
mod jaeger;
mod otlp_form;
mod otlp_json;
mod otlp_protobuf;
mod query;
mod search;
mod span;
mod store;
mod tree;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::RwLock;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::query::Query;
use self::store::Store;

/// Connections at a time; more wait.
const CONNECTIONS: usize = 256;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A running sink. It ends when dropped.
pub struct TraceSink {
    address: SocketAddr,
    store: Arc<RwLock<Store>>,
    _tasks: JoinSet<()>,
}

impl TraceSink {
    /// Listens at the address; port 0 takes any that is free. Must be called within a tokio runtime.
    pub fn start(address: SocketAddr) -> io::Result<TraceSink> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let store = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&store)));
        Ok(TraceSink { address, store, _tasks: tasks })
    }

    /// Where it listens, with the port it really has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many spans had to go to keep within the bounds.
    pub fn lost(&self) -> u64 {
        self.store.read().lost()
    }

    /// Forgets all spans.
    pub fn clear(&self) {
        self.store.write().clear();
    }
}

async fn serve(listener: TcpListener, store: Arc<RwLock<Store>>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Mostly out of file descriptors; others give theirs back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let store = Arc::clone(&store);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&store), request));
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            builder.http2().timer(TokioTimer::new());
            // A client that goes is no failure of ours.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn answer(store: Arc<RwLock<Store>>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        export::HTTP_PATH => export::http(&store, request).await,
        _ if export::is_grpc(&request) => export::grpc(&store, request).await,
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => not_found(),
        _ => {
            let query = Query::parse(request.uri().query().unwrap_or_default());
            let store = store.read();
            let found = if let Some(rest) = path.strip_prefix("/api/v3/") {
                otlp_form::answer(&store, &decoded(rest), &query)
            } else {
                path.strip_prefix("/api/").and_then(|rest| jaeger::answer(&store, &decoded(rest), &query))
            };
            found.map_or_else(not_found, |(status, body)| json_answer(status, &body))
        }
    })
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn json_answer(status: u16, body: &Value) -> Answer {
    // As Jaeger has it: what is refused is JSON that calls itself text.
    let kind = if status == 200 { "application/json" } else { "text/plain; charset=utf-8" };
    plain_answer(status, kind, body.to_string())
}

fn not_found() -> Answer {
    plain_answer(404, "text/plain; charset=utf-8", "404 page not found\n")
}

fn plain_answer(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests;
