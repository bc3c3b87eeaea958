//! The feed of one gateway: connect, read, and connect again with patience when it ends.

use std::pin::Pin;
use std::time::Duration;

use admin_api::FeedMessage;
use admin_api::client::{AdminClient, Error};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Event, Link, News, now_ms};
use crate::sanitize;

/// How long a gateway may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(5);
/// A feed speaks several times a second; one that is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(15);
/// Waits between attempts; the last one repeats.
const WAITS_MS: [u64; 5] = [250, 500, 1_000, 2_000, 5_000];

type Messages = Pin<Box<dyn Stream<Item = Result<FeedMessage, Error>> + Send>>;

/// Reads the feed until nobody listens any more.
pub async fn run(client: AdminClient, gateway: usize, events: mpsc::Sender<Event>) {
    let out = Out { gateway, events };
    let mut failures = 0;
    loop {
        let mut cause = match connect(&client).await {
            Ok(messages) => {
                if !out.send(News::Link(Link::Live)).await {
                    return;
                }
                let (heard, cause) = read(messages, &out).await;
                if heard {
                    failures = 0;
                }
                cause
            }
            Err(cause) => cause,
        };
        sanitize::text(&mut cause);
        let wait = back_off(failures, fastrand::f64());
        failures += 1;
        let lost = Link::Lost { cause, retry_at_ms: now_ms() + wait.as_millis() as u64 };
        if !out.send(News::Link(lost)).await {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = out.events.closed() => return,
        }
    }
}

struct Out {
    gateway: usize,
    events: mpsc::Sender<Event>,
}

impl Out {
    /// Whether somebody still listens.
    async fn send(&self, news: News) -> bool {
        self.events.send(Event { at_ms: now_ms(), gateway: self.gateway, news }).await.is_ok()
    }
}

async fn connect(client: &AdminClient) -> Result<Messages, String> {
    match timeout(ANSWER, client.feed()).await {
        Ok(Ok(messages)) => Ok(Box::pin(messages)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "the admin port at {} took the connection but gave no answer within {} s; is it a gateway?",
            client.base(),
            ANSWER.as_secs()
        )),
    }
}

/// Passes messages on until the feed ends. Returns whether there were any, and why it ended.
async fn read(mut messages: Messages, out: &Out) -> (bool, String) {
    let mut heard = false;
    loop {
        let next = tokio::select! {
            next = timeout(SILENCE, messages.next()) => next,
            () = out.events.closed() => return (heard, String::new()),
        };
        match next {
            Ok(Some(Ok(mut message))) => {
                sanitize::message(&mut message);
                heard = true;
                if !out.send(News::Message(message)).await {
                    return (heard, String::new());
                }
            }
            Ok(Some(Err(error))) => return (heard, error.to_string()),
            Ok(None) => return (heard, "the gateway ended the feed; it may be restarting".to_owned()),
            Err(_) => return (heard, format!("the gateway was silent for {} s", SILENCE.as_secs())),
        }
    }
}

/// How long to wait after so many failures in a row; `luck` (0 to 1) spreads viewers that lost the same gateway.
fn back_off(failures: usize, luck: f64) -> Duration {
    let wait = WAITS_MS[failures.min(WAITS_MS.len() - 1)] as f64;
    Duration::from_millis((wait * (0.8 + 0.2 * luck)) as u64)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn patience_grows_to_five_seconds_and_no_further() {
        let waits: Vec<u128> = (0..8).map(|failures| back_off(failures, 1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 5_000, 5_000, 5_000, 5_000]);
        assert_eq!(back_off(4, 0.0).as_millis(), 4_000);
    }

    async fn answer(mut socket: TcpStream, lines: &str) {
        let mut request = [0; 1_024];
        let _ = socket.read(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";
        socket.write_all(format!("{head}{lines}").as_bytes()).await.unwrap();
    }

    fn hello(started_at_ms: u64) -> String {
        format!(
            "{{\"type\":\"hello\",\"instance\":\"gw\\u001b[2J\",\"version\":\"1\",\"started_at_ms\":{started_at_ms}}}\n"
        )
    }

    async fn next(events: &mut mpsc::Receiver<Event>) -> News {
        timeout(Duration::from_secs(10), events.recv()).await.expect("an event within 10 s").unwrap().news
    }

    #[tokio::test]
    async fn reads_cleans_and_connects_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = AdminClient::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (sender, mut events) = mpsc::channel(16);
        let reader = tokio::spawn(run(client, 0, sender));
        for round in 1..=2 {
            let (socket, _) = listener.accept().await.unwrap();
            answer(socket, &hello(round)).await;
            assert_eq!(next(&mut events).await, News::Link(Link::Live));
            let News::Message(FeedMessage::Hello(heard)) = next(&mut events).await else { panic!() };
            assert_eq!((heard.instance.as_str(), heard.started_at_ms), ("gw\\x1b[2J", round));
            let News::Link(Link::Lost { cause, .. }) = next(&mut events).await else { panic!() };
            assert!(cause.contains("ended the feed"), "{cause}");
        }
        drop(events);
        timeout(Duration::from_secs(10), reader).await.expect("the reader ends with its listener").unwrap();
    }

    #[tokio::test]
    async fn says_what_is_wrong_with_the_other_side() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = AdminClient::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (sender, mut events) = mpsc::channel(16);
        let _reader = tokio::spawn(run(client, 0, sender));
        let (socket, _) = listener.accept().await.unwrap();
        answer(socket, "<html>\n").await;
        assert_eq!(next(&mut events).await, News::Link(Link::Live));
        let News::Link(Link::Lost { cause, .. }) = next(&mut events).await else { panic!() };
        assert!(cause.contains("is it a gateway of this version?"), "{cause}");
        drop(listener);
        let News::Link(Link::Lost { cause, .. }) = next(&mut events).await else { panic!() };
        assert!(cause.contains("is the gateway running there?"), "{cause}");
    }
}
