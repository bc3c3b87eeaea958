//! Where the picture comes from: gateways' admin ports, a recording, or the demo. All three become the same
//! stream of events, so that no screen knows the difference.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use admin_api::FeedMessage;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

pub mod demo;
pub mod live;
pub mod replay;

/// Events that wait for the screen. When it is full the reader waits, the gateway's side of the connection fills
/// up, and the gateway drops and counts: no viewer slows a gateway down.
const WAITING: usize = 256;

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The feeds of one or more gateways, as URLs of their admin ports.
    Admin(Vec<String>),
    /// A recording, played at a multiple of its own speed.
    Replay { file: PathBuf, speed: f64 },
    /// A made-up gateway with about so many requests per second; the same seed gives the same story.
    Demo { seed: u64, rate: f64 },
}

/// Something that happened to one of the gateways looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unix time in milliseconds at which it reached us.
    pub at_ms: u64,
    /// Index of the gateway it is about.
    #[serde(default)]
    pub gateway: usize,
    #[serde(flatten)]
    pub news: News,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Link(Link),
    Message(FeedMessage),
}

/// The state of the connection to one gateway.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    #[default]
    Connecting,
    Live,
    /// No connection; the next attempt is at `retry_at_ms`.
    Lost {
        cause: String,
        retry_at_ms: u64,
    },
    /// A recording is over; the note says so when it ended before its time.
    Ended {
        note: String,
    },
}

/// How a recording is played; other sources take no notice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Playback {
    pub paused: bool,
    pub speed: f64,
    /// Ascends with each request to go on to the next snapshot.
    pub steps: u64,
}

/// An open source.
pub struct Feed {
    /// The gateways' addresses, in the order of their indices.
    pub addresses: Vec<String>,
    pub events: mpsc::Receiver<Event>,
    pub playback: watch::Sender<Playback>,
}

impl Source {
    /// Checks what can be checked before a screen opens, and starts to read. To be called within a tokio runtime;
    /// dropping the [`Feed`] ends it.
    pub fn open(&self) -> Result<Feed> {
        let (sender, events) = mpsc::channel(WAITING);
        let (playback, orders) = watch::channel(Playback { paused: false, speed: self.speed(), steps: 0 });
        let addresses = match self {
            Source::Admin(addresses) => {
                let addresses = checked_addresses(addresses)?;
                for (gateway, address) in addresses.iter().enumerate() {
                    let client = admin_api::client::AdminClient::new(address.as_str())?;
                    tokio::spawn(live::run(client, gateway, sender.clone()));
                }
                addresses
            }
            Source::Replay { file, .. } => {
                let recording = crate::recording::Reader::open(file)?;
                let addresses = recording.header().gateways.clone();
                tokio::spawn(replay::run(recording, sender, orders));
                addresses
            }
            Source::Demo { seed, rate } => {
                tokio::spawn(demo::run(*seed, *rate, now_ms(), sender));
                vec!["demo".to_owned()]
            }
        };
        Ok(Feed { addresses, events, playback })
    }

    fn speed(&self) -> f64 {
        if let Source::Replay { speed, .. } = self { *speed } else { 1.0 }
    }

    pub fn is_replay(&self) -> bool {
        matches!(self, Source::Replay { .. })
    }
}

/// `127.0.0.1:8001` means `http://127.0.0.1:8001`; anything that is no HTTP URL is an error.
fn checked_addresses(addresses: &[String]) -> Result<Vec<String>> {
    if addresses.is_empty() {
        bail!("no gateway to look at; give its admin port with --admin http://HOST:PORT");
    }
    addresses.iter().map(|address| checked_address(address)).collect()
}

fn checked_address(address: &str) -> Result<String> {
    let hint = || format!("failed to use {address:?} as an admin port; give it as http://HOST:PORT");
    let with_scheme =
        if address.contains("://") { address.to_owned() } else { format!("http://{}", address.trim()) };
    let url = url::Url::parse(&with_scheme).with_context(hint)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        bail!(hint());
    }
    Ok(with_scheme.trim_end_matches('/').to_owned())
}

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_a_screen_opens() {
        assert_eq!(checked_address("127.0.0.1:8001").unwrap(), "http://127.0.0.1:8001");
        assert_eq!(checked_address("http://gw:8001/").unwrap(), "http://gw:8001");
        assert_eq!(checked_address("https://gw").unwrap(), "https://gw");
        for wrong in ["", "ftp://gw:1", "http://", "http://gw:port", "a b"] {
            let error = format!("{:#}", checked_address(wrong).unwrap_err());
            assert!(error.contains("give it as http://HOST:PORT"), "{wrong}: {error}");
        }
        assert!(checked_addresses(&[]).is_err());
    }
}
