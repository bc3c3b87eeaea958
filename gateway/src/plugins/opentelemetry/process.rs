//! Tracing by the process: every request on a route where no `opentelemetry` plugin runs, to one collector.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{collector, speaker, target};
use crate::exchange::trace::{Instruments, Propagation, Sampler, Tracing};
use crate::plugins::environment::{Environment, Node};
use crate::plugins::outbox::{Limits, Settings, Target, endpoint};
use crate::telemetry::spans::Vocabulary;

/// Spans that wait at most, and their bytes.
const LIMITS: Limits = Limits {
    max_batch_size: 512,
    max_coalescing_delay: Duration::from_secs(1),
    max_entries: 16_384,
    max_bytes: Some(32 << 20),
    max_retry_time: Some(Duration::from_secs(30)),
    initial_retry_delay: Duration::from_millis(100),
    max_retry_delay: Duration::from_secs(5),
    unlimited: false,
};

/// What the process does where no plugin traces, and what plugins take from it.
#[derive(Debug, Clone)]
pub struct TracingSettings {
    /// Where spans of all requests are sent, if anywhere: the whole URL.
    pub endpoint: Option<String>,
    pub headers: Vec<(String, String)>,
    pub service_name: String,
    /// Without the service's name.
    pub attributes: Vec<(String, String)>,
    pub sampler: Sampler,
    pub propagation: Propagation,
    pub instruments: Instruments,
    /// For plugins that say nothing.
    pub sampling_rate: f64,
}

impl Environment {
    /// Has the process trace as it was told to.
    ///
    /// # Errors
    /// The collector's URL or its headers can't be used.
    pub fn traced(mut self, settings: &TracingSettings) -> Result<Environment, String> {
        self.node = Arc::new(Node { service_name: settings.service_name.clone(), ..Node::clone(&self.node) });
        self.instruments = settings.instruments;
        self.sampling_rate = settings.sampling_rate;
        let Some(url) = &settings.endpoint else { return Ok(self) };
        let attributes = settings.attributes.iter().map(|(key, value)| (key, value));
        let speaker = speaker(&self.node, attributes);
        let vocabulary = Vocabulary::OpenTelemetry;
        let target = Target {
            headers: settings.headers.clone(),
            ..target(endpoint("--otlp-endpoint", url)?, &speaker, vocabulary)
        };
        tracing::info!(collector = target.label(), service = settings.service_name, "tracing all requests");
        let collector = collector(&self, Uuid::nil(), Settings { target, limits: LIMITS }, vocabulary)?;
        self.tracing = Some(Arc::new(Tracing {
            propagation: settings.propagation.clone(),
            sampler: settings.sampler,
            instruments: settings.instruments,
            response_header: None,
            collector: Some(collector),
        }));
        Ok(self)
    }
}
