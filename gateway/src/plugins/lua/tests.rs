use admin_api::Reason;
use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::exchange::{Answer, Exchange};
use crate::plugins::testing::{exchange, sent};

const REQUEST: &str = "POST /a%20b/c?x=1&x=2&y HTTP/1.1\r\nHost: A.test:77\r\nUser-Agent: t\r\nX-Dup: 1\r\nX-Dup: 2\r\n\
                       Content-Type: application/json\r\n\r\n";

/// Runs one chunk in the access phase.
fn run(source: &str) -> (Exchange, Outcome, Option<Answer>) {
    let script = Script::new(vec![source.to_owned()]).unwrap();
    let mut exchange = exchange(REQUEST);
    exchange.path = "/a b/c".to_owned();
    exchange.body = Some(Bytes::from_static(br#"{"n": [1, 2]}"#));
    let (subject, outcome) = script.run(0, Subject::take(Phase::Access, &mut exchange));
    let answer = subject.give_back(&mut exchange);
    (exchange, outcome, answer)
}

fn value(source: &str) -> serde_json::Value {
    match run(source).1 {
        Outcome::Value(Ok(value)) => value.unwrap_or_default(),
        other => unreachable!("{source}: {other:?}"),
    }
}

fn error(source: &str) -> String {
    match run(source).1 {
        Outcome::Value(Err(error)) => error,
        other => unreachable!("{source}: {other:?}"),
    }
}

#[test]
fn what_chunks_return_becomes_json() {
    let cases = [
        ("return 1", json!(1)),
        ("return 1.5", json!(1.5)),
        ("return 'x' .. 1", json!("x1")),
        ("return {1, 2}", json!([1, 2])),
        ("return {1, 2, k = 'v'}", json!({"1": 1, "2": 2, "k": "v"})),
        ("return {}", json!({})),
        ("return {[1] = 'a', [3] = 'c'}", json!({"1": "a", "3": "c"})),
        ("return {a = {b = true}}", json!({"a": {"b": true}})),
        ("return nil", json!(null)),
        ("local s = 0 for i = 1, 10 do s = s + i end return s", json!(55)),
        ("return '\\255'", json!("\u{fffd}")),
    ];
    for (source, wanted) in cases {
        assert_eq!(value(source), wanted, "{source}");
    }
    for source in [
        "return tostring",
        "return function() return tostring end",
        "local t = {} t.t = t return t",
        "return 0/0",
        "return {[{}] = 1}",
        "error('boom')",
    ] {
        error(source);
    }
    assert_eq!(error("error('boom', 0)"), "boom");
}

#[test]
fn the_request_can_be_read() {
    let cases = [
        ("kong.request.get_method()", json!("POST")),
        ("kong.request.get_path()", json!("/a b/c")),
        ("kong.request.get_raw_path()", json!("/a%20b/c")),
        ("kong.request.get_path_with_query()", json!("/a%20b/c?x=1&x=2&y")),
        ("kong.request.get_raw_query()", json!("x=1&x=2&y")),
        ("kong.request.get_query()", json!({"x": ["1", "2"], "y": true})),
        ("kong.request.get_query_arg('x')", json!("1")),
        ("kong.request.get_query_arg('y')", json!(true)),
        ("kong.request.get_query_arg('z')", json!(null)),
        ("kong.request.get_header('user_agent')", json!("t")),
        ("kong.request.get_headers()['x-dup']", json!(["1", "2"])),
        ("kong.request.get_host()", json!("a.test")),
        ("kong.request.get_port()", json!(18000)),
        ("kong.request.get_scheme()", json!("http")),
        ("kong.request.get_http_version()", json!(1.1)),
        ("kong.request.get_raw_body()", json!("{\"n\": [1, 2]}")),
        ("kong.request.get_body().n[2]", json!(2)),
        ("kong.client.get_ip()", json!("127.0.0.1")),
        ("kong.client.get_consumer()", json!(null)),
        ("kong.router.get_route()", json!(null)),
        ("ngx.var.remote_addr", json!("127.0.0.1")),
        ("ngx.var.http_user_agent", json!("t")),
        ("ngx.var.arg_x", json!("1")),
        ("ngx.var.request_uri", json!("/a%20b/c?x=1&x=2&y")),
        ("ngx.var.nothing", json!(null)),
        ("#ngx.var.request_id", json!(32)),
        ("ngx.time()", json!(1_795_491_007)),
        ("ngx.decode_base64(ngx.encode_base64('a/b'))", json!("a/b")),
        ("ngx.unescape_uri(ngx.escape_uri('a/b c'))", json!("a/b c")),
        ("('x'):upper()", json!("X")),
    ];
    for (expression, wanted) in cases {
        assert_eq!(value(&format!("return {expression}")), wanted, "{expression}");
    }
}

#[test]
fn request_and_answer_can_be_changed() {
    let (exchange, outcome, answer) = run("kong.service.request.set_header('X-New', 5)
         kong.service.request.clear_header('User-Agent')
         kong.service.request.add_header('X-Dup', '3')
         kong.service.request.set_method('PUT')
         kong.service.request.set_query({b = 'x y', a = {'1', true}})
         kong.response.set_header('X-Seen', 'yes')");
    assert!(matches!(outcome, Outcome::Value(Ok(None))) && answer.is_none(), "{outcome:?}");
    let names: Vec<_> = sent(&exchange).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(names.contains(&"X-New: 5".to_owned()) && names.contains(&"X-Dup: 3".to_owned()), "{names:?}");
    assert!(!exchange.request.fields.contains("user-agent"));
    assert_eq!(exchange.request.method_bytes(), b"PUT");
    assert_eq!(exchange.request.target(), b"/a%20b/c?a&a=1&b=x%20y");
    assert_eq!(exchange.on_response.get_str("x-seen"), Some("yes"));
}

#[test]
fn a_chunk_can_answer_and_nothing_after_that_runs() {
    let (exchange, outcome, answer) = run(
        "pcall(function() kong.response.exit(403, {message = 'a/b'}, {['X-Why'] = 'because', ['X-Two'] = {'1', '2'}}) end)
         kong.response.set_header('X-After', 'no')",
    );
    assert!(matches!(outcome, Outcome::Ended));
    let wanted = Answer::Exit {
        status: 403,
        content_type: Some("application/json; charset=utf-8".into()),
        body: Bytes::from_static(br#"{"message":"a\/b"}"#),
        reason: Reason::Answered,
    };
    assert_eq!(answer, Some(wanted));
    assert_eq!(exchange.on_response.get_str("x-why"), Some("because"));
    assert_eq!(exchange.on_response.get_all("x-two").count(), 2);
    assert!(!exchange.on_response.contains("x-after"));

    let (_, _, answer) = run("return kong.response.error(429, 'slow')");
    let wanted = Answer::Error { status: 429, message: "slow".into(), reason: Reason::Answered };
    assert_eq!(answer, Some(wanted));
    assert!(error("kong.response.exit(999)").contains("between 100 and 599"));
}

#[test]
fn headers_cannot_smuggle_lines() {
    for source in [
        "kong.service.request.set_header('X', 'a\\r\\nY: b')",
        "kong.response.set_header('X\\r\\nY', 'b')",
        "kong.response.set_headers({X = {'a', 'b\\nc'}})",
        "kong.service.request.set_method('GET / HTTP/1.1\\r\\nX: y')",
        "kong.service.request.set_raw_query('a b\\r\\n')",
    ] {
        assert!(error(source).contains("can't"), "{source}: {}", error(source));
    }
}

#[test]
fn nothing_dangerous_is_there() {
    for name in [
        "io",
        "os.execute",
        "os.exit",
        "os.getenv",
        "os.remove",
        "require",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "debug",
        "package",
        "string.dump",
        "('x').dump",
        "coroutine",
        "getmetatable",
        "setfenv",
        "getfenv",
        "rawset",
        "collectgarbage",
        "print",
        "newproxy",
        "module",
        "kong.db",
        "ngx.timer",
    ] {
        let present = value(&format!("return {name} ~= nil"));
        assert_eq!(present, json!(false), "{name}");
    }
}

#[test]
fn endless_code_is_stopped_and_pcall_does_not_help() {
    for source in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() pcall(f) f() end f()",
        "while true do xpcall(function() while true do end end, function() end) end",
        "table.sort({3, 2, 1}, function() while true do end end)",
    ] {
        let said = error(source);
        assert!(said.contains("instructions") || said.contains("stack overflow"), "{source}: {said}");
    }
}

#[test]
fn greedy_code_is_stopped_and_the_next_call_is_fine() {
    let script = Script::new(vec![
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end".to_owned(),
        "return ('x'):rep(1e9)".to_owned(),
        "return 'fine'".to_owned(),
    ])
    .unwrap();
    for chunk in [0, 1] {
        let (_, outcome) = script.run(chunk, Subject::new(Phase::Log));
        let Outcome::Value(Err(error)) = outcome else { unreachable!("{outcome:?}") };
        assert!(error.contains("memory"), "{error}");
    }
    let (_, outcome) = script.run(2, Subject::new(Phase::Log));
    assert!(matches!(outcome, Outcome::Value(Ok(Some(value))) if value == "fine"));
}

#[test]
fn chunks_share_no_globals_and_keep_their_own() {
    let script = Script::new(vec!["n = (n or 0) + 1 return n".to_owned(), "return n".to_owned()]).unwrap();
    let run = |chunk| match script.run(chunk, Subject::new(Phase::Log)).1 {
        Outcome::Value(Ok(value)) => value,
        other => unreachable!("{other:?}"),
    };
    assert_eq!([run(0), run(0), run(1)], [Some(json!(1)), Some(json!(2)), None]);
}

#[test]
fn a_chunk_that_returns_a_function_sets_up_once() {
    let script =
        Script::new(vec!["local n = 10 return function() n = n + 1 return n end".to_owned()]).unwrap();
    let run = || match script.run(0, Subject::new(Phase::Log)).1 {
        Outcome::Value(Ok(value)) => value,
        other => unreachable!("{other:?}"),
    };
    assert_eq!([run(), run()], [Some(json!(11)), Some(json!(12))]);
}

#[test]
fn functions_know_their_phases() {
    let script = Script::new(vec!["kong.response.exit(200)".to_owned()]).unwrap();
    let (_, outcome) = script.run(0, Subject::new(Phase::Log));
    let Outcome::Value(Err(error)) = outcome else { unreachable!("{outcome:?}") };
    assert!(error.contains("exit can't be called in this phase"), "{error}");
}

#[test]
fn many_threads_run_one_script() {
    let script = Script::new(vec!["return kong.request.get_method()".to_owned()]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let subject = Subject::take(Phase::Access, &mut exchange(REQUEST));
                    let (_, outcome) = script.run(0, subject);
                    assert!(matches!(outcome, Outcome::Value(Ok(Some(method))) if method == "POST"));
                }
            });
        }
    });
}

#[test]
fn syntax_errors_are_told_with_their_place() {
    let error = check_syntax("return (").unwrap_err();
    assert_eq!(error, "Error parsing function: [string \"return (\"]:1: unexpected symbol near '<eof>'");
    assert!(check_syntax("\u{1b}Lua").is_err(), "bytecode is no text");
    assert_eq!(check_syntax("return 1"), Ok(()));
}
