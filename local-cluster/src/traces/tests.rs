use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::client::conn::http2;
use serde_json::json;

use super::*;

fn sink() -> TraceSink {
    TraceSink::start(([127, 0, 0, 1], 0).into()).unwrap()
}

fn export() -> Value {
    let text = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
    let span = |id: &str, parent: &str, name: &str, kind: u64, start: &str, end: &str| {
        json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e0001", "spanId": id, "parentSpanId": parent, "name": name,
            "kind": kind, "startTimeUnixNano": start, "endTimeUnixNano": end,
        })
    };
    let mut server = span("00000000000000a1", "", "GET /", 2, "1000000", "9000000");
    server["attributes"] = json!([
        text("url.path", "/"),
        {"key": "http.response.status_code", "value": {"intValue": "502"}},
        {"key": "big", "value": {"intValue": "9007199254740993"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}]}}},
    ]);
    server["status"] = json!({"code": 2, "message": "refused"});
    server["events"] = json!([{"timeUnixNano": "2000000", "name": "exception", "attributes": [text("exception.type", "Refused")]}]);
    let client = span("00000000000000a2", "00000000000000a1", "GET", 3, "2000000", "8000000");
    let mut echo = span("00000000000000e1", "00000000000000a2", "GET /", 2, "3000000", "7000000");
    echo["flags"] = json!(769);
    let resource =
        |service: &str| json!({"attributes": [text("service.name", service), text("service.version", "1")]});
    json!({"resourceSpans": [
        {"resource": resource("gateway"), "scopeSpans": [{"scope": {"name": "proxy", "version": "0.1"}, "spans": [client, server]}]},
        {"resource": resource("echo"), "scopeSpans": [{"spans": [echo]}]},
    ]})
}

struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    fn of(sink: &TraceSink) -> Client {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Client { http, base: format!("http://{}", sink.address()) }
    }

    async fn post(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> (u16, Vec<u8>) {
        let mut request = self.http.post(format!("{}/v1/traces", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn post_json(&self, body: &Value) -> (u16, Vec<u8>) {
        self.post(body.to_string().into_bytes(), &[("content-type", "application/json")]).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The data of a good answer.
    async fn data(&self, path: &str) -> Value {
        let (status, mut body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["data"].take()
    }
}

#[tokio::test]
async fn what_is_sent_is_shown_in_call_order() {
    let sink = sink();
    let client = Client::of(&sink);
    assert_eq!(client.post_json(&export()).await, (200, br#"{"partialSuccess":{}}"#.to_vec()));
    insta::assert_json_snapshot!(client.data("/api/traces/4BF92F3577b34da6a3ce929d0e0e0001").await);
    assert_eq!(client.data("/api/services").await, json!(["echo", "gateway"]));
    assert_eq!(client.data("/api/services/gateway/operations").await, json!(["GET", "GET /"]));
    let operations = client.data("/api/operations?service=gateway&spanKind=server").await;
    assert_eq!(operations, json!([{"name": "GET /", "spanKind": "server"}]));
    let found = client.data("/api/traces?service=echo&limit=5").await;
    assert_eq!(found[0]["spans"].as_array().unwrap().len(), 3, "the whole trace");
    let calls = client.data("/api/dependencies?endTs=1000&lookback=1000").await;
    let call = |parent: &str, child: &str| json!({"parent": parent, "child": child, "callCount": 1});
    assert_eq!(calls, json!([call("gateway", "echo"), call("gateway", "gateway")]));
    assert_eq!(client.data("/api/dependencies?endTs=5&lookback=5").await, json!([]), "not wholly within");
}

#[tokio::test]
async fn the_same_in_the_form_of_otlp() {
    let sink = sink();
    let client = Client::of(&sink);
    client.post_json(&export()).await;
    let (status, body) = client.get("/api/v3/traces/4bf92f3577b34da6a3ce929d0e0e0001").await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(body);
    let window = "query.start_time_min=1970-01-01T00:00:00Z&query.startTimeMax=1970-01-01T00:00:01Z";
    let (status, again) = client.get(&format!("/api/v3/traces?{window}&query.service_name=echo")).await;
    assert_eq!((status, &again), (200, &body));
    let (status, body) = client.get(&format!("/api/v3/traces?{window}&query.serviceName=nobody")).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("No traces found")));
    assert_eq!(client.get("/api/v3/traces").await.0, 400);
}

#[tokio::test]
async fn bad_bodies_are_refused_in_their_own_encoding() {
    let sink = sink();
    let client = Client::of(&sink);
    let (json, protobuf) = (("content-type", "application/json"), ("content-type", "application/x-protobuf"));
    let good = export().to_string().into_bytes();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&good).unwrap();
    let packed = packed.finish().unwrap();
    let gzip = ("content-encoding", "gzip");
    assert_eq!(client.post(packed, &[json, gzip]).await.0, 200);
    for (body, headers, status, says) in [
        (good.clone(), vec![], 415, "415 unsupported media type"),
        (good.clone(), vec![("content-type", "text/plain")], 415, "415 unsupported media type"),
        (good.clone(), vec![json, gzip], 400, "gzip"),
        (good, vec![json, ("content-encoding", "br")], 400, "unsupported Content-Encoding: br"),
        (b"".to_vec(), vec![json], 400, "\"code\":3"),
        (b"[]".to_vec(), vec![json], 400, "expected an object"),
        (
            br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab"}]}]}]}"#.to_vec(),
            vec![json],
            400,
            "2 digits instead of 32",
        ),
        (b"".to_vec(), vec![protobuf], 200, "\n\0"),
        (vec![0xff; 3], vec![protobuf], 400, "\u{8}\u{3}\u{12}\u{e}unexpected EOF"),
    ] {
        let (seen, answer) = client.post(body, &headers).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(seen == status && answer.contains(says), "{headers:?}: {seen} {answer:?}");
    }
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(&vec![b' '; 21 << 20]).unwrap();
    let (status, answer) = client.post(bomb.finish().unwrap(), &[json, gzip]).await;
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&answer).contains("request body too large"));
}

#[tokio::test]
async fn spans_of_no_trace_are_refused_and_the_others_kept() {
    let sink = sink();
    let client = Client::of(&sink);
    let mut export = export();
    export["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["traceId"] = json!("");
    let (status, answer) = client.post_json(&export).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
    assert_eq!(client.data("/api/services").await, json!(["gateway"]));
    sink.clear();
    assert_eq!(client.data("/api/services").await, json!([]));
}

#[tokio::test]
async fn paths_and_ids_that_are_not_there() {
    let sink = sink();
    let client = Client::of(&sink);
    for (path, status) in [
        ("/api/nothing", 404),
        ("/api/traces/", 404),
        ("/", 404),
        ("/api/traces/deadbeef", 404),
        ("/api/traces/xyz", 400),
        ("/api/traces/04bf92f3577b34da6a3ce929d0e0e0001", 400),
        ("/api/traces", 400),
    ] {
        assert_eq!(client.get(path).await.0, status, "{path}");
    }
    let (_, body) = client.get("/api/traces?traceID=deadbeef").await;
    assert_eq!(body["errors"], json!([{"msg": "trace not found", "traceID": "00000000deadbeef"}]));
}

#[tokio::test]
async fn grpc_is_taken_at_the_same_address() {
    let sink = sink();
    let stream = tokio::net::TcpStream::connect(sink.address()).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let span = [&[0x0a, 16][..], &[7; 16], &[0x12, 8], &[8; 8], b"\x2a\x01x"].concat();
    let nested = |field: u8, bytes: &[u8]| [&[field << 3 | 2, bytes.len() as u8], bytes].concat();
    let request = nested(1, &nested(2, &nested(2, &span)));
    let framed = [&[0][..], &(request.len() as u32).to_be_bytes(), &request].concat();
    let uri = |path: &str| format!("http://{}{path}", sink.address());
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let mut status_of = async |path: &str, body: Vec<u8>| {
        let request = Request::post(uri(path)).header("content-type", "application/grpc");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        answer.trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned()
    };
    assert_eq!(status_of(path, framed).await, "0");
    assert_eq!(status_of(path, vec![0, 0, 0, 0, 9]).await, "13");
    assert_eq!(status_of("/grpc.health.v1.Health/Check", Vec::new()).await, "12");
    let found = Client::of(&sink).get("/api/traces/07070707070707070707070707070707").await;
    assert_eq!(found.0, 200);
}
