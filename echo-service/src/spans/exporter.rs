//! Posts batches of spans over HTTP. The batches come from a thread of OpenTelemetry's own, which waits for the answer;
//! the sockets belong to the runtime that started us.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use tokio::runtime::Handle;
use traces::otlp::{self, Envelope};

use super::SpanSettings;

/// From the first byte sent to the last one received.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody has more to say about spans.
const LONGEST_ANSWER: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Exporter {
    runtime: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: Uri,
    envelope: Envelope,
    /// Told, and not over yet.
    in_trouble: AtomicBool,
}

impl Exporter {
    pub(super) fn new(settings: SpanSettings, scope: &InstrumentationScope) -> Self {
        Self {
            runtime: Handle::current(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            envelope: Envelope::new(&settings.speaker, scope),
            endpoint: settings.endpoint,
            in_trouble: AtomicBool::new(false),
        }
    }

    fn tell(&self, outcome: &Result<(), String>) {
        let (endpoint, was_in_trouble) =
            (&self.endpoint, self.in_trouble.swap(outcome.is_err(), Ordering::Relaxed));
        match outcome {
            Err(error) if !was_in_trouble => eprintln!("spans can't be sent to {endpoint}: {error}"),
            Ok(()) if was_in_trouble => eprintln!("spans are sent to {endpoint} again"),
            _ => {}
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans: Vec<Vec<u8>> = batch.into_iter().map(otlp::span).collect();
        let body = Bytes::from(self.envelope.around(&spans));
        let posting = self.runtime.spawn(post(self.client.clone(), self.endpoint.clone(), body));
        let outcome = posting.await.unwrap_or_else(|_| Err("we are about to end".to_owned()));
        self.tell(&outcome);
        outcome.map_err(OTelSdkError::InternalFailure)
    }
}

async fn post(client: Client<HttpConnector, Full<Bytes>>, endpoint: Uri, body: Bytes) -> Result<(), String> {
    let request = Request::post(endpoint)
        .header(header::CONTENT_TYPE, otlp::CONTENT_TYPE)
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = client.request(request).await.map_err(|error| innermost(&error))?;
        let status = answer.status();
        // Read whatever it says, so that the connection can be used again.
        let _ = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        if status.is_success() { Ok(()) } else { Err(format!("it answers {status}")) }
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err("it doesn't answer".to_owned()))
}

/// What it comes down to: the outer errors only say that there was one.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
