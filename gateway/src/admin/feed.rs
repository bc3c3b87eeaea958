//! `GET /feed`: totals and samples several times a second, made once for all viewers and not at all without any.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use admin_api::feed::{ConfigChange, FeedMessage, Hello};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Notify, broadcast};

use super::Admin;
use super::status::problem;

/// How often totals and samples are sent.
const PERIOD: Duration = Duration::from_millis(250);
/// Making totals may take this part of the time, so that with many routes they are sent less often.
const SHARE: u32 = 100;
/// But not less often than this.
const LONGEST: Duration = Duration::from_secs(5);
/// Messages a slow viewer may be behind before it skips some.
const BEHIND: usize = 32;

/// Distributes the feed.
#[derive(Clone)]
pub struct FeedHub {
    lines: broadcast::Sender<Bytes>,
    viewers: Arc<AtomicUsize>,
    arrived: Arc<Notify>,
}

/// A viewer; counted until it is dropped.
struct Viewer {
    hub: FeedHub,
    lines: broadcast::Receiver<Bytes>,
    first: Vec<Bytes>,
}

impl FeedHub {
    pub fn new() -> FeedHub {
        FeedHub { lines: broadcast::Sender::new(BEHIND), viewers: Arc::default(), arrived: Arc::default() }
    }

    /// Makes the feed as long as somebody watches. Never returns.
    pub async fn run(self, admin: Admin) {
        let mut published = admin.publisher.subscribe();
        let mut due = admin.clock.now();
        loop {
            if self.viewers.load(Ordering::Acquire) == 0 {
                admin.stats.watch(false);
                self.arrived.notified().await;
                // What was sampled before anybody watched is not theirs.
                admin.stats.take_sample();
                admin.stats.watch(true);
            }
            if published.has_changed().unwrap_or(false) {
                published.mark_unchanged();
                self.send(&FeedMessage::Config(admin.config_change()));
                due = admin.clock.now();
            }
            let mut sample = admin.stats.take_sample();
            sample.exchanges.sort_by_key(|exchange| exchange.started_at_ms);
            let began = admin.clock.now();
            if began >= due {
                self.send(&FeedMessage::Totals(Box::new(admin.totals())));
                let took = admin.clock.now().since(began);
                due = began + (took * SHARE).clamp(PERIOD, LONGEST);
            }
            self.send(&FeedMessage::Sample(sample));
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn send(&self, message: &FeedMessage) {
        // Nobody listening is not an error.
        let _ = self.lines.send(line(message));
    }

    fn join(&self, admin: &Admin) -> Viewer {
        let hello = Hello {
            instance: admin.instance.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms: admin.started_at_ms,
        };
        let first = vec![
            line(&FeedMessage::Totals(Box::new(admin.totals()))),
            line(&FeedMessage::Config(admin.config_change())),
            line(&FeedMessage::Hello(hello)),
        ];
        let lines = self.lines.subscribe();
        self.viewers.fetch_add(1, Ordering::AcqRel);
        self.arrived.notify_one();
        Viewer { hub: self.clone(), lines, first }
    }
}

impl Default for FeedHub {
    fn default() -> Self {
        FeedHub::new()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.viewers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(line) = self.first.pop() {
            return Some(line);
        }
        loop {
            match self.lines.recv().await {
                Ok(line) => return Some(line),
                // Counters are cumulative: what was skipped is made up for by the next message.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

pub(super) async fn stream(State(admin): State<Admin>) -> Response {
    let viewer = admin.feed.join(&admin);
    let lines = stream::unfold(viewer, |mut viewer| async move {
        let line = viewer.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), viewer))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

impl Admin {
    fn config_change(&self) -> ConfigChange {
        let published = self.publisher.subscribe().borrow().clone();
        let snapshot = self.publisher.live().load_full();
        ConfigChange {
            at_ms: published.since_ms,
            generation: published.generation,
            routes: snapshot.model.routes.len() as u64,
            services: snapshot.model.services.len() as u64,
            plugins: snapshot.model.plugins.len() as u64,
            problems: published.problems.iter().map(problem).collect(),
        }
    }
}

fn line(message: &FeedMessage) -> Bytes {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
