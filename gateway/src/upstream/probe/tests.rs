use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::*;
use crate::model::{Target, Upstream};
use crate::telemetry::stats::Stats;

/// A target that answers every request with the same bytes and tells what it was asked.
async fn target(answer: &'static [u8]) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                request.push(byte[0]);
            }
            // The other side may have had enough already.
            let _ = stream.write_all(answer).await;
            let _ = tell.send(String::from_utf8(request).unwrap());
        }
    });
    (address, told)
}

/// An address nobody listens on.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn upstream(addresses: &[SocketAddr]) -> Upstream {
    let mut upstream = Upstream::new(Uuid::from_u128(1), "u");
    upstream.targets = addresses
        .iter()
        .map(|address| Target { host: address.ip().to_string(), port: address.port(), weight: 100 })
        .collect();
    let active = &mut upstream.healthchecks.active;
    active.http_path = "/hc?deep".to_owned();
    active.healthy_interval = 0.5;
    active.unhealthy_interval = 2.0;
    active.rules.successes = 1;
    active.rules.tcp_failures = 1;
    active.rules.http_failures = 1;
    upstream
}

fn group(upstream: &Upstream) -> Arc<Group> {
    Arc::new(Group::new(upstream, &Stats::new(1, 0), None))
}

fn prober(clock: &Clock) -> Prober {
    let resolver = Resolver::new(Handle::current(), Some("127.0.0.1:9".parse().unwrap())).unwrap();
    Prober::new(resolver, clock.clone())
}

/// Waits until the prober sleeps, then lets so much time pass.
async fn advance(clock: &Clock, seconds: f64) {
    until("a sleeping prober", || clock.next_wake().is_some()).await;
    clock.advance(Duration::from_secs_f64(seconds));
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let met = tokio::time::timeout(Duration::from_secs(20), async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    assert!(met.await.is_ok(), "no {what}");
}

fn words(group: &Group) -> Vec<&'static str> {
    group.health().into_iter().map(|(_, word)| word).collect()
}

#[tokio::test]
async fn targets_are_judged_by_their_answers_and_recover() {
    let (good, mut asked) = target(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let (bad, _) = target(b"HTTP/1.1 500 Oh\r\n\r\n").await;
    let (odd, _) = target(b"this is not http\r\n").await;
    let mut upstream = upstream(&[good, bad, odd, nobody().await]);
    upstream.healthchecks.active.headers.insert("X-Probe".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
    let (clock, group) = (Clock::held(Duration::from_secs(1)), group(&upstream));
    let mut prober = prober(&clock);
    prober.follow(std::slice::from_ref(&group));
    advance(&clock, 0.5).await;
    until("verdict", || words(&group) == ["healthy", "unhealthy", "unhealthy", "unhealthy"]).await;
    assert_eq!(
        asked.recv().await.unwrap(),
        "GET /hc?deep HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Probe: a\r\nX-Probe: b\r\n\r\n"
    );
    assert!(group.set_health(&bad.to_string(), true));
    // A healthy target is asked at its own pace, an unhealthy one at the other.
    advance(&clock, 0.5).await;
    until("second verdict", || words(&group)[1] == "unhealthy").await;
    group.set_health(&good.to_string(), false);
    advance(&clock, 0.5).await;
    advance(&clock, 0.5).await;
    until("recovery", || words(&group)[0] == "healthy").await;
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_asked_no_more() {
    let (first, mut asked_first) = target(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let (second, mut asked_second) = target(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let clock = Clock::held(Duration::from_secs(1));
    let mut prober = prober(&clock);
    prober.follow(&[group(&upstream(&[first]))]);
    advance(&clock, 0.5).await;
    assert!(asked_first.recv().await.is_some());
    prober.follow(&[group(&upstream(&[second]))]);
    until("the end of the old task", || clock.next_wake() == Some(Duration::from_millis(500))).await;
    for _ in 0..3 {
        advance(&clock, 0.5).await;
        assert!(asked_second.recv().await.is_some());
    }
    assert!(asked_first.try_recv().is_err(), "a removed target was probed");
    prober.follow(&[]);
    until("the end of the last task", || clock.next_wake().is_none()).await;
}

#[tokio::test]
async fn the_same_upstream_keeps_its_task() {
    let (address, mut asked) = target(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let (clock, group) = (Clock::held(Duration::from_secs(1)), group(&upstream(&[address])));
    let mut prober = prober(&clock);
    prober.follow(std::slice::from_ref(&group));
    advance(&clock, 0.4).await;
    prober.follow(std::slice::from_ref(&group));
    advance(&clock, 0.1).await;
    assert!(asked.recv().await.is_some(), "a new generation doesn't put probes off");
}

#[tokio::test]
async fn a_probe_that_only_connects() {
    let (address, _) = target(b"").await;
    let mut upstream = upstream(&[address, nobody().await]);
    upstream.healthchecks.active.kind = ProbeKind::Tcp;
    let (clock, group) = (Clock::held(Duration::from_secs(1)), group(&upstream));
    group.set_health(&address.to_string(), false);
    let mut prober = prober(&clock);
    prober.follow(std::slice::from_ref(&group));
    advance(&clock, 0.5).await;
    until("failure", || words(&group)[1] == "unhealthy").await;
    for _ in 0..3 {
        advance(&clock, 0.5).await;
    }
    until("recovery", || words(&group)[0] == "healthy").await;
}

#[test]
fn statuses_are_read_strictly() {
    assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
    assert_eq!(status(b"HTTP/1.0 302\r\nX: y\r\n"), Some(302));
    for line in [&b"HTTP/1.1 20\r\n"[..], b"HTTP/1.1 2000 x\r\n", b"hello\r\n", b"HTTP/1.1\r\n", b""] {
        assert_eq!(status(line), None, "{}", line.escape_ascii());
    }
}
