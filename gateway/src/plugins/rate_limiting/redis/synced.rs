//! Counting here and telling Redis every so often (`sync_rate`): no request waits for the server but the first
//! of its kind.
//!
//! Between two exchanges a gateway knows what it has admitted itself, exactly, and what the others had admitted
//! at the last exchange. Together gateways admit at most the limit and what was admitted in one interval.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::client::Client;
use super::protocol::{Command, Reply};
use super::{Window, admit, unexpected};
use crate::clock::Clock;
use crate::plugins::rate_limiting::counters::Usage;

/// Windows that are counted here; beyond them every request asks the server.
const MOST: usize = 100_000;
/// Windows that are told to the server in one message.
const BATCH: usize = 500;

/// Adds what was counted here, and gives back the sum of all gateways.
const ADD: &str = r"
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if sum == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return sum";

/// Counters of one server and one interval.
pub(super) struct Synced {
    client: Arc<Client>,
    windows: Mutex<HashMap<String, Count>>,
}

/// One window.
struct Count {
    /// What all gateways had counted at the last exchange.
    known: u64,
    /// Counted here since then: what is being told, and what is not yet.
    telling: u64,
    untold: u64,
    /// Seconds until the server may forget it.
    lifetime: u32,
}

impl Count {
    fn sum(&self) -> u64 {
        self.known + self.telling + self.untold
    }
}

impl Synced {
    pub(super) fn start(
        client: Arc<Client>,
        interval: Duration,
        clock: Clock,
        runtime: &Handle,
    ) -> Arc<Synced> {
        let synced = Arc::new(Synced { client, windows: Mutex::default() });
        let kept = Arc::downgrade(&synced);
        runtime.spawn(async move {
            loop {
                clock.sleep(interval).await;
                let Some(synced) = kept.upgrade() else { return };
                synced.flush().await;
            }
        });
        synced
    }

    pub(super) async fn admit(&self, windows: &[Window], at: u32) -> Result<Usage, String> {
        if let Some(usage) = self.try_admit(windows, at) {
            return Ok(usage);
        }
        if self.windows.lock().len() + windows.len() > MOST {
            return admit(&self.client, windows, at).await;
        }
        self.learn(windows).await?;
        // Forgotten between the two: nobody else has asked for it either.
        self.try_admit(windows, at).ok_or_else(|| "the counters were exchanged meanwhile".to_owned())
    }

    /// `None` when there is a window that the server has not been asked about.
    fn try_admit(&self, windows: &[Window], at: u32) -> Option<Usage> {
        let mut counts = self.windows.lock();
        let mut usage = Usage { at, before: [0; 6], stopped_by: None };
        for window in windows {
            let used = counts.get(&window.key)?.sum();
            usage.before[window.period as usize] = used;
            if window.limit - used as f64 <= 0.0 {
                usage.stopped_by = Some(window.period);
            }
        }
        if usage.stopped_by.is_none() {
            for window in windows {
                if let Some(count) = counts.get_mut(&window.key) {
                    count.untold += 1;
                }
            }
        }
        Some(usage)
    }

    async fn learn(&self, windows: &[Window]) -> Result<(), String> {
        let command =
            windows.iter().fold(Command::new("MGET"), |command, window| command.argument(&window.key));
        let reply = self.client.call(vec![command]).await?.pop();
        let Some(Reply::List(numbers)) = reply else { return Err(unexpected(reply)) };
        let mut counts = self.windows.lock();
        for (window, number) in windows.iter().zip(&numbers) {
            let known = number.number().ok_or_else(|| unexpected(Some(number.clone())))?;
            let lifetime = window.period.length();
            counts.entry(window.key.clone()).or_insert(Count { known, telling: 0, untold: 0, lifetime });
        }
        Ok(())
    }

    /// Tells the server what was counted and learns the sums. Windows in which nothing was counted are
    /// forgotten: the next request asks about them.
    pub(super) async fn flush(&self) {
        let mut told: Vec<(String, u64, u32)> = Vec::new();
        self.windows.lock().retain(|key, count| {
            if count.telling > 0 {
                return true;
            }
            count.telling = std::mem::take(&mut count.untold);
            if count.telling > 0 {
                told.push((key.clone(), count.telling, count.lifetime));
            }
            count.telling > 0
        });
        for batch in told.chunks(BATCH) {
            let commands = batch.iter().map(|(key, count, lifetime)| {
                Command::new("EVAL")
                    .argument(ADD)
                    .argument(1)
                    .argument(key)
                    .argument(count)
                    .argument(lifetime)
            });
            let answers = self.client.call(commands.collect()).await;
            if let Err(error) = &answers {
                tracing::warn!("failed to tell redis what was counted, trying again later: {error}");
            }
            let answers = answers.unwrap_or_default();
            let mut counts = self.windows.lock();
            for (at, (key, _, _)) in batch.iter().enumerate() {
                let Some(count) = counts.get_mut(key) else { continue };
                match answers.get(at).and_then(Reply::number) {
                    Some(sum) => count.known = sum,
                    None => count.untold += count.telling,
                }
                count.telling = 0;
            }
        }
    }
}
