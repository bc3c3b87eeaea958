//! Against a server of our own that runs the scripts as Redis does, in Lua.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use mlua::{Lua, MultiValue, Value};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::plugins::testing::{Bench, eventually, exchange};
use crate::plugins::{Flow, Plugin};

/// A Redis that knows what counting needs. Clones are the same.
#[derive(Clone, Default)]
struct Redis(Arc<State>);

#[derive(Default)]
struct State {
    keys: Mutex<HashMap<String, i64>>,
    lifetimes: Mutex<HashMap<String, String>>,
    password: Option<String>,
    connections: AtomicUsize,
    /// Takes commands and does not answer.
    silent: std::sync::atomic::AtomicBool,
    commands: Mutex<Vec<String>>,
}

impl Redis {
    /// Listens; returns the port and the way to stop it.
    async fn start(&self) -> (u16, tokio::task::JoinHandle<()>) {
        self.start_on(0).await
    }

    async fn start_on(&self, port: u16) -> (u16, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let redis = self.clone();
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                redis.0.connections.fetch_add(1, Ordering::SeqCst);
                let redis = redis.clone();
                connections.spawn(async move {
                    let (mut unread, mut known) = (Vec::new(), redis.0.password.is_none());
                    while stream.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
                        while let Some((Reply::List(words), length)) = Reply::read(&unread).unwrap() {
                            unread.drain(..length);
                            let answer = redis.answer(&words, &mut known);
                            if !redis.0.silent.load(Ordering::SeqCst) {
                                stream.write_all(&answer).await.unwrap();
                            }
                        }
                    }
                });
            }
        });
        (port, serving)
    }

    fn answer(&self, words: &[Reply], known: &mut bool) -> Vec<u8> {
        let text = |word: &Reply| match word {
            Reply::Text(text) => String::from_utf8(text.clone()).unwrap(),
            other => unreachable!("{other:?}"),
        };
        let words: Vec<String> = words.iter().map(text).collect();
        self.0.commands.lock().push(words[0].clone());
        match (words[0].as_str(), &words[1..]) {
            ("AUTH", [.., password]) => {
                *known = self.0.password.as_ref() == Some(password);
                if *known { b"+OK\r\n".to_vec() } else { b"-WRONGPASS invalid password\r\n".to_vec() }
            }
            _ if !*known => b"-NOAUTH Authentication required.\r\n".to_vec(),
            ("SELECT", _) => b"+OK\r\n".to_vec(),
            ("MGET", keys) => {
                let stored = self.0.keys.lock();
                let one = |key: &String| {
                    stored.get(key).map_or("$-1\r\n".to_owned(), |value| {
                        format!("${}\r\n{value}\r\n", value.to_string().len())
                    })
                };
                format!("*{}\r\n{}", keys.len(), keys.iter().map(one).collect::<String>()).into_bytes()
            }
            ("EVAL", [script, count, rest @ ..]) => {
                let (keys, arguments) = rest.split_at(count.parse().unwrap());
                self.eval(script, keys, arguments)
            }
            (other, _) => format!("-ERR unknown command {other}\r\n").into_bytes(),
        }
    }

    fn eval(&self, script: &str, keys: &[String], arguments: &[String]) -> Vec<u8> {
        let lua = Lua::new();
        let state = self.0.clone();
        let call = lua.create_function(move |lua, words: MultiValue| {
            let words: Vec<String> = words.iter().map(|word| word.to_string().unwrap()).collect();
            let mut keys = state.keys.lock();
            let mut add = |by: i64| {
                let value = keys.entry(words[1].clone()).or_default();
                *value += by;
                Value::Integer(*value)
            };
            Ok(match words[0].as_str() {
                "GET" => match keys.get(&words[1]) {
                    Some(value) => Value::String(lua.create_string(value.to_string())?),
                    None => Value::Boolean(false),
                },
                "INCR" => add(1),
                "INCRBY" => add(words[2].parse().unwrap()),
                "EXPIRE" => {
                    state.lifetimes.lock().insert(words[1].clone(), words[2].clone());
                    Value::Integer(1)
                }
                other => unreachable!("{other}"),
            })
        });
        let redis = lua.create_table_from([("call", call.unwrap())]).unwrap();
        lua.globals().set("redis", redis).unwrap();
        lua.globals().set("KEYS", keys.to_vec()).unwrap();
        lua.globals().set("ARGV", arguments.to_vec()).unwrap();
        match lua.load(script).eval::<Value>().unwrap() {
            Value::Table(list) => {
                let numbers: Vec<i64> = list.sequence_values().map(Result::unwrap).collect();
                let lines: Vec<String> = numbers.iter().map(|number| format!(":{number}\r\n")).collect();
                format!("*{}\r\n{}", numbers.len(), lines.concat()).into_bytes()
            }
            other => format!(":{}\r\n", other.to_string().unwrap()).into_bytes(),
        }
    }

    fn counts(&self) -> Vec<(String, i64)> {
        let mut counts: Vec<_> =
            self.0.keys.lock().iter().map(|(key, value)| (key.clone(), *value)).collect();
        counts.sort();
        counts
    }
}

