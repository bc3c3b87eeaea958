//! The bin: what is kept, given back, bounded, and failed on request.

use std::time::Duration;

use echo_service::{
    BinSettings, Limits, Running,
    har::{Archive, Entry},
    serve_bin,
};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::raw;

struct Bin {
    server: Running,
    client: Client,
}

impl Bin {
    async fn start(limits: Limits) -> Self {
        let server = serve_bin(BinSettings { limits, ..BinSettings::default() }).await.unwrap();
        Self { server, client: Client::new() }
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Response {
        let url = format!("{}{path}", self.server.url());
        self.client.request(method, url).body(body.to_owned()).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> StatusCode {
        self.ask(Method::POST, path, body).await.status()
    }

    async fn log(&self, path: &str) -> Archive {
        self.ask(Method::GET, path, "").await.json().await.unwrap()
    }

    async fn texts(&self, path: &str) -> Vec<String> {
        let text = |entry: Entry| entry.request.post_data.unwrap().text;
        self.log(path).await.log.entries.into_iter().map(text).collect()
    }

    async fn index(&self) -> Value {
        self.ask(Method::GET, "/bin", "").await.json().await.unwrap()
    }
}

#[tokio::test]
async fn what_is_posted_comes_back_as_har() {
    let bin = Bin::start(Limits::default()).await;
    let url = format!("{}/bin/:id?a=1&b=%20", bin.server.url());
    let sent = bin.client.post(&url).header("content-type", "application/json").body(r#"[{"x":1}]"#).send();
    assert_eq!(sent.await.unwrap().status(), 200);
    assert_eq!(bin.ask(Method::GET, "/bin/:id", "").await.status(), 200);

    let archive: Value = bin.ask(Method::GET, "/bin/:id/log", "").await.json().await.unwrap();
    let entry = &archive["log"]["entries"][0];
    assert_eq!(archive["log"]["version"], "1.2");
    assert_eq!(archive["log"]["entries"].as_array().unwrap().len(), 1, "reading is not kept");
    assert_eq!(entry["clientIPAddress"], "127.0.0.1");
    assert!(entry["startedDateTime"].as_str().unwrap().ends_with('Z'));
    let request = &entry["request"];
    assert_eq!((&request["method"], &request["httpVersion"]), (&json!("POST"), &json!("HTTP/1.1")));
    assert_eq!(request["url"], url);
    assert_eq!(request["queryString"], json!([{"name": "a", "value": "1"}, {"name": "b", "value": " "}]));
    let header = json!({"name": "content-type", "value": "application/json"});
    assert!(request["headers"].as_array().unwrap().contains(&header));
    assert_eq!(
        request["postData"],
        json!({"mimeType": "application/json", "text": "[{\"x\":1}]", "_truncated": false, "_json": [{"x": 1}]})
    );
    assert_eq!(request["bodySize"], 9);
}

#[tokio::test]
async fn the_log_is_filtered_and_emptied() {
    let bin = Bin::start(Limits::default()).await;
    for (method, path, body) in [
        (Method::POST, "/bin/a", "one"),
        (Method::PUT, "/bin/a/sub/path", "two"),
        (Method::POST, "/bin/b", "elsewhere"),
        (Method::PATCH, "/bin/a", "three"),
    ] {
        bin.ask(method, path, body).await;
    }
    assert_eq!(bin.texts("/bin/a/log").await, ["one", "two", "three"]);
    assert_eq!(bin.texts("/bin/a/log?method=put").await, ["two"]);
    assert_eq!(bin.texts("/bin/a/log?path=/sub").await, ["two"]);
    assert_eq!(bin.texts("/bin/a/log?contains=o").await, ["one", "two"]);
    assert_eq!(bin.texts("/bin/a/log?limit=1").await, ["three"]);
    let first = bin.log("/bin/a/log").await.log.entries[0].sequence;
    assert_eq!(bin.texts(&format!("/bin/a/log?since={first}")).await, ["two", "three"]);

    for bad in ["since=x", "limit=-1", "sinse=1"] {
        assert_eq!(bin.ask(Method::GET, &format!("/bin/a/log?{bad}"), "").await.status(), 400, "{bad}");
    }
    assert_eq!(bin.ask(Method::POST, "/bin/a/log", "x").await.status(), 405);
    assert_eq!(bin.ask(Method::DELETE, "/bin/a/log", "").await.status(), 204);
    assert_eq!(bin.texts("/bin/a/log").await, [""; 0]);
    bin.ask(Method::DELETE, "/bin/b/log", "").await;
    assert_eq!(bin.index().await["bytes"], 0);
    bin.post("/bin/a", "four").await;
    assert!(bin.log("/bin/a/log").await.log.entries[0].sequence > first, "the sequence goes on");
    assert_eq!(bin.texts("/bin/never/log").await, [""; 0]);
}

#[tokio::test]
async fn beyond_its_bounds_the_oldest_goes_and_is_counted() {
    let bin = Bin::start(Limits { bins: 2, entries: 3, bytes: 100_000, entry_bytes: 40_000 }).await;
    for number in 0..5 {
        bin.post("/bin/a", &number.to_string()).await;
    }
    assert_eq!(bin.texts("/bin/a/log").await, ["2", "3", "4"]);
    assert_eq!(bin.log("/bin/a/log").await.log.dropped, 2);

    let long = "é".repeat(40_000);
    bin.post("/bin/b", &long).await;
    let entry = bin.log("/bin/b/log").await.log.entries.remove(0).request;
    let data = entry.post_data.unwrap();
    assert_eq!((entry.body_size, data.text.len(), data.truncated), (80_000, 40_000, true));

    bin.post("/bin/b", &long).await;
    bin.post("/bin/b", &long).await;
    let index = bin.index().await;
    assert!(index["bytes"].as_u64().unwrap() <= 100_000, "{index}");
    assert_eq!(bin.log("/bin/a/log").await.log.entries.len(), 0, "the oldest of all bins went first");
    assert_eq!(bin.log("/bin/b/log").await.log.dropped, 1);

    bin.post("/bin/c", "x").await;
    let index = bin.index().await;
    assert_eq!(index["dropped_bins"], 1);
    let ids: Vec<_> = index["bins"].as_array().unwrap().iter().map(|bin| bin["id"].clone()).collect();
    assert_eq!(ids, ["b", "c"], "the bin not written to for longest went");
}

#[tokio::test]
async fn a_created_bin_gives_the_answer_it_was_created_with() {
    let bin = Bin::start(Limits::default()).await;
    let canned = json!({"status": 202, "headers": [{"name": "X-A", "value": "b"}],
                        "content": {"mimeType": "text/plain", "text": "thanks"}});
    let created = bin.ask(Method::POST, "/bin/create", &canned.to_string()).await;
    assert_eq!(created.status(), 201);
    let place = created.headers()["location"].to_str().unwrap().to_owned();
    let id: String = created.json().await.unwrap();
    assert_eq!(place, format!("/bin/{id}"));

    let answer = bin.ask(Method::POST, &place, "x").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-a"]), (202, &"b".parse().unwrap()));
    assert_eq!(answer.text().await.unwrap(), "thanks");
    let view: Value = bin.ask(Method::GET, &format!("{place}/view"), "").await.json().await.unwrap();
    assert_eq!((&view["status"], &view["content"]["text"]), (&json!(202), &json!("thanks")));

    assert_eq!(bin.ask(Method::POST, "/bin/create", "").await.status(), 201);
    for bad in [r#"{"status": 99}"#, r#"{"headers": [{"name": "a b", "value": ""}]}"#, "not json"] {
        let answer = bin.ask(Method::POST, "/bin/create", bad).await;
        assert_eq!(answer.status(), 400, "{bad}");
        assert!(answer.text().await.unwrap().starts_with("failed to create a bin: "), "{bad}");
    }
}

#[tokio::test]
async fn an_outage_fails_so_many_requests_and_keeps_none_of_them() {
    let bin = Bin::start(Limits::default()).await;
    let set = bin.ask(Method::PUT, "/bin/a/outage?echo-status=500&requests=2", "").await;
    let set: Value = set.json().await.unwrap();
    assert_eq!(set, json!({"down": true, "requests_left": 2}));
    let mut seen = Vec::new();
    for number in 0..3 {
        seen.push(bin.post("/bin/a", &number.to_string()).await.as_u16());
    }
    assert_eq!(seen, [500, 500, 200]);
    assert_eq!(bin.texts("/bin/a/log").await, ["2"]);
    assert_eq!(bin.log("/bin/a/log").await.log.refused, 2);
}

#[tokio::test]
async fn an_outage_ends_in_time_or_when_deleted() {
    let bin = Bin::start(Limits::default()).await;
    bin.ask(Method::PUT, "/bin/a/outage", "").await;
    assert_eq!(bin.post("/bin/a", "x").await, 503);
    assert_eq!(bin.post("/bin/b", "x").await, 200, "another bin is not touched");
    let ended: Value = bin.ask(Method::DELETE, "/bin/a/outage", "").await.json().await.unwrap();
    assert_eq!(ended, json!({"down": false}));
    assert_eq!(bin.post("/bin/a", "y").await, 200);

    bin.ask(Method::PUT, "/bin/a/outage?for=100ms", "").await;
    let up = async { while bin.post("/bin/a", "z").await != 200 {} };
    raw::within("end of outage", up).await;
    assert_eq!(bin.texts("/bin/a/log").await, ["y", "z"]);
    for bad in ["requests=x", "for=ever", "echo-status=9", "fro=1s"] {
        assert_eq!(bin.ask(Method::PUT, &format!("/bin/a/outage?{bad}"), "").await.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn one_request_can_ask_to_be_failed() {
    let bin = Bin::start(Limits::default()).await;
    assert_eq!(bin.post("/bin/a?echo-status=500", "x").await, 500);
    let aborted = bin.client.post(format!("{}/bin/a?echo-abort=before-headers", bin.server.url())).send();
    assert!(aborted.await.is_err());
    let slow = bin.client.post(format!("{}/bin/a?echo-delay=1m", bin.server.url()));
    let error = slow.timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(bin.log("/bin/a/log").await.log.refused, 2);
}

#[tokio::test]
async fn elsewhere_it_says_what_there_is() {
    let bin = Bin::start(Limits::default()).await;
    for path in ["/", "/binary", "/bin//x"] {
        let answer = bin.ask(Method::GET, path, "").await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.text().await.unwrap().contains("/bin/ID/log"));
    }
    assert_eq!(bin.ask(Method::GET, "/bin/create", "").await.status(), 405);
}
