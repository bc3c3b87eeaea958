//! What plugins get from outside, and what of theirs outlives a generation.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::log_entry::Entities;
use super::outbox::{Goods, Outbox, OutboxTotals};
use super::prometheus::Series;
use super::rate_limiting::counters::Counters;
use super::rate_limiting::redis::Connections;
use crate::clock::Clock;
use crate::exchange::trace::{Instruments, Tracing};

const LOG_ENTRIES: Goods = Goods { name: "log entries", told_once: false };
const SPANS: Goods = Goods { name: "spans", told_once: true };

/// One per process. Cloned into every plugin that asks.
#[derive(Clone)]
pub struct Environment {
    /// The control runtime: senders of log entries and other work that must not run on a worker.
    pub runtime: Handle,
    pub clock: Clock,
    /// What rate-limiting has counted.
    pub counters: Arc<Counters>,
    /// Servers that count for several gateways.
    pub redis: Arc<Connections>,
    /// Log entries on their way to collectors.
    pub logs: Arc<Outbox>,
    /// What routes and services look like in them.
    pub log_entities: Arc<Mutex<Entities>>,
    /// Spans on their way to collectors.
    pub spans: Arc<Outbox>,
    /// What plugins count under Kong's names.
    pub series: Arc<Series>,
    /// How the process traces where no plugin does.
    pub tracing: Option<Arc<Tracing>>,
    /// What plugins that trace record.
    pub instruments: Instruments,
    /// The share of traces that plugins sample which name none.
    pub sampling_rate: f64,
    pub node: Arc<Node>,
}

/// Who this process is, for plugins that tell.
#[derive(Debug, Clone)]
pub struct Node {
    /// New at every start.
    pub id: Uuid,
    pub hostname: String,
    /// What spans call it.
    pub service_name: String,
}

/// Turns host names into addresses, for connections that plugins make.
pub trait Resolve: Send + Sync {
    /// Addresses of a host, in the order in which they are to be tried.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

impl Environment {
    /// Plugins ask the system for names unless there is a `resolver`.
    pub fn new(runtime: Handle, clock: Clock, resolver: Option<Arc<dyn Resolve>>) -> Environment {
        Environment {
            counters: Arc::new(Counters::new(clock.clone())),
            redis: Arc::new(Connections::new(runtime.clone(), clock.clone(), resolver.clone())),
            logs: Outbox::new(LOG_ENTRIES, runtime.clone(), clock.clone(), resolver.clone()),
            log_entities: Arc::default(),
            spans: Outbox::new(SPANS, runtime.clone(), clock.clone(), resolver),
            series: Arc::default(),
            tracing: None,
            instruments: Instruments::NONE,
            sampling_rate: 0.01,
            node: Arc::new(Node {
                id: Uuid::new_v4(),
                hostname: hostname(),
                service_name: "kong".to_owned(),
            }),
            runtime,
            clock,
        }
    }

    /// What has become of all log entries so far.
    pub fn log_totals(&self) -> OutboxTotals {
        self.logs.totals()
    }

    /// What has become of all spans so far.
    pub fn span_totals(&self) -> OutboxTotals {
        self.spans.totals()
    }

    /// Sends what is waiting to be sent, for no longer than `grace`; what is left is lost, and told. Says how many entries
    /// and spans that are.
    pub async fn shutdown(&self, grace: Duration) -> u64 {
        // Traffic has ended, so what was counted since the last exchange is final.
        tokio::time::timeout(grace, self.redis.flush()).await.unwrap_or_default();
        let (entries, spans) = tokio::join!(self.logs.shutdown(grace), self.spans.shutdown(grace));
        entries + spans
    }
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
