//! Exchanges, environments and waiting for plugin tests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::credentials::Credentials;
use super::environment::Environment;
use super::registry::{self, Build};
use super::{Flow, Plugin};
use crate::clock::Clock;
use crate::exchange::{Answer, Client, Exchange, RequestId};
use crate::http::head::{RequestHead, Version};
use crate::model::{Consumer, Scope};

/// 2026-11-24 03:30:07.25 UTC.
pub(crate) const NOW: Duration = Duration::from_millis(1_795_491_007_250);

/// What plugins are built with, on a clock that is held.
pub(crate) struct Bench {
    pub clock: Clock,
    pub environment: Environment,
    pub credentials: Arc<Credentials>,
    pub scope: Scope,
    /// Keeps the control runtime alive where a test has none of its own.
    _runtime: Option<tokio::runtime::Runtime>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let runtime = tokio::runtime::Handle::try_current().is_err().then(|| {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
        });
        let handle =
            runtime.as_ref().map_or_else(tokio::runtime::Handle::current, |own| own.handle().clone());
        let clock = Clock::held(NOW);
        Bench {
            environment: Environment::new(handle, clock.clone(), None),
            clock,
            credentials: Arc::default(),
            scope: Scope::default(),
            _runtime: runtime,
        }
    }

    pub(crate) fn with_consumers(mut self, consumers: impl IntoIterator<Item = Consumer>) -> Bench {
        let consumers = consumers.into_iter().map(|consumer| (consumer.id, consumer)).collect();
        self.credentials = Credentials::of(&consumers, None);
        self
    }

    /// A plugin with these settings, which have to pass its schema.
    pub(crate) fn build(&self, name: &str, settings: Value) -> Arc<dyn Plugin> {
        self.try_build(name, settings).unwrap()
    }

    pub(crate) fn try_build(&self, name: &str, settings: Value) -> Result<Arc<dyn Plugin>, String> {
        let entry = registry::find(name).unwrap();
        let settings = entry.schema.check(&settings).map_err(|errors| errors.message())?;
        (entry.build)(&Build {
            settings: &settings,
            id: Uuid::from_u128(1),
            scope: self.scope,
            environment: &self.environment,
            credentials: &self.credentials,
        })
    }
}

/// An exchange for a request as it stands on the wire, from 127.0.0.1.
pub(crate) fn exchange(request: &str) -> Exchange {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 18_000));
    let client = Client {
        peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        local,
        trusted: false,
        secure: false,
        tls: None,
    };
    let head = head(request);
    let mut exchange = Exchange::new(RequestId::random(), client, head, NOW.as_micros() as u64);
    exchange.path = String::from_utf8(exchange.request.path().to_vec()).unwrap();
    exchange
}

fn head(request: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let mut lines = request.split("\r\n");
    let mut line = lines.next().unwrap().split(' ');
    head.set_method(line.next().unwrap().as_bytes());
    head.set_target(line.next().unwrap().as_bytes());
    head.version = if line.next() == Some("HTTP/1.0") { Version::Http10 } else { Version::Http11 };
    for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')) {
        head.fields.append(name, value.trim());
    }
    head
}

/// The request's header lines as text.
pub(crate) fn sent(exchange: &Exchange) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    exchange.request.fields.iter().map(|field| (text(field.name), text(field.value))).collect()
}

/// Status and message or body of what a plugin decided; `None` when it lets the request pass.
pub(crate) fn verdict(flow: Flow<'_>) -> Option<(u16, String)> {
    match flow {
        Flow::Next => None,
        Flow::Answer(Answer::Error { status, message, .. }) => Some((status, message.into_owned())),
        Flow::Answer(Answer::Exit { status, body, .. }) => {
            Some((status, String::from_utf8(body.to_vec()).unwrap()))
        }
        Flow::Answer(Answer::FrontEnd { status, .. } | Answer::Page { status, .. }) => {
            Some((status, String::new()))
        }
        Flow::Fail(text) => Some((500, text.into_owned())),
        Flow::Wait(_) => unreachable!("plugins don't wait here"),
    }
}

/// Waits until something is so, at most ten seconds; `what` says what was waited for.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(10), "still waiting for: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
