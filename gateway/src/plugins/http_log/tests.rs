//! The plugin against a collector on a real socket, from settings to what arrives.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use smallvec::SmallVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::Clock;
use crate::exchange::{Outcome, Times};
use crate::plugins::environment::Environment;
use crate::plugins::testing::{Bench, eventually, exchange};

/// An HTTP collector.
struct Bin {
    port: u16,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    posts: Mutex<Vec<Post>>,
    status: AtomicU16,
    connections: AtomicU16,
}

#[derive(Debug, Clone)]
struct Post {
    line: String,
    headers: HashMap<String, String>,
    body: Value,
    connection: u16,
}

impl Bin {
    async fn start() -> Bin {
        Bin::start_on(0).await
    }

    async fn start_on(port: u16) -> Bin {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State { status: AtomicU16::new(200), ..State::default() });
        let served = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = served.connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(stream, Arc::downgrade(&served), connection));
            }
        });
        Bin { port, state, accepting }
    }

    fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    fn posts(&self) -> Vec<Post> {
        self.state.posts.lock().clone()
    }

    async fn has(&self, posts: usize) -> Vec<Post> {
        eventually(&format!("{posts} posts"), || self.state.posts.lock().len() >= posts).await;
        self.posts()
    }

    /// Targets of all entries that have arrived, in order of arrival.
    fn uris(&self) -> Vec<String> {
        let uri = |entry: &Value| entry["request"]["uri"].as_str().unwrap().to_owned();
        let entries = self.posts().into_iter().flat_map(|post| match post.body {
            Value::Array(entries) => entries,
            entry => vec![entry],
        });
        entries.map(|entry| uri(&entry)).collect()
    }
}

async fn serve(mut stream: TcpStream, state: Weak<State>, connection: u16) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers["content-length"].parse().unwrap();
        while buffer.len() < head_end + length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        let body = serde_json::from_slice(&buffer[head_end..head_end + length]).unwrap();
        buffer.drain(..head_end + length);
        let state = state.upgrade()?;
        let status = state.status.load(Ordering::SeqCst);
        if status == 200 {
            state.posts.lock().push(Post { line, headers, body, connection });
        }
        if status == 0 {
            return None;
        }
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\nLocation: /other\r\n\r\nhello");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn record(target: &str) -> Arc<Exchange> {
    let exchange = exchange(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nUser-Agent: t\r\n\r\n"));
    let mut response = exchange.response;
    response.status = 200;
    Arc::new(Exchange {
        id: exchange.id,
        client: exchange.client,
        target: target.as_bytes().to_vec(),
        request: exchange.request,
        response,
        matched: None,
        consumer: None,
        credential: None,
        outcome: Outcome::default(),
        times: Times::default(),
        tries: SmallVec::new(),
        upstream_target: Vec::new(),
        correlation_id: None,
        sent: crate::exchange::Sent::default(),
        trace: None,
    })
}

/// An environment in real time.
fn environment() -> Environment {
    Environment::new(tokio::runtime::Handle::current(), Clock::system(), None)
}

/// A plugin by id, in an environment.
fn plugin(environment: &Environment, id: u128, config: Value) -> Arc<dyn Plugin> {
    let settings = SCHEMA.check(&config).unwrap_or_else(|errors| panic!("{}", errors.message()));
    build(&Build {
        settings: &settings,
        id: Uuid::from_u128(id),
        scope: crate::model::Scope::default(),
        environment,
        credentials: &Arc::default(),
    })
    .unwrap()
}

