//! The admin port, path by path.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dataplane::{DataPlane, proxy_to};
use crate::support::origin::{Origin, answer, find};
use crate::support::soon;

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_lives_and_whether_it_is_ready() {
    let gateway = DataPlane::start("services: []").await;
    assert_eq!(gateway.ask("GET", "/live", None).await.status, 200);
    assert_eq!(gateway.json("/ready").await, json!({"ready": true, "pending": []}));
    let index = gateway.json("/").await;
    for path in index["paths"].as_object().unwrap().keys() {
        let (method, target) = path.split_once(' ').unwrap();
        if method == "GET" && !target.contains('{') && target != "/feed" {
            assert_eq!(gateway.ask("GET", target, None).await.status, 200, "{target}");
        }
    }
    let unknown = gateway.ask("GET", "/nope", None).await;
    assert_eq!((unknown.status, unknown.text().as_str()), (404, "{\"message\":\"Not found\"}"));
    assert_eq!(gateway.ask("DELETE", "/config", None).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_configuration_tell_what_serves() {
    let origin = Origin::start().await;
    let config = format!(
        "services: [{{name: up, host: group, routes: [{{name: all, paths: [/]}}]}}]\n\
         upstreams: [{{name: group, targets: [{{target: '{}'}}]}}]\n\
         consumers: [{{username: alice, keyauth_credentials: [{{key: very-secret}}]}}]",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    let status = gateway.json("/status").await;
    assert_eq!((&status["generation"], &status["source"]), (&json!(1), &json!("declarative")));
    assert_eq!(status["targets"][0]["address"], origin.address.to_string());
    let protocols: Vec<&str> =
        status["listeners"].as_array().unwrap().iter().map(|one| one["protocol"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["http", "https", "admin"]);
    let shown = gateway.ask("GET", "/config", None).await;
    assert!(!shown.text().contains("very-secret"), "a secret is shown");
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["generation"], 1);
    gateway.replace(&config).await;
    assert_eq!(gateway.json("/status").await["generation"], 1, "an equal configuration is no change");
    gateway.replace("services: []").await;
    assert_eq!(gateway.json("/status").await["generation"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_generation_it_waits_for() {
    let gateway = DataPlane::start("services: []").await;
    let wait = |generation: u64, timeout_ms: u64| {
        let gateway = &gateway;
        async move {
            let body = json!({"generation": generation, "timeout_ms": timeout_ms}).to_string();
            gateway.ask("POST", "/wait", Some(("application/json", &body))).await
        }
    };
    assert_eq!(wait(1, 10_000).await.status, 200);
    let late = wait(2, 20).await;
    assert_eq!(late.status, 504);
    assert!(late.text().contains("generation 2 (serving is 1)"), "{}", late.text());
    let change = gateway.replace("services: [{name: s, url: 'http://h'}]");
    let (waited, ()) = tokio::join!(wait(2, 20_000), change);
    assert_eq!(waited.status, 200);
    let bad = gateway.ask("POST", "/wait", Some(("application/json", "{"))).await;
    assert_eq!(bad.status, 400);
}

/// The value of a sample in an exposition.
fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(given, _)| given == name))?;
    line.split_once(' ')?.1.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let origin = Origin::start().await;
    let config = format!(
        "services:\n\
         - name: up\n\
         \x20 url: 'http://{}'\n\
         \x20 routes:\n\
         \x20 - {{name: a, paths: [/a]}}\n\
         \x20 - {{name: l, paths: [/l], plugins: [{{name: rate-limiting, config: {{year: 1}}}}]}}\n",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    for (target, status) in [("/a", 200), ("/a", 200), ("/l", 200), ("/l", 429), ("/none", 404)] {
        assert_eq!(gateway.get(target).await.status, status);
    }
    let expected = [
        (r#"limen_exchanges_total{route="a",service="up",class="2xx"}"#, 2.0),
        (r#"limen_exchange_outcomes_total{route="l",service="up",reason="rate_limited"}"#, 1.0),
        ("limen_exchange_duration_seconds_count", 5.0),
        ("limen_config_generation", 1.0),
    ];
    // An exchange is counted when it is over, a moment after its answer.
    soon("all counts", async {
        loop {
            let text = gateway.ask("GET", "/metrics", None).await.text();
            assert!(text.ends_with("# EOF\n"));
            if expected.iter().all(|(name, value)| sample(&text, name) == Some(*value)) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_shows_a_refusal_with_its_reason() {
    let origin = Origin::start().await;
    let config = format!(
        "{}plugins: [{{name: ip-restriction, config: {{deny: [127.0.0.0/8]}}}}]",
        proxy_to(origin.address)
    );
    let gateway = DataPlane::start(&config).await;
    let mut viewer = Client::connect(gateway.admin()).await;
    viewer.send("GET /feed HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    viewer.response_head().await;
    assert_eq!(gateway.get("/seen").await.status, 403);
    soon("the exchange in the feed", async {
        let mut seen = Vec::new();
        while find(&seen, b"\"reason\":\"ip_denied\"").is_none() || find(&seen, b"/seen").is_none() {
            seen.extend(viewer.bytes(1).await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_overrule_what_checks_say() {
    let origin = Origin::with(|_| answer("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")).await;
    let config = format!(
        "services: [{{name: up, host: group, routes: [{{name: all, paths: [/]}}]}}]\n\
         upstreams:\n\
         - name: group\n\
         \x20 targets: [{{target: '{}'}}]\n\
         \x20 healthchecks: {{passive: {{unhealthy: {{http_failures: 1}}}}}}",
        origin.address
    );
    let gateway = DataPlane::start(&config).await;
    let health = |value: Value| value["data"][0]["health"].clone();
    assert_eq!(health(gateway.json("/upstreams/group/health").await), "HEALTHY");
    assert_eq!(gateway.get("/").await.status, 500);
    assert_eq!(health(gateway.json("/upstreams/group/health").await), "UNHEALTHY");
    let refused = gateway.get("/").await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("failure to get a peer from the ring-balancer"));
    let target = format!("/upstreams/group/targets/{}", origin.address);
    assert_eq!(gateway.ask("PUT", &format!("{target}/healthy"), None).await.status, 204);
    assert_eq!(gateway.get("/").await.status, 500, "it is asked again");
    assert_eq!(gateway.ask("PUT", &format!("{target}/unhealthy"), None).await.status, 204);
    for missing in ["/upstreams/none/health", "/upstreams/group/targets/h:1/healthy"] {
        let method = if missing.ends_with("health") { "GET" } else { "PUT" };
        assert_eq!(gateway.ask(method, missing, None).await.status, 404, "{missing}");
    }
}
