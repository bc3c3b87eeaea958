//! Counting in Redis, for gateways that share a limit. Keys are Kong's, so that both can count side by side
//! while one replaces the other.
//!
//! Without `sync_rate` every request asks Redis, in one script over all its windows: exact over all gateways,
//! and a refused request counts nowhere. With it a gateway counts by itself and tells Redis, and learns from
//! it, every so many seconds ([`synced`]).

mod client;
mod protocol;
mod synced;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use self::client::Client;
pub use self::client::Server;
use self::protocol::{Command, Reply};
use self::synced::Synced;
use super::Limits;
use super::counters::Usage;
use super::window::Period;
use crate::clock::{Clock, Moment};
use crate::plugins::environment::Resolve;

/// At most one line about uncounted requests in this time.
const QUIET: Duration = Duration::from_secs(10);

/// Checks all windows, and counts in all of them if there is room in each. Gives back what was counted before
/// and the place of a window that is full, or 0.
const ADMIT: &str = r"
local used, full = {}, 0
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('GET', key) or '0')
  if tonumber(ARGV[2 * i - 1]) - used[i] <= 0 then full = i end
end
if full == 0 then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then redis.call('EXPIRE', key, ARGV[2 * i]) end
  end
end
used[#used + 1] = full
return used";

/// The connections of the process, shared by plugins with the same server. They outlive generations.
pub struct Connections {
    runtime: Handle,
    clock: Clock,
    resolver: Option<Arc<dyn Resolve>>,
    open: Mutex<Open>,
    misses: Arc<Misses>,
}

/// Requests that could not be counted and passed all the same.
#[derive(Default)]
struct Misses {
    count: AtomicU64,
    told: Mutex<Option<Moment>>,
}

#[derive(Default)]
struct Open {
    clients: HashMap<Server, Weak<Client>>,
    /// By interval in milliseconds.
    synced: HashMap<(Server, u64), Weak<Synced>>,
}

/// Where and how a plugin counts.
#[derive(Clone)]
pub struct SharedCounters {
    client: Arc<Client>,
    synced: Option<Arc<Synced>>,
    clock: Clock,
    misses: Arc<Misses>,
}

/// One window of one client, as Redis knows it.
struct Window {
    key: String,
    period: Period,
    limit: f64,
}

impl Connections {
    pub fn new(runtime: Handle, clock: Clock, resolver: Option<Arc<dyn Resolve>>) -> Connections {
        Connections { runtime, clock, resolver, open: Mutex::default(), misses: Arc::default() }
    }

    /// Counters on a server; `sync` is the time between two exchanges with it, or `None` to ask for every
    /// request.
    pub fn counters(&self, server: &Server, sync: Option<Duration>) -> Result<SharedCounters, String> {
        let mut open = self.open.lock();
        open.clients.retain(|_, client| client.strong_count() > 0);
        open.synced.retain(|_, synced| synced.strong_count() > 0);
        let known = open.clients.get(server).and_then(Weak::upgrade);
        let client =
            known.map_or_else(|| Client::start(server.clone(), self.resolver.clone(), &self.runtime), Ok)?;
        open.clients.insert(server.clone(), Arc::downgrade(&client));
        let synced = sync.map(|interval| {
            let key = (server.clone(), interval.as_millis() as u64);
            open.synced.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let synced = Synced::start(client.clone(), interval, self.clock.clone(), &self.runtime);
                open.synced.insert(key, Arc::downgrade(&synced));
                synced
            })
        });
        Ok(SharedCounters { client, synced, clock: self.clock.clone(), misses: self.misses.clone() })
    }

    /// How many requests passed uncounted because no server could be asked.
    pub fn missed(&self) -> u64 {
        self.misses.count.load(Ordering::Relaxed)
    }

    /// Tells servers what has been counted since the last time.
    pub async fn flush(&self) {
        let synced: Vec<_> = self.open.lock().synced.values().filter_map(Weak::upgrade).collect();
        for synced in synced {
            synced.flush().await;
        }
    }
}

impl SharedCounters {
    /// Counts the request in all its windows if every limit has room for it, else in none. `prefix` is the key
    /// up to the window.
    pub async fn admit(&self, prefix: &str, limits: &Limits) -> Result<Usage, String> {
        let at = self.clock.unix().as_secs() as u32;
        let windows: Vec<Window> =
            limits.iter().map(|(period, limit)| Window::of(prefix, *period, *limit, at)).collect();
        match &self.synced {
            Some(synced) => synced.admit(&windows, at).await,
            None => admit(&self.client, &windows, at).await,
        }
    }
}

impl SharedCounters {
    /// A request passes although it could not be counted. Told every ten seconds at most.
    pub fn miss(&self, error: &str) {
        let missed = self.misses.count.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.now();
        let mut told = self.misses.told.lock();
        if told.is_none_or(|told| now.since(told) >= QUIET) {
            *told = Some(now);
            tracing::error!(missed, "failed to count requests, so they pass uncounted: {error}");
        }
    }
}

impl Window {
    fn of(prefix: &str, period: Period, limit: f64, at: u32) -> Window {
        let start = u64::from(period.start(at)) * 1_000;
        Window { key: format!("{prefix}:{start}:{}", period.as_str()), period, limit }
    }
}

async fn admit(client: &Client, windows: &[Window], at: u32) -> Result<Usage, String> {
    let mut command = Command::new("EVAL").argument(ADMIT).argument(windows.len());
    for window in windows {
        command = command.argument(&window.key);
    }
    for window in windows {
        command = command.argument(window.limit).argument(window.period.length());
    }
    let reply = client.call(vec![command]).await?.pop();
    let Some(Reply::List(numbers)) = reply else { return Err(unexpected(reply)) };
    let numbers: Vec<u64> = numbers.iter().filter_map(Reply::number).collect();
    let [used @ .., full] = numbers.as_slice() else { return Err("redis answered with nothing".to_owned()) };
    if used.len() != windows.len() {
        return Err(format!("redis answered for {} windows instead of {}", used.len(), windows.len()));
    }
    let mut usage = Usage { at, before: [0; 6], stopped_by: None };
    for (window, used) in windows.iter().zip(used) {
        usage.before[window.period as usize] = *used;
    }
    usage.stopped_by =
        (*full as usize).checked_sub(1).and_then(|at| windows.get(at)).map(|window| window.period);
    Ok(usage)
}

fn unexpected(reply: Option<Reply>) -> String {
    match reply {
        Some(Reply::Error(error)) => format!("redis said: {error}"),
        other => format!("redis answered something unexpected: {other:?}"),
    }
}

#[cfg(test)]
mod tests;
