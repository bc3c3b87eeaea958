//! Kong's exposition, as dashboards read it.

use crate::support::client::Client;
use crate::support::dataplane::DataPlane;
use crate::support::origin::{Origin, answer};
use crate::support::soon;

/// The lines of `/metrics` that begin so, once the last request is counted.
async fn lines(gateway: &DataPlane, counted: &str, begin: &str) -> Vec<String> {
    soon(counted, async {
        loop {
            let text = gateway.ask("GET", "/metrics", None).await.text();
            if text.lines().any(|line| line == counted) {
                return text.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect();
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_under_kongs_names() {
    let origin = Origin::with(|message| {
        let status = if message.target().contains("fail") { "500 No" } else { "200 OK" };
        answer(format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nok\n"))
    })
    .await;
    let config = |plugin: &str| {
        format!(
            "consumers: [{{username: alice, keyauth_credentials: [{{key: ka}}]}}]\n\
             services:\n\
             - {{name: up, host: u, routes: [{{name: a, paths: [/a]}}, {{name: k, paths: [/k], plugins: [{{name: key-auth}}]}}]}}\n\
             upstreams: [{{name: u, healthchecks: {{passive: {{unhealthy: {{tcp_failures: 1}}}}}}, targets: [{{target: '{}'}}]}}]\n\
             plugins: [{plugin}]\n",
            origin.address
        )
    };
    let everything = "{name: prometheus, config: {per_consumer: true, status_code_metrics: true, latency_metrics: true, \
                      bandwidth_metrics: true, upstream_health_metrics: true}}";
    let gateway = DataPlane::start(&config(everything)).await;
    let mut client = Client::connect(gateway.http()).await;
    for (line, status) in [
        ("GET /a HTTP/1.1", 200),
        ("GET /a/fail HTTP/1.1", 500),
        ("GET /zzz HTTP/1.1", 404),
        ("GET /k HTTP/1.1", 401),
        ("GET /k?apikey=ka HTTP/1.1", 200),
    ] {
        client.send(format!("{line}\r\nHost: a\r\n\r\n")).await;
        assert_eq!(client.response().await.status, status, "{line}");
    }
    let last = r#"kong_http_requests_total{service="up",route="k",code="200",source="service",workspace="default",consumer="alice"} 1"#;
    assert_eq!(
        lines(&gateway, last, "kong_http_requests_total").await,
        [
            r#"kong_http_requests_total{service="up",route="a",code="200",source="service",workspace="default",consumer=""} 1"#,
            r#"kong_http_requests_total{service="up",route="a",code="500",source="service",workspace="default",consumer=""} 1"#,
            last,
            r#"kong_http_requests_total{service="up",route="k",code="401",source="kong",workspace="default",consumer=""} 1"#,
        ]
    );
    let ingress = "kong_bandwidth_bytes{service=\"up\",route=\"a\",direction=\"ingress\"";
    let sent = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n".len() + "GET /a/fail HTTP/1.1\r\nHost: a\r\n\r\n".len();
    assert_eq!(
        lines(&gateway, last, ingress).await,
        [format!("{ingress},workspace=\"default\",consumer=\"\"}} {sent}")]
    );
    // Refused by a plugin: no upstream's time.
    for (family, route, count) in [
        ("kong_kong_latency_ms", "k", 2),
        ("kong_upstream_latency_ms", "k", 1),
        ("kong_request_latency_ms", "a", 2),
    ] {
        let labels = format!("{{service=\"up\",route=\"{route}\",workspace=\"default\"");
        let inf = format!("{family}_bucket{labels},le=\"+Inf\"}} {count}");
        assert_eq!(lines(&gateway, last, &inf).await, [inf]);
        let total = format!("{family}_count{labels}}} {count}");
        assert_eq!(lines(&gateway, last, &total).await, [total]);
    }
    let address = origin.address;
    let health = |state: &str, value: u8| {
        format!(
            "kong_upstream_target_health{{upstream=\"u\",target=\"{address}\",address=\"{address}\",state=\"{state}\",\
             subsystem=\"http\"}} {value}"
        )
    };
    assert_eq!(
        lines(&gateway, last, "kong_upstream_target_health{").await,
        [health("dns_error", 0), health("healthchecks_off", 0), health("healthy", 1), health("unhealthy", 0)]
    );

    // Numbers outlive configurations; what is not asked for is no longer counted.
    gateway.replace(&config("{name: prometheus}")).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(lines(&gateway, last, "kong_http_requests_total").await.len(), 4);
    assert_eq!(lines(&gateway, last, "kong_upstream_target_health").await, Vec::<String>::new());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_instance_exposes_the_node_and_without_one_nothing_is_kongs() {
    let gateway = DataPlane::start("plugins: [{name: prometheus}]\n").await;
    let response = gateway.ask("GET", "/metrics", None).await;
    assert_eq!(response.header("content-type").unwrap(), "text/plain; charset=UTF-8");
    let text = response.text();
    let families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE kong_"))
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    assert_eq!(
        families,
        [
            "datastore_reachable",
            "nginx_connections_total",
            "nginx_metric_errors_total",
            "nginx_requests_total",
            "node_info"
        ]
    );
    assert!(text.contains("# TYPE limen_exchanges_total counter\n") && !text.contains("# EOF"), "{text}");
    gateway.replace("services: []\n").await;
    let response = gateway.ask("GET", "/metrics", None).await;
    assert!(response.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(!response.text().contains("kong_"));
    gateway.stop().await;
}