fn settings(port: u16, rest: serde_json::Value) -> serde_json::Value {
    let mut settings =
        json!({"policy": "redis", "redis": {"host": "127.0.0.1", "port": port, "timeout": 2000}});
    settings.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    settings
}

/// The status, or 200, and what remains in the minute.
async fn ask(plugin: &dyn Plugin) -> (u16, Option<String>) {
    let mut exchange = exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let flow = match plugin.access(&mut exchange) {
        Flow::Wait(later) => later.await,
        _ => unreachable!("it asks a server"),
    };
    let status = match flow {
        Flow::Next => 200,
        Flow::Answer(crate::exchange::Answer::Error { status, .. }) => status,
        Flow::Fail(_) => 500,
        _ => unreachable!(),
    };
    (status, exchange.on_response.get_str("X-RateLimit-Remaining-Minute").map(str::to_owned))
}

async fn statuses(plugin: &dyn Plugin, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(ask(plugin).await.0);
    }
    statuses
}

#[tokio::test]
async fn all_windows_are_counted_under_kongs_keys_and_refused_requests_in_none() {
    let redis = Redis::default();
    let (port, _) = redis.start().await;
    let mut bench = Bench::new();
    bench.scope.route = Some(uuid::Uuid::from_u128(0xa));
    let plugin = bench.build("rate-limiting", settings(port, json!({"minute": 2, "hour": 5})));
    assert_eq!(ask(&*plugin).await, (200, Some("1".to_owned())));
    assert_eq!(ask(&*plugin).await, (200, Some("0".to_owned())));
    assert_eq!(ask(&*plugin).await, (429, Some("0".to_owned())));
    let prefix =
        "ratelimit:00000000-0000-0000-0000-00000000000a:00000000-0000-0000-0000-000000000000:127.0.0.1";
    let wanted = [(format!("{prefix}:1795489200000:hour"), 2), (format!("{prefix}:1795491000000:minute"), 2)];
    assert_eq!(redis.counts(), wanted);
    let lifetimes = redis.0.lifetimes.lock().clone();
    assert_eq!((&lifetimes[&wanted[0].0], &lifetimes[&wanted[1].0]), (&"3600".to_owned(), &"60".to_owned()));
    bench.clock.advance(Duration::from_secs(53));
    assert_eq!(statuses(&*plugin, 4).await, [200, 200, 429, 429]);
    assert_eq!(redis.0.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn gateways_that_share_a_server_share_a_limit_exactly() {
    let redis = Redis::default();
    let (port, _) = redis.start().await;
    let build = || {
        let bench = Bench::new();
        let plugin = bench.build("rate-limiting", settings(port, json!({"minute": 100})));
        (bench, plugin)
    };
    let gateways = [build(), build(), build()];
    let asked =
        gateways.iter().map(|(_, plugin)| futures_util::future::join_all((0..100).map(|_| ask(&**plugin))));
    let answers = futures_util::future::join_all(asked).await;
    let admitted = answers.iter().flatten().filter(|(status, _)| *status == 200).count();
    assert_eq!(admitted, 100);
}

#[tokio::test]
async fn without_a_server_requests_pass_uncounted_or_fail() {
    let bench = Bench::new();
    // Nobody listens on port 1.
    let tolerant = bench.build("rate-limiting", settings(1, json!({"minute": 1})));
    for _ in 0..3 {
        assert_eq!(ask(&*tolerant).await, (200, None));
    }
    assert_eq!(bench.environment.redis.missed(), 3);
    let strict = bench.build("rate-limiting", settings(1, json!({"minute": 1, "fault_tolerant": false})));
    assert_eq!(ask(&*strict).await, (500, None));
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let redis = Redis::default();
    let (port, serving) = redis.start().await;
    let bench = Bench::new();
    let plugin = bench.build("rate-limiting", settings(port, json!({"minute": 3})));
    assert_eq!(ask(&*plugin).await.0, 200);
    serving.abort();
    let _ = serving.await;
    let mut missed = 0;
    while ask(&*plugin).await != (200, None) {
        missed += 1;
        assert!(missed < 3, "a request was counted without a server");
    }
    let before = redis.counts()[0].1;
    redis.start_on(port).await;
    assert_eq!(ask(&*plugin).await.0, 200);
    assert_eq!(redis.counts()[0].1, before + 1);
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_timeout() {
    let redis = Redis::default();
    let (port, _) = redis.start().await;
    redis.0.silent.store(true, Ordering::SeqCst);
    let bench = Bench::new();
    let redis_settings = json!({"host": "127.0.0.1", "port": port, "timeout": 30});
    let plugin =
        bench.build("rate-limiting", json!({"minute": 1, "policy": "redis", "redis": redis_settings}));
    assert_eq!(ask(&*plugin).await, (200, None));
    redis.0.silent.store(false, Ordering::SeqCst);
    assert!(ask(&*plugin).await.1.is_some());
}

#[tokio::test]
async fn password_and_database_are_told_first_and_a_wrong_password_is_no_connection() {
    let state = State { password: Some("secret".to_owned()), ..State::default() };
    let redis = Redis(Arc::new(state));
    let (port, _) = redis.start().await;
    let bench = Bench::new();
    let with = |password: &str| {
        let redis =
            json!({"host": "127.0.0.1", "port": port, "username": "u", "password": password, "database": 2});
        bench.build("rate-limiting", json!({"minute": 5, "policy": "redis", "redis": redis}))
    };
    assert_eq!(ask(&*with("secret")).await, (200, Some("4".to_owned())));
    assert_eq!(*redis.0.commands.lock(), ["AUTH", "SELECT", "EVAL"]);
    assert_eq!(ask(&*with("wrong")).await, (200, None));
}

#[tokio::test]
async fn with_a_sync_rate_the_server_is_asked_once_and_told_later() {
    let redis = Redis::default();
    let (port, _) = redis.start().await;
    let bench = Bench::new();
    let build = || bench.build("rate-limiting", settings(port, json!({"minute": 5, "sync_rate": 1})));
    let plugin = build();
    assert_eq!(statuses(&*plugin, 3).await, [200; 3]);
    // The next generation goes on counting.
    assert_eq!(statuses(&*build(), 1).await, [200]);
    assert_eq!((redis.0.commands.lock().clone(), redis.counts()), (vec!["MGET".to_owned()], vec![]));
    // Another gateway counts two.
    let key = "ratelimit:00000000-0000-0000-0000-000000000000:00000000-0000-0000-0000-000000000000:\
               127.0.0.1:1795491000000:minute";
    redis.0.keys.lock().insert(key.to_owned(), 2);
    eventually("the exchange to be waited for", || bench.clock.next_wake().is_some()).await;
    bench.clock.advance(Duration::from_secs(1));
    eventually("the exchange", || redis.counts() == [(key.to_owned(), 6)]).await;
    eventually("its result to arrive", || bench.clock.next_wake().is_some()).await;
    assert_eq!(statuses(&*plugin, 1).await, [429]);
    // Nothing was counted since: it is forgotten, and asked about again.
    bench.clock.advance(Duration::from_secs(1));
    eventually("the next exchange", || bench.clock.next_wake().is_some()).await;
    redis.0.keys.lock().insert(key.to_owned(), 4);
    assert_eq!(statuses(&*plugin, 2).await, [200, 429]);
    bench.environment.redis.flush().await;
    assert_eq!(redis.counts()[0].1, 5);
}

#[tokio::test]
async fn what_could_not_be_told_is_told_later() {
    let redis = Redis::default();
    let (port, serving) = redis.start().await;
    let bench = Bench::new();
    let plugin = bench.build("rate-limiting", settings(port, json!({"minute": 50, "sync_rate": 1})));
    assert_eq!(statuses(&*plugin, 3).await, [200; 3]);
    serving.abort();
    let _ = serving.await;
    bench.environment.redis.flush().await;
    bench.environment.redis.flush().await;
    assert_eq!(statuses(&*plugin, 1).await, [200]);
    redis.start_on(port).await;
    bench.environment.redis.flush().await;
    assert_eq!(redis.counts()[0].1, 4);
}
