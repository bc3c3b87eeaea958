//! Requests through a whole gateway, and what both ends see of them.

use serde_json::Value;

use crate::support::client::{Client, get};
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Act, Gate, Message, OK, Origin, answer};

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_see_what_they_should() {
    let origin = Origin::with(|_| {
        answer(
            "HTTP/1.1 200 Fine\r\nX-Up: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Pad: 1\r\nContent-Length: 2\r\n\r\nhi",
        )
    })
    .await;
    let config = format!(
        "services: [{{name: up, url: 'http://{}/srv', routes: [{{name: r, paths: [/api]}}]}}]",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    let mut client = Client::connect(gateway.http()).await;
    client
        .send(
            "POST /api/x?q=%20 HTTP/1.1\r\nHost: A.test:99\r\nConnection: x-secret, keep-alive\r\nX-Secret: s\r\n\
             Keep-Alive: 5\r\nTE: gzip\r\nX-Consumer-Groups: admin\r\nX-Own: v\r\nContent-Length: 3\r\n\r\nabc",
        )
        .await;
    let response = client.response().await;
    assert_eq!((response.status, response.text().as_str()), (200, "hi"));
    assert!(response.head.starts_with(b"HTTP/1.1 200 Fine\r\n"));
    assert_eq!(response.header("x-up").unwrap(), "1");
    for hidden in ["x-hop", "x-pad"] {
        assert_eq!(response.header(hidden), None, "{hidden}");
    }
    let id = response.header("x-kong-request-id").unwrap();

    let seen = origin.messages().remove(0);
    assert_eq!(seen.faults, Vec::<String>::new());
    assert_eq!((seen.line().as_str(), seen.body.as_slice()), ("POST /srv/x?q=%20 HTTP/1.1", &b"abc"[..]));
    for (name, value) in [
        ("host", origin.address.to_string().as_str()),
        ("x-own", "v"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "a.test"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/api"),
        ("x-forwarded-path", "/api/x"),
        ("x-kong-request-id", &id),
        ("content-length", "3"),
    ] {
        assert_eq!(seen.all(name), [value], "{name}");
    }
    for hidden in ["x-secret", "keep-alive", "te", "x-consumer-groups"] {
        assert_eq!(seen.header(hidden), None, "{hidden}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways() {
    let gate = Gate::new();
    let origin = Origin::with({
        let gate = gate.clone();
        move |_| {
            vec![
                Act::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n".to_vec()),
                Act::Wait(gate.clone()),
                Act::Send(b"3\r\ntwo\r\n".to_vec()),
                Act::ReadBody,
                Act::Send(b"0\r\n\r\n".to_vec()),
            ]
        }
    })
    .await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    // Longer than what is held back, so it has to flow while it comes.
    let half = vec![b'x'; 200_000];
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n").await;
    client.send(&half).await;
    origin.until("the head of the request", |seen| seen.messages.len() == 1).await;
    client.response_head().await;
    assert_eq!(client.bytes(8).await, b"3\r\none\r\n");
    gate.open();
    assert_eq!(client.bytes(8).await, b"3\r\ntwo\r\n");
    client.send(&half).await;
    assert_eq!(client.bytes(5).await, b"0\r\n\r\n");
    assert_eq!(origin.messages()[0].body.len(), 400_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_on_both_sides() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start_with(&proxy_to(origin.address), &["--workers", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.status, 200);
    }
    // Several at once are answered in order.
    let one = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send([one("/1"), one("/2"), one("/3")].concat()).await;
    for _ in 0..3 {
        assert_eq!(client.response().await.status, 200);
    }
    let seen = origin.seen();
    assert_eq!((seen.messages.len(), seen.connections), (8, 1));
    let targets: Vec<String> = seen.messages[5..].iter().map(Message::target).collect();
    assert_eq!(targets, ["/1", "/2", "/3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_invited_to_send_its_body() {
    let origin = Origin::start().await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(client.any_response().await.status, 100);
    client.send("abc").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(origin.messages()[0].body, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_invitation_ends_the_connection() {
    let origin = Origin::start().await;
    let config = "services: [{name: up, url: 'http://127.0.0.1:9', routes: [{name: r, paths: [/x]}]}]";
    let gateway = DataPlane::start(config).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("POST /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 43\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection").as_deref()), (404, Some("close")));
    // What comes now is either the body or something else; nobody can tell.
    client.send("GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.maybe_response().await.is_none());
    assert!(origin.messages().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_a_tunnel_after_101_and_not_before() {
    let origin = Origin::with(|message| {
        if message.target() == "/no" {
            return answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        }
        if message.header("upgrade").is_none() {
            return answer(OK);
        }
        let agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        vec![Act::Send(agreed.into()), Act::Echo]
    })
    .await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let asks = |target: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
        )
    };
    let mut client = Client::connect(gateway.http()).await;
    client.send([asks("/ws").as_bytes(), b"\x81\x02hi"].concat()).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("upgrade").as_deref()), (101, Some("websocket")));
    assert_eq!(client.bytes(4).await, b"\x81\x02hi");
    let long = vec![7; 1 << 20];
    let (sent, back) = tokio::join!(async { long.len() }, async {
        client.send(&long).await;
        client.bytes(long.len()).await
    });
    assert_eq!(back.len(), sent);
    client.half_close().await;
    assert_eq!(client.rest().await, b"");

    // The second request has not become part of a tunnel that never was.
    let mut client = Client::connect(gateway.http()).await;
    client.send([asks("/no"), "GET /next HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()].concat()).await;
    assert_eq!(client.response().await.text(), "no");
    assert_eq!(client.response().await.text(), "ok\n");
    let next = origin.messages().pop().unwrap();
    assert_eq!((next.target().as_str(), next.header("upgrade")), ("/next", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_request_upstream_and_is_not_retried_for() {
    let origin = Origin::with(|_| vec![Act::ReadBody, Act::WaitForEnd]).await;
    let sink = Origin::start().await;
    let config = format!(
        "{}plugins: [{{name: http-log, config: {{http_endpoint: 'http://{}'}}}}]",
        proxy_to(origin.address),
        sink.address
    );
    let gateway = DataPlane::start(&config).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.until("the request", |seen| seen.messages.len() == 1).await;
    drop(client);
    origin.until("the end of the connection", |seen| seen.ended == 1).await;
    let logged = sink.until("a log entry", |seen| seen.messages.iter().any(|entry| entry.complete)).await;
    let entry: Value = serde_json::from_slice(&logged.messages[0].body).unwrap();
    assert_eq!(entry["response"]["status"], 499);
    assert_eq!(entry["upstream_status"], "-");
    assert_eq!(entry["tries"].as_array().unwrap().len(), 1);
    assert_eq!(origin.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_presents_the_certificate_of_the_name_and_speaks_both_protocols() {
    let origin = Origin::start().await;
    let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (a, wild) = (made("a.test"), made("*.b.test"));
    let entry = |made: &rcgen::CertifiedKey<rcgen::KeyPair>, name: &str| {
        let quote = |text: String| text.replace('\n', "\\n");
        format!(
            "{{cert: \"{}\", key: \"{}\", snis: [{{name: '{name}'}}]}}",
            quote(made.cert.pem()),
            quote(made.signing_key.serialize_pem())
        )
    };
    let config = format!(
        "{}certificates: [{}, {}]",
        proxy_to(origin.address),
        entry(&a, "a.test"),
        entry(&wild, "*.b.test")
    );
    let gateway = DataPlane::start(&config).await;
    let der = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| made.cert.der().to_vec();
    for (name, expected) in [
        (Some("a.test"), Some(der(&a))),
        (Some("A.TEST"), Some(der(&a))),
        (Some("x.b.test"), Some(der(&wild))),
        (Some("y.x.b.test"), None),
        (Some("other.test"), None),
        (None, None),
    ] {
        let (mut client, shown) = Client::connect_tls(gateway.https(), name, "http/1.1").await.unwrap();
        match expected {
            Some(expected) => assert_eq!(shown, expected, "{name:?}"),
            None => assert!(shown != der(&a) && shown != der(&wild), "{name:?}"),
        }
        assert_eq!(client.get("/").await.status, 200);
        assert_eq!(client.get("/").await.status, 200, "and again on the same connection");
    }
    assert_eq!(origin.messages()[0].all("x-forwarded-proto"), ["https"]);
    assert!(Client::connect_tls(gateway.https(), Some("a.test"), "smtp").await.is_err());
    // Plain HTTP on the port for TLS deserves a word.
    let response = get(gateway.https(), "/").await;
    assert_eq!(response.status, 400);
    assert!(response.text().contains("plain HTTP request was sent to HTTPS port"), "{}", response.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_refuses_is_passed_over_and_a_post_is_sent_once() {
    let good = Origin::start().await;
    let closes = Origin::with(|_| vec![Act::ReadBody, Act::Close]).await;
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = |first| {
        format!(
            "services: [{{name: up, host: group, routes: [{{name: all, paths: [/]}}]}}]\n\
             upstreams: [{{name: group, targets: [{{target: '{first}'}}, {{target: '{}'}}]}}]",
            good.address
        )
    };
    let gateway = DataPlane::start(&config(dead)).await;
    for _ in 0..6 {
        assert_eq!(gateway.get("/").await.status, 200);
        let mut client = Client::connect(gateway.http()).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
        assert_eq!(client.response().await.status, 200, "nothing had been sent");
    }
    gateway.replace(&config(closes.address)).await;
    let (mut failed, before) = (0, good.messages().len());
    for _ in 0..8 {
        assert_eq!(gateway.get("/").await.status, 200);
        let mut client = Client::connect(gateway.http()).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
        match client.response().await.status {
            502 => failed += 1,
            status => assert_eq!(status, 200),
        }
    }
    let posts = |origin: &Origin, from: usize| {
        origin.messages()[from..].iter().filter(|message| message.line().starts_with("POST")).count()
    };
    assert!(failed > 0, "half of them meet the target that closes");
    assert_eq!(posts(&closes, 0), failed);
    assert_eq!(posts(&good, before), 8 - failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_in_time_is_504() {
    let origin = Origin::with(|_| vec![Act::ReadBody, Act::WaitForEnd]).await;
    let config = format!(
        "services: [{{name: up, url: 'http://{}', read_timeout: 50, retries: 1, routes: [{{name: all, paths: [/]}}]}}]",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 504);
    assert!(response.text().contains("The upstream server is timing out"));
    let seen = origin.until("both connections to end", |seen| seen.ended == 2).await;
    assert_eq!(seen.messages.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_in_the_pool_costs_nothing() {
    let origin = Origin::start().await;
    let address = origin.address;
    let gateway = DataPlane::start_with(&proxy_to(address), &["--workers", "1"]).await;
    let mut client = Client::connect(gateway.http()).await;
    assert_eq!(client.get("/").await.status, 200);
    origin.end().await;
    let again = Origin::at(address);
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(again.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_reach_who_understands_them_and_trailers_nobody() {
    let origin = Origin::with(|message| {
        let mut acts = vec![Act::ReadBody];
        if message.target() == "/hints" {
            acts.push(Act::Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X\r\nX: 1\r\n\r\n".to_vec()));
            acts.push(Act::Send(OK.to_vec()));
        } else {
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: v\r\n\r\n";
            acts.push(Act::Send(answer.into()));
        }
        acts
    })
    .await;
    let gateway = DataPlane::start(&proxy_to(origin.address)).await;
    let mut client = Client::connect(gateway.http()).await;
    client.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let hints = client.any_response().await;
    assert_eq!((hints.status, hints.header("link").as_deref(), hints.header("x")), (103, Some("</a>"), None));
    assert_eq!(client.any_response().await.status, 200);
    // HTTP/1.0 has no interim answers.
    let mut old = Client::connect(gateway.http()).await;
    old.send("GET /hints HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert_eq!(old.any_response().await.status, 200);

    client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n").await;
    let with = client.response().await;
    assert_eq!((with.text().as_str(), with.trailers.as_slice()), ("hi", &b""[..]));
}
