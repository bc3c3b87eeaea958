//! Steps that ask Jaeger and Kiali, against fakes that answer as the real ones were recorded to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use harness::runner::event::{Failure, Verdict};
use harness::tools::{ToolUrl, Tools};
use http::Response;
use http_body_util::Full;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::fake::serve_by;
use super::runs::{Tried, run_with, selected};

/// A tool that answers by path and remembers what it was asked.
struct FakeTool {
    url: ToolUrl,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeTool {
    /// `base` is the path it is served below; outside of it is a page, as with the real ones.
    async fn start(base: &'static str, answers: &[(&'static str, u16, String)]) -> FakeTool {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: BTreeMap<String, (u16, String)> = answers
            .iter()
            .map(|(path, status, body)| (format!("{base}{path}"), (*status, body.clone())))
            .collect();
        let log = Arc::clone(&asked);
        let address = serve_by(move |head, _| {
            log.lock().push(head.uri.to_string());
            let page = (200, "<!doctype html>".to_owned());
            let (status, body) = answers.get(head.uri.path()).cloned().unwrap_or(page);
            Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap()
        })
        .await;
        FakeTool { url: format!("http://{address}{base}").parse().unwrap(), asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

fn recorded(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(file).unwrap()
}

const NO_TRACE: &str =
    r#"{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]}"#;

async fn jaeger() -> FakeTool {
    FakeTool::start(
        "/jaeger",
        &[
            ("/api/traces/4bf92f3577b34da6a3ce929d0e0e0003", 200, recorded("jaeger-trace.json")),
            ("/api/traces/4bf92f3577b34da6a3ce929d0e0e4736", 200, recorded("jaeger-trace-of-sidecars.json")),
            ("/api/traces/deadbeef", 404, NO_TRACE.to_owned()),
            (
                "/api/traces/xyz",
                400,
                NO_TRACE.replace("404", "400").replace("trace not found", "invalid length for TraceID"),
            ),
            ("/api/traces", 200, recorded("jaeger-trace.json")),
            ("/api/dependencies", 200, recorded("jaeger-dependencies.json")),
        ],
    )
    .await
}

async fn ask(tools: Tools, steps: &str) -> Tried {
    let text = format!("format: scenario/v1\ntitle: tried\nrequires: [jaeger, kiali]\nsteps:\n{steps}\n");
    let selected = selected("tried", &std::env::temp_dir(), &text);
    run_with(tools, Arc::default(), vec![selected], CancellationToken::new()).await
}

/// With a Kiali that nobody asks, so that the scenario is supported.
async fn ask_jaeger(url: &ToolUrl, steps: &str) -> Tried {
    let kiali = "http://127.0.0.1:9".parse().ok();
    ask(Tools { jaeger: Some(url.clone()), kiali, prometheus: None }, steps).await
}

async fn ask_kiali(url: &ToolUrl, steps: &str) -> Tried {
    let jaeger = "http://127.0.0.1:9".parse().ok();
    ask(Tools { kiali: Some(url.clone()), jaeger, prometheus: None }, steps).await
}

fn told(failure: &Failure) -> Vec<(&str, &str)> {
    failure.misses.iter().map(|miss| (miss.expected.as_str(), miss.got.as_str())).collect()
}

#[tokio::test]
async fn what_needs_a_tool_is_unsupported_without_it() {
    let jaeger = jaeger().await;
    let tried = ask(Tools { jaeger: Some(jaeger.url), ..Tools::default() }, "- say: x").await;
    let needs = vec!["kiali".to_owned()];
    assert_eq!(tried.recorded.verdicts(), [Verdict::Unsupported { needs }]);
}

#[tokio::test]
async fn a_trace_as_jaeger_gives_it_is_judged() {
    let jaeger = jaeger().await;
    let tried = ask_jaeger(
        &jaeger.url,
        r"
- trace:
    id: 4bf92f3577b34da6a3ce929d0e0e0003
    services: [http-echo, limen]
    unbroken: true
    spans:
    - {service: limen, kind: server, name: GET /, tags: {http.response.status_code: 200, k8s.namespace.name: kong-istio}}
    - {service: limen, kind: client, count: 2}
    - {service: limen, kind: client, tags: {http.request.resend_count: 1}}
    - {service: http-echo, kind: server, below: limen}
- trace:
    id: 4bf92f3577b34da6a3ce929d0e0e4736
    unbroken: true
    caller: 00F067AA0BA902B7
    spans:
    - {service: kong-istio-kong.kong-istio, kind: client}
    - {service: http-echo.echo, kind: server, below: kong-istio-kong.kong-istio, tags: {response_flags: '-'}}
- dependencies:
  - {parent: limen, child: http-echo, calls: 4}",
    )
    .await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    assert!(jaeger.asked().contains(&"/jaeger/api/dependencies?lookback=3600000".to_owned()));
}

#[tokio::test]
async fn a_trace_that_is_not_as_it_should_be_is_told_of() {
    let jaeger = jaeger().await;
    let tried = ask_jaeger(
        &jaeger.url,
        "- trace:\n    id: 4bf92f3577b34da6a3ce929d0e0e4736\n    unbroken: true\n    spans: {service: kong}",
    )
    .await;
    assert_eq!(tried.code, 1);
    let failure = tried.recorded.failure();
    let spans = "2 spans: `http-echo.echo.svc.cluster.local:8080/*` of http-echo.echo (server), `http-echo.echo.svc.cluster.local:8080/*` of kong-istio-kong.kong-istio (client)";
    assert_eq!(
        told(&failure),
        [
            ("a span whose service is `kong`", spans),
            (
                "every span's parent is in the trace, except for the first one, which has none",
                "`http-echo.echo.svc.cluster.local:8080/*` of kong-istio-kong.kong-istio (client) hangs under 00f067aa0ba902b7, which is not there"
            ),
        ]
    );
    assert_eq!(failure.message, "trace: a span whose service is `kong` was expected");
    assert_eq!(failure.hints, [format!("Jaeger is at {}", jaeger.url)]);

    let tried = ask_jaeger(&jaeger.url, "- dependencies: {parent: http-echo, child: limen}").await;
    let failure = tried.recorded.failure();
    assert_eq!(
        told(&failure)[0].0,
        "the number of calls where the caller is `http-echo` and the called is `limen` is at least 1"
    );
    assert!(told(&failure)[0].1.contains("limen → http-echo (4)"), "{failure:?}");
}

#[tokio::test]
async fn a_trace_is_found_by_a_service_and_tags() {
    let jaeger = jaeger().await;
    let tried = ask_jaeger(
        &jaeger.url,
        "- trace: {service: http-echo, tags: {url.path: /a b}, services: {contains: limen}}",
    )
    .await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    let search = "/jaeger/api/traces?service=http-echo&limit=20&tags=%7B%22url.path%22%3A%22%2Fa%20b%22%7D";
    assert_eq!(jaeger.asked(), [search]);
}

#[tokio::test]
async fn jaegers_refusals_are_told_and_a_trace_may_be_late() {
    let jaeger = jaeger().await;
    for (id, message) in [
        ("deadbeef", "trace: Jaeger has no trace deadbeef"),
        ("xyz", "trace: Jaeger answered 400: invalid length for TraceID"),
    ] {
        let tried =
            ask_jaeger(&jaeger.url, &format!("- trace: {{id: {id}, unbroken: true}}\n  eventually: 100ms"))
                .await;
        let failure = tried.recorded.failure();
        assert_eq!(failure.message, message);
        assert!(failure.tries.unwrap().waited_ms >= 100);
    }
    // The page that Jaeger has for every path outside of its own.
    let elsewhere = jaeger.url.to_string().replace("/jaeger", "/other");
    let step = "- dependencies: {parent: a, child: b}";
    let tried = ask_jaeger(&elsewhere.parse().unwrap(), step).await;
    let message = tried.recorded.failure().message;
    assert!(
        message.ends_with("/other/api/dependencies?lookback=3600000; is the path in its URL right?"),
        "{message}"
    );
    let nobody = ask_jaeger(&"http://127.0.0.1:9".parse().unwrap(), step).await;
    let message = nobody.recorded.failure().message;
    assert!(message.contains("Jaeger at http://127.0.0.1:9: failed to connect to 127.0.0.1:9"), "{message}");
}

/// The recorded graph with what was recorded of an edge while 30 % of its requests failed.
fn graph_with_errors() -> String {
    let mut graph: Value = serde_json::from_str(&recorded("kiali-graph.json")).unwrap();
    let nodes = graph["elements"]["nodes"].as_array().unwrap();
    let v1 =
        nodes.iter().find(|node| node["data"]["workload"] == "http-echo-v1").unwrap()["data"]["id"].clone();
    let edges = graph["elements"]["edges"].as_array_mut().unwrap();
    let edge = edges.iter_mut().map(|edge| &mut edge["data"]).find(|edge| edge["target"] == v1).unwrap();
    edge["healthStatus"] = "Failure".into();
    let rates = serde_json::json!({"http": "3.98", "http5xx": "1.18", "httpPercentErr": "29.6", "httpPercentReq": "61.4"});
    edge["traffic"]["rates"] = rates;
    graph.to_string()
}

async fn kiali(graph: String, workload: &str) -> FakeTool {
    FakeTool::start(
        "/kiali",
        &[
            ("/api/namespaces/graph", 200, graph),
            ("/api/namespaces/echo/workloads/http-echo-v1", 200, recorded(workload)),
            (
                "/api/namespaces/echo/workloads/nosuch",
                404,
                r#"{"error":"Workload.Kiali \"nosuch\" not found"}"#.to_owned(),
            ),
        ],
    )
    .await
}

const HEALTHY: &str = r"
- kiali:
    edges:
    - {from: kong-istio/kong-istio-kong, to: echo/http-echo-v1, rate: {at_least: 3.5}, errors: 0, mtls: 100, health: Healthy}
    - {from: kong-istio/kong-istio-kong, to: echo/http-echo-v2}
    - {from: echo/http-echo-v1, to: echo/http-echo-v2, rate: {present: false}}
    health: {echo/http-echo-v1: Healthy}";

#[tokio::test]
async fn the_mesh_as_kiali_draws_it_is_judged() {
    let kiali = kiali(recorded("kiali-graph.json"), "kiali-workload.json").await;
    let tried = ask_kiali(&kiali.url, HEALTHY).await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    assert_eq!(
        kiali.asked(),
        [
            "/kiali/api/namespaces/graph?namespaces=echo,kong-istio&graphType=workload&duration=60s&appenders=securityPolicy,health&rateGrpc=none&rateTcp=none&refreshInterval=0",
            "/kiali/api/namespaces/echo/workloads/http-echo-v1?health=true&rateInterval=60s",
        ]
    );
    let past =
        "- kiali: {edges: {from: kong-istio/kong-istio-kong, to: unknown/PassthroughCluster, mtls: 0}}";
    let tried = ask_kiali(&kiali.url, past).await;
    assert_eq!(tried.code, 0, "{:?}", tried.recorded.events());
    assert!(kiali.asked()[2].contains("?namespaces=kong-istio&"), "the outside is no namespace");
}

#[tokio::test]
async fn a_mesh_that_is_not_as_it_should_be_is_told_of() {
    let kiali = kiali(graph_with_errors(), "kiali-workload-with-errors.json").await;
    let tried = ask_kiali(&kiali.url, HEALTHY).await;
    let failure = tried.recorded.failure();
    assert_eq!(
        told(&failure),
        [
            ("kong-istio/kong-istio-kong → echo/http-echo-v1: percent of failures is 0", "29.6"),
            ("kong-istio/kong-istio-kong → echo/http-echo-v1: health is `Healthy`", "`Failure`"),
            ("the health of echo/http-echo-v1 is `Healthy`", "Failure"),
        ]
    );
    assert_eq!(failure.hints, [format!("Kiali is at {}", kiali.url)]);
    let edge = "- kiali: {edges: {from: echo/http-echo-v1, to: echo/http-echo-v2}}";
    let failure = ask_kiali(&kiali.url, edge).await.recorded.failure();
    let [(expected, got)] = told(&failure)[..] else { panic!("{failure:?}") };
    assert_eq!(expected, "an edge echo/http-echo-v1 → echo/http-echo-v2");
    assert!(got.contains("kong-istio/kong-istio-kong → echo/http-echo-v1 (3.98/s)"), "{got}");
    // What a workload without a sidecar was seen to give.
    let mut idle: Value = serde_json::from_str(&recorded("kiali-workload.json")).unwrap();
    idle["health"]["requests"] = serde_json::json!({"healthAnnotations": {}, "inbound": {}, "outbound": {}});
    idle["health"]["status"] = serde_json::json!({"errorRatio": -1, "status": "Healthy"});
    let alone =
        FakeTool::start("", &[("/api/namespaces/echo/workloads/http-echo-v1", 200, idle.to_string())]).await;
    let failure =
        ask_kiali(&alone.url, "- kiali: {health: {echo/http-echo-v1: Failure}}").await.recorded.failure();
    let only = "Healthy, which only says that it runs: none of its requests were counted";
    assert_eq!(told(&failure), [("the health of echo/http-echo-v1 is `Failure`", only)]);
    let unknown = ask_kiali(&kiali.url, "- kiali: {health: {echo/nosuch: Healthy}}").await.recorded.failure();
    assert_eq!(unknown.message, "kiali: Kiali answered 404: Workload.Kiali \"nosuch\" not found");
}

#[tokio::test]
async fn prometheus_says_whether_anything_was_counted() {
    let kiali = kiali(r#"{"elements":{"nodes":[],"edges":[]}}"#.to_owned(), "kiali-workload.json").await;
    let series = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"reporter":"source","source_workload":"kong-istio-kong"},"value":[1795487495,"3"]}]}}"#;
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    for (answer, hint) in [
        (series, "Prometheus has series of istio_requests_total: 3 from kong-istio-kong told by the source"),
        (
            empty,
            "Prometheus has no series of istio_requests_total: no sidecar has counted, or none is scraped",
        ),
    ] {
        let prometheus = FakeTool::start("", &[("/api/v1/query", 200, answer.to_owned())]).await;
        let tools = Tools {
            kiali: Some(kiali.url.clone()),
            prometheus: Some(prometheus.url),
            jaeger: "http://127.0.0.1:9".parse().ok(),
        };
        let failure = ask(tools, HEALTHY).await.recorded.failure();
        assert_eq!(failure.misses[0].got, "a graph without edges");
        assert_eq!(failure.hints[1], hint);
    }
}