#[tokio::test]
async fn an_entry_arrives_as_one_object_on_a_connection_that_stays() {
    let (bin, environment) = (Bin::start().await, environment());
    let plugin = plugin(&environment, 1, json!({"http_endpoint": bin.url("/log")}));
    for at in 1..=3 {
        plugin.log(&record(&format!("/{at}")));
        bin.has(at).await;
    }
    let posts = bin.posts();
    assert_eq!(posts[0].line, "POST /log HTTP/1.1");
    assert_eq!(posts[0].headers["content-type"], "application/json");
    assert!(posts[0].headers["user-agent"].starts_with("limen/"));
    assert_eq!(posts[0].headers["host"], format!("127.0.0.1:{}", bin.port));
    assert_eq!(posts[0].body["request"]["url"], "http://a.test:18000/1");
    assert!(posts.iter().all(|post| post.connection == 1), "{posts:?}");
    assert_eq!(bin.uris(), ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn method_type_headers_path_query_and_credentials_are_the_settings() {
    let (bin, environment) = (Bin::start().await, environment());
    let config = json!({
        "http_endpoint": format!("http://us%40er:p%3Aw@127.0.0.1:{}/a%20b/:id?token=1#f", bin.port),
        "method": "PUT",
        "content_type": "application/json; charset=utf-8",
        "headers": {"X-Tok": "abc", "x-two": "d"},
        "queue": {"max_batch_size": 2, "max_coalescing_delay": 0},
    });
    plugin(&environment, 1, config).log(&record("/1"));
    let post = &bin.has(1).await[0];
    assert_eq!(post.line, "PUT /a%20b/:id?token=1 HTTP/1.1");
    let header = |name: &str| post.headers[name].as_str();
    assert_eq!(header("authorization"), "Basic dXNAZXI6cDp3");
    assert_eq!((header("x-tok"), header("x-two")), ("abc", "d"));
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert!(post.body.is_array(), "a batch is a list, also of one: {}", post.body);
}

#[tokio::test]
async fn names_of_old_are_read_as_the_new_ones_unless_they_say_nothing() {
    let settings = |config: Value| {
        let mut whole = json!({"http_endpoint": "http://h/"});
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let config: Config = serde_json::from_value(SCHEMA.check(&whole).unwrap()).unwrap();
        let limits = config.settings().unwrap().limits;
        (limits.max_batch_size, limits.max_coalescing_delay.as_secs())
    };
    // The article's settings.
    assert_eq!(
        settings(json!({"flush_timeout": 2, "retry_count": 15, "timeout": 1000, "keepalive": 1000})),
        (1, 1)
    );
    assert_eq!(settings(json!({"queue_size": 2, "flush_timeout": 1, "retry_count": 3})), (2, 1));
    assert_eq!(
        settings(json!({"queue_size": 1, "flush_timeout": 5, "queue": {"max_batch_size": 7}})),
        (7, 5)
    );
}

#[tokio::test]
async fn entries_survive_a_collector_that_refuses_hangs_up_and_is_gone() {
    let (bin, environment) = (Bin::start().await, environment());
    let config = json!({"http_endpoint": bin.url("/"), "queue": {"initial_retry_delay": 0.001, "max_retry_delay": 0.01}});
    let plugin = plugin(&environment, 1, config);
    for (at, status) in [500, 302, 404, 0].into_iter().enumerate() {
        bin.answer(status);
        plugin.log(&record(&format!("/{at}")));
        let failures = environment.log_totals().failed_attempts;
        eventually("some failures", || environment.log_totals().failed_attempts > failures + 2).await;
        bin.answer(200);
        bin.has(at + 1).await;
    }
    let port = bin.port;
    let before = bin.uris();
    assert_eq!(before, ["/0", "/1", "/2", "/3"]);
    bin.accepting.abort();
    bin.answer(0);
    for at in 4..50 {
        plugin.log(&record(&format!("/{at}")));
    }
    let failures = environment.log_totals().failed_attempts;
    eventually("refused connections", || environment.log_totals().failed_attempts > failures + 3).await;
    drop(bin);
    let bin = Bin::start_on(port).await;
    bin.has(46).await;
    let wanted: Vec<String> = (4..50).map(|at| format!("/{at}")).collect();
    assert_eq!(bin.uris(), wanted, "each once, in order");
    let totals = environment.log_totals();
    assert_eq!((totals.accepted, totals.lost()), (50, 0));
}

#[tokio::test]
async fn a_collector_that_does_not_answer_costs_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let environment = environment();
    let config = json!({
        "http_endpoint": format!("http://127.0.0.1:{port}/"),
        "timeout": 30,
        "queue": {"max_retry_time": -1},
    });
    plugin(&environment, 1, config).log(&record("/"));
    eventually("it to be given up", || environment.log_totals().lost_given_up == 1).await;
}

#[tokio::test]
async fn plugins_with_the_same_settings_share_a_queue_and_others_do_not() {
    let (bin, environment) = (Bin::start().await, environment());
    let config = |who: &str| json!({"http_endpoint": bin.url("/same"), "headers": {"X-Who": who}});
    let plugins = [
        plugin(&environment, 1, config("first")),
        plugin(&environment, 2, config("first")),
        plugin(&environment, 3, config("second")),
    ];
    assert_eq!(environment.logs.depths().len(), 2);
    for (at, plugin) in plugins.iter().enumerate() {
        plugin.log(&record(&format!("/{at}")));
    }
    let mut seen: Vec<_> = bin
        .has(3)
        .await
        .into_iter()
        .map(|post| (post.body["request"]["uri"].as_str().unwrap().to_owned(), post.headers["x-who"].clone()))
        .collect();
    seen.sort();
    let wanted = [("/0", "first"), ("/1", "first"), ("/2", "second")];
    assert_eq!(seen, wanted.map(|(uri, who)| (uri.to_owned(), who.to_owned())));
    drop(plugins);
    eventually("the queues to close", || environment.logs.depths().is_empty()).await;
}

#[tokio::test]
async fn a_new_endpoint_gets_what_the_old_one_could_not_take() {
    let (bin, environment) = (Bin::start().await, environment());
    bin.answer(500);
    let slow = json!({"initial_retry_delay": 100, "max_retry_delay": 100});
    let config = |path: &str| json!({"http_endpoint": bin.url(path), "queue": slow});
    let old = plugin(&environment, 1, config("/old"));
    old.log(&record("/1"));
    eventually("the first attempt", || environment.log_totals().failed_attempts == 1).await;
    old.log(&record("/2"));
    bin.answer(200);
    let new = plugin(&environment, 1, config("/new"));
    // An exchange of the old generation ends.
    old.log(&record("/3"));
    drop(old);
    new.log(&record("/4"));
    bin.has(4).await;
    let mut uris = bin.uris();
    uris.sort();
    assert_eq!(uris, ["/1", "/2", "/3", "/4"]);
    assert!(bin.posts().iter().all(|post| post.line == "POST /new HTTP/1.1"));
}

#[tokio::test]
async fn a_plugin_that_is_removed_still_sends_what_it_has() {
    let (bin, environment) = (Bin::start().await, environment());
    let config = json!({
        "http_endpoint": bin.url("/"),
        "queue": {"max_batch_size": 100, "max_coalescing_delay": 3600},
    });
    let plugin = plugin(&environment, 1, config);
    plugin.log(&record("/1"));
    plugin.log(&record("/2"));
    eventually("entries to be written", || environment.logs.depths()[0].1 == 2).await;
    plugin.log(&record("/3"));
    drop(plugin);
    bin.has(1).await;
    assert_eq!(bin.uris(), ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn a_stop_sends_what_is_there_within_its_time_and_counts_the_rest() {
    let (bin, environment) = (Bin::start().await, environment());
    let config = |path: &str| {
        let queue = json!({"max_batch_size": 100, "max_coalescing_delay": 3600});
        json!({"http_endpoint": bin.url(path), "queue": queue})
    };
    let plugin = plugin(&environment, 1, config("/"));
    for at in 0..10 {
        plugin.log(&record(&format!("/{at}")));
    }
    assert_eq!(environment.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(bin.uris().len(), 10);

    let environment = self::environment();
    let dead = self::plugin(&environment, 1, json!({"http_endpoint": "http://127.0.0.1:1/"}));
    for at in 0..10 {
        dead.log(&record(&format!("/{at}")));
    }
    assert_eq!(environment.shutdown(Duration::from_millis(50)).await, 10);
    let totals = environment.log_totals();
    assert_eq!((totals.accepted, totals.lost_stopped, totals.lost()), (10, 10, 10));
}

#[tokio::test]
async fn custom_fields_are_computed_and_a_failing_one_costs_only_itself() {
    let (bin, environment) = (Bin::start().await, environment());
    let fields = json!({
        "mine": "return 'x'",
        "a.b.c": "return 1",
        "d\\.e": "return true",
        "source": "return nil",
        "request.method": "return 'was ' .. kong.request.get_method()",
        "num": "return 1.5",
        "tbl": "return {1, 2, k = 'v'}",
        "hdr": "return kong.request.get_header('user-agent')",
        "status": "return kong.response.get_status()",
        "bad": "error('boom')",
        "fn": "return function() return function() end end",
        "client_ip.x": "return 1",
        "nothere.x": "return nil",
    });
    let config = json!({"http_endpoint": bin.url("/"), "custom_fields_by_lua": fields});
    plugin(&environment, 1, config).log(&record("/1?a=b"));
    let entry = &bin.has(1).await[0].body;
    let wanted = json!({
        "mine": "x",
        "a": {"b": {"c": 1}},
        "d.e": true,
        "num": 1.5,
        "tbl": {"1": 1, "2": 2, "k": "v"},
        "hdr": "t",
        "status": 200,
        "client_ip": "127.0.0.1",
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&entry[name], value, "{name}");
    }
    assert_eq!(entry["request"]["method"], "was GET");
    assert!(["source", "bad", "fn", "nothere"].iter().all(|name| entry.get(name).is_none()), "{entry}");
    assert_eq!(environment.log_totals().faults, 3);
}

#[test]
fn settings_that_cant_be_used_are_named() {
    let bench = Bench::new();
    let error = |config: Value| bench.try_build("http-log", config).err().unwrap();
    assert!(error(json!({})).contains("required field missing"));
    assert!(error(json!({"http_endpoint": "127.0.0.1/x"})).contains("missing host in url"));
    assert!(error(json!({"http_endpoint": "ftp://h/"})).contains("use http or https"));
    let twice = json!({"http_endpoint": "http://u:p@h/", "headers": {"Authorization": "x"}});
    assert!(error(twice).contains("specifying both an 'Authorization' header and user info"));
    let headers = json!({"http_endpoint": "http://h/", "headers": {"content-length": "1"}});
    assert!(error(headers).contains("cannot contain 'Content-Length' header"));
    let lua = json!({"http_endpoint": "http://h/", "custom_fields_by_lua": {"a": "return ("}});
    assert!(error(lua).contains("unexpected symbol near '<eof>'"));
}

#[test]
fn labels_show_neither_credentials_nor_query() {
    let config = json!({"http_endpoint": "http://u:secret@h:1/p?token=secret"});
    let config: Config = serde_json::from_value(SCHEMA.check(&config).unwrap()).unwrap();
    assert_eq!(config.settings().unwrap().target.label(), "http://h:1/p");
}
