//! Configuration changes under traffic: nothing is dropped, nothing that was learnt is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Gate, Message, OK, Origin, answer};
use crate::support::soon;

/// Answers with the nonce it was sent.
fn nonce(message: &Message) -> Vec<Act> {
    let nonce = message.header("x-nonce").unwrap_or_default();
    answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{nonce}", nonce.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_ends_on_the_configuration_it_began_with() {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin =
        Origin::with(move |_| vec![Act::ReadBody, Act::Wait(opened.clone()), Act::Send(OK.to_vec())]).await;
    let marked = "plugins: [{name: correlation-id, config: {echo_downstream: true, header_name: X-Mark}}]";
    let gateway = DataPlane::start(&format!("{}{marked}", proxy_to(origin.address))).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the request", |seen| seen.messages.len() == 1).await;
    gateway.replace("services: []").await;
    assert_eq!(gateway.get("/").await.status, 404);
    gate.open();
    let response = client.response().await;
    assert_eq!(response.status, 200);
    assert!(response.header("x-mark").is_some(), "the plugins are those of the beginning");
    assert_eq!(client.get("/").await.status, 404, "the connection is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_changes_nothing() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let refused = gateway.try_replace("_format_version: \"3.0\"\nservices: [{name: x}]").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("required field missing"), "{}", refused.text());
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_connections_outlive_a_change() {
    let origin = Origin::start().await;
    // Ids are what makes a limit the same limit.
    let config = |limit: u32, other: &str| {
        format!(
            "services:\n\
             - name: up\n\
             \x20 url: 'http://{}'\n\
             \x20 routes:\n\
             \x20 - {{name: limited, paths: [/l], plugins: [{{name: rate-limiting, config: {{year: {limit}}}}}]}}\n\
             \x20 - {{name: other, paths: [/{other}]}}\n",
            origin.address
        )
    };
    let gateway = DataPlane::start_with(&config(3, "a"), &["--workers", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    for left in ["2", "1"] {
        assert_eq!(client.get("/l").await.header("x-ratelimit-remaining-year").unwrap(), left);
    }
    gateway.replace(&config(3, "b")).await;
    assert_eq!(client.get("/a").await.status, 404);
    assert_eq!(client.get("/l").await.header("x-ratelimit-remaining-year").unwrap(), "0");
    assert_eq!(client.get("/l").await.status, 429);
    gateway.replace(&config(5, "b")).await;
    assert_eq!(client.get("/l").await.header("x-ratelimit-remaining-year").unwrap(), "1");
    assert_eq!(origin.seen().connections, 1, "the pool outlives a change too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_changes() {
    let origin = Origin::with(|_| {
        let agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        vec![Act::Send(agreed.into()), Act::Echo]
    })
    .await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(client.response().await.status, 101);
    for round in 0..20 {
        gateway.replace(&format!("services: [{{name: s{round}, url: 'http://127.0.0.1:9'}}]")).await;
        client.send(format!("frame {round:02}")).await;
        assert_eq!(client.bytes(8).await, format!("frame {round:02}").as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_certificate_counts_from_the_next_handshake() {
    let origin = Origin::start().await;
    let made: Vec<_> =
        (0..2).map(|_| rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap()).collect();
    let config = |at: usize| {
        let quote = |text: String| text.replace('\n', "\\n");
        format!(
            "{}certificates: [{{cert: \"{}\", key: \"{}\", snis: [{{name: a.test}}]}}]",
            proxy_to(origin.address),
            quote(made[at].cert.pem()),
            quote(made[at].signing_key.serialize_pem())
        )
    };
    let gateway = DataPlane::start(&config(0)).await;
    let (https, done) = (gateway.https(), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let done = Arc::clone(&done);
        clients.spawn(async move {
            let mut handshakes = 0;
            while !done.load(Ordering::Relaxed) {
                let (mut client, _) = Client::connect_tls(https, Some("a.test"), "http/1.1").await.unwrap();
                assert_eq!(client.get("/").await.status, 200);
                handshakes += 1;
            }
            handshakes
        });
    }
    for round in 0..20 {
        gateway.replace(&config(round % 2)).await;
        let (_, shown) = Client::connect_tls(https, Some("a.test"), "http/1.1").await.unwrap();
        assert_eq!(shown, made[round % 2].cert.der().to_vec());
    }
    done.store(true, Ordering::Relaxed);
    for handshakes in clients.join_all().await {
        assert!(handshakes > 0);
    }
}

/// Routes and plugins come and go while many clients use a route that nobody touches and one with a limit.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_others_routes_change_and_a_limit_is_exact() {
    const CLIENTS: usize = 64;
    const CHANGES: usize = 60;
    const LIMIT: usize = 100;
    let origin = Origin::with(nonce).await;
    let config = |round: usize| {
        let others: Vec<String> = (0..round % 7)
            .map(|number| {
                let plugin =
                    ["rate-limiting, config: {second: 1}", "ip-restriction, config: {deny: [10.0.0.0/8]}"];
                format!(
                    "  - {{name: other{number}, paths: [/other{number}], hosts: [h{round}.test], \
                     plugins: [{{name: {}}}]}}\n",
                    plugin[(round + number) % 2]
                )
            })
            .collect();
        format!(
            "services:\n\
             - name: up\n\
             \x20 url: 'http://{}'\n\
             \x20 routes:\n\
             \x20 - {{name: steady, paths: [/steady]}}\n\
             \x20 - {{name: limited, paths: [/limited], plugins: [{{name: rate-limiting, config: {{year: {LIMIT}}}}}]}}\n\
             {}",
            origin.address,
            others.concat()
        )
    };
    let gateway = DataPlane::start(&config(0)).await;
    let (http, done) = (gateway.http(), Arc::new(AtomicBool::new(false)));
    let admitted = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (done, admitted) = (Arc::clone(&done), Arc::clone(&admitted));
        clients.spawn(async move {
            let (mut client, mut served) = (Client::connect(http).await, 0);
            while !done.load(Ordering::Relaxed) || served < 10 {
                let nonce = format!("{number}-{served}");
                client.send(format!("GET /steady HTTP/1.1\r\nHost: a\r\nX-Nonce: {nonce}\r\n\r\n")).await;
                let response = client.response().await;
                assert_eq!((response.status, response.text()), (200, nonce));
                match client.get("/limited").await.status {
                    200 => admitted.fetch_add(1, Ordering::Relaxed),
                    status => {
                        assert_eq!(status, 429);
                        0
                    }
                };
                served += 1;
            }
            served
        });
    }
    for round in 1..=CHANGES {
        gateway.replace(&config(round)).await;
    }
    done.store(true, Ordering::Relaxed);
    let served: usize = soon("end of the clients", clients.join_all()).await.into_iter().sum();
    assert!(served >= CLIENTS * 10);
    assert_eq!(admitted.load(Ordering::Relaxed), LIMIT);
    for message in origin.messages() {
        assert_eq!(message.faults, Vec::<String>::new());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_come_and_go_without_a_failure() {
    let origins = [Origin::with(nonce).await, Origin::with(nonce).await, Origin::with(nonce).await];
    let config = |round: usize| {
        // One is always there; the others take turns.
        let targets: Vec<String> = (0..=round % 3)
            .map(|number| format!("{{target: '{}'}},", origins[(round + number) % 3].address))
            .collect();
        format!(
            "services: [{{name: up, host: group, routes: [{{name: all, paths: [/]}}]}}]\n\
             upstreams: [{{name: group, targets: [{}]}}]",
            targets.concat()
        )
    };
    let gateway = DataPlane::start(&config(0)).await;
    let (http, done) = (gateway.http(), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let done = Arc::clone(&done);
        clients.spawn(async move {
            let mut client = Client::connect(http).await;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(client.get("/").await.status, 200);
            }
        });
    }
    for round in 1..=60 {
        gateway.replace(&config(round)).await;
    }
    done.store(true, Ordering::Relaxed);
    soon("end of the clients", clients.join_all()).await;
    for origin in &origins {
        assert!(!origin.messages().is_empty());
    }
}
