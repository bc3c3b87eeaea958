//! What the gateways' feeds tell of single exchanges: why a request was answered as it was.

use std::time::Duration;

use admin_api::FeedMessage;
use admin_api::client::AdminClient;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::environment::Environment;

/// How long an exchange may take to be told; feeds speak several times a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Feeds that are listened to.
pub(super) struct Feeds(JoinSet<Result<Value, String>>);

impl Feeds {
    /// Begins to listen at every gateway pod, before the request whose exchange is wanted. `ids` tells, later, which
    /// exchange that is.
    ///
    /// # Errors
    /// A feed can't be had.
    pub(super) async fn listen(
        environment: &dyn Environment,
        ids: &tokio::sync::watch::Sender<Vec<String>>,
    ) -> Result<Feeds, String> {
        let mut feeds = JoinSet::new();
        for port in environment.admin_ports().await? {
            let client = AdminClient::new(&port.url).map_err(|error| error.to_string())?;
            let mut feed =
                client.feed().await.map_err(|error| format!("gateway pod {}: {error}", port.pod))?;
            // The first message means that from now on everything is told.
            while let Some(message) = feed.next().await {
                if matches!(message, Ok(FeedMessage::Totals(_)) | Err(_)) {
                    break;
                }
            }
            let mut wanted = ids.subscribe();
            feeds.spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let ids = wanted.borrow_and_update().clone();
                    let found = seen.iter().find(|exchange: &&admin_api::Exchange| ids.contains(&exchange.id));
                    if let Some(exchange) = found {
                        return serde_json::to_value(exchange).map_err(|error| error.to_string());
                    }
                    tokio::select! {
                        message = feed.next() => match message {
                            Some(Ok(FeedMessage::Sample(sample))) => seen.extend(sample.exchanges),
                            Some(Ok(_)) => {}
                            Some(Err(error)) => return Err(error.to_string()),
                            None => return Err("the feed ended".to_owned()),
                        },
                        changed = wanted.changed() => changed.map_err(|_| "nobody wants it any more".to_owned())?,
                    }
                }
            });
        }
        Ok(Feeds(feeds))
    }

    /// The exchange, from whichever gateway it was at.
    ///
    /// # Errors
    /// No feed told of it in time.
    pub(super) async fn find(mut self) -> Result<Value, String> {
        let mut last = "no gateway told of the exchange".to_owned();
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(ended) = self.0.join_next().await {
                match ended {
                    Ok(Ok(exchange)) => return Some(exchange),
                    Ok(Err(error)) => last = error,
                    Err(error) => last = error.to_string(),
                }
            }
            None
        });
        found.await.ok().flatten().ok_or(last)
    }
}
