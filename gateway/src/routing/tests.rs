//! The router against recorded answers of Kong, and against the naive router on random routes and requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use uuid::{Uuid, uuid};

use super::*;
use crate::http::head::Version;
use crate::model::{Protocol, RoutePath};

/// A route set of `kong.yaml` with requests and what became of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    routes: BTreeMap<String, Given>,
    requests: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    id: Option<Uuid>,
    methods: Option<Vec<String>>,
    hosts: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    headers: Option<BTreeMap<String, Vec<String>>>,
    snis: Option<Vec<String>>,
    protocols: Option<Vec<Protocol>>,
    #[serde(default)]
    regex_priority: i64,
    https_redirect_status_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "host")]
    host: String,
    #[serde(default = "path")]
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    tls: bool,
    sni: Option<String>,
    route: Option<String>,
    status: Option<u16>,
}

fn get() -> String {
    "GET".to_owned()
}

fn host() -> String {
    "a.test".to_owned()
}

fn path() -> String {
    "/".to_owned()
}

/// The id that Kong gives to an entity of a declarative file that has none.
fn derived_id(name: &str) -> Uuid {
    let entities = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");
    Uuid::new_v5(&Uuid::new_v5(&entities, b"routes"), name.as_bytes())
}

fn route(name: &str, given: &Given) -> Arc<Route> {
    let mut route = Route::new(given.id.unwrap_or_else(|| derived_id(name)));
    route.name = Some(name.to_owned());
    route.methods.clone_from(&given.methods);
    route.hosts.clone_from(&given.hosts);
    route.paths = given.paths.as_ref().map(|paths| paths.iter().map(|path| RoutePath::parse(path)).collect());
    route.headers.clone_from(&given.headers);
    route.snis.clone_from(&given.snis);
    route.regex_priority = given.regex_priority;
    route.protocols = given.protocols.clone().unwrap_or(route.protocols);
    route.https_redirect_status_code = given.https_redirect_status_code.unwrap_or(426);
    Arc::new(route)
}

fn fields(lines: &[(String, String)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.append(&**name, value);
    }
    fields
}

/// The route's name, or the status that the request was refused with.
fn answer(router: &Router, asked: &Asked) -> Result<Option<String>, u16> {
    let target = Target::parse(asked.path.as_bytes()).unwrap();
    let path = normalise(target.path).map_err(|_| 400u16)?;
    let request = RouteRequest {
        method: asked.method.as_bytes(),
        host: Some(asked.host.as_bytes()),
        port: 18000,
        path: &path,
        server_name: asked.sni.as_deref(),
        fields: &fields(&asked.headers),
    };
    let Some(found) = router.find(&request) else { return Ok(None) };
    match protocol_verdict(found.route, asked.tls, None, Version::Http11) {
        Verdict::Proceed => Ok(found.route.name.clone()),
        Verdict::HttpsRedirect(status) => Err(status),
        Verdict::HttpsRequired => Err(426),
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn routes_are_chosen_as_kong_chooses_them() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("tests/kong.yaml")).unwrap();
    let mut asked = 0;
    for case in &cases {
        let routes: Vec<_> = case.routes.iter().map(|(name, given)| route(name, given)).collect();
        let (router, backwards) = (Router::new(routes.clone()), Router::new(routes.into_iter().rev()));
        for request in &case.requests {
            let expected = request.status.map_or(Ok(request.route.clone()), Err);
            assert_eq!(answer(&router, request), expected, "{}: {request:?}", case.about);
            assert_eq!(answer(&backwards, request), expected, "{}, backwards: {request:?}", case.about);
            asked += 1;
        }
    }
    assert_eq!(asked, 169);
}

fn request<'a>(host: &'a str, path: &'a str, fields: &'a Fields) -> RouteRequest<'a> {
    RouteRequest { method: b"GET", host: Some(host.as_bytes()), port: 80, path, server_name: None, fields }
}

fn with_paths(id: u128, paths: &[&str]) -> Arc<Route> {
    let mut route = Route::new(Uuid::from_u128(id));
    route.paths = Some(paths.iter().map(|path| RoutePath::parse(path)).collect());
    Arc::new(route)
}

#[test]
fn a_match_tells_what_was_matched() {
    let fields = Fields::default();
    let mut unstripped = Route::clone(&with_paths(3, &["/keep"]));
    unstripped.strip_path = false;
    let mut any = Route::new(Uuid::from_u128(4));
    any.hosts = Some(vec!["a.test".to_owned()]);
    let routes = [
        with_paths(1, &["/r", "/"]),
        with_paths(2, &[r"~/u/(?<id>\d+)", "~/u/"]),
        Arc::new(unstripped),
        Arc::new(any),
    ];
    let router = Router::new(routes);

    let found = router.find(&request("b.test", "/rx", &fields)).unwrap();
    assert_eq!(
        (found.index, found.matched.clone(), found.stripped_prefix("/rx")),
        (0, Some(0..2), Some("/r"))
    );
    let found = router.find(&request("b.test", "/x", &fields)).unwrap();
    assert_eq!((found.index, found.matched.clone(), found.stripped_prefix("/x")), (0, Some(0..1), None));
    let found = router.find(&request("b.test", "/u/12/x", &fields)).unwrap();
    assert_eq!((found.index, found.matched.clone()), (1, Some(0..5)));
    assert_eq!(found.captures, ["/u/12", "12"]);
    assert_eq!(found.named_captures, [("id".to_owned(), "12".to_owned())]);
    let found = router.find(&request("b.test", "/u/x", &fields)).unwrap();
    assert_eq!((found.matched, found.captures.len()), (Some(0..3), 0));
    let found = router.find(&request("b.test", "/keep", &fields)).unwrap();
    assert_eq!((found.index, found.stripped_prefix("/keep")), (2, None));
    let found = router.find(&request("a.test", "/keep", &fields)).unwrap();
    assert_eq!((found.index, found.matched.clone(), found.stripped_prefix("/keep")), (3, None, None));
}

#[test]
fn an_expression_that_does_not_compile_costs_only_itself() {
    let fields = Fields::default();
    let router = Router::new([with_paths(1, &["~/a(", "~/b"]), with_paths(2, &["~/(c"])]);
    assert!(router.find(&request("a.test", "/a(", &fields)).is_none());
    assert_eq!(router.find(&request("a.test", "/b", &fields)).unwrap().index, 0);
    assert!(check_path_expression("/a(").is_err());
    assert!(check_path_expression("/a").is_ok());
}

#[test]
fn the_next_generation_finds_the_same() {
    let fields = Fields::default();
    let router = Router::new([with_paths(1, &["~/a[0-9]"]), with_paths(2, &["/b"])]);
    let next = router.next([with_paths(3, &["/b"]), with_paths(1, &["~/a[0-9]", "~/c[0-9]"])]);
    let index = |path| next.find(&request("a.test", path, &fields)).map(|found| found.index);
    assert_eq!([index("/a1"), index("/b"), index("/c1"), index("/d")], [Some(1), Some(0), Some(1), None]);
}

const HOSTS: &[&str] = &[
    "a.test",
    "b.test",
    "x.a.test",
    "*.test",
    "*.a.test",
    "a.*",
    "a.test:80",
    "a.test:81",
    "*.test:81",
    "*",
    "A.test",
];
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/ab",
    "/a/b",
    "/b",
    "/é",
    "/a b",
    "~/a",
    "~/a$",
    "~/(?<x>a+)(b)?",
    "~/a|/b",
    "~/(?i)A",
    "~/a/(b|c)",
    "~/.*b",
    "~/[ab]",
    "~/a/.",
    "~/",
];
const HEADERS: &[(&str, &[&str])] = &[
    ("x-v", &["1"]),
    ("X_V", &["1", "2"]),
    ("x-v", &["~*^v[0-9]$", "1"]),
    ("x-v", &["É", "a"]),
    ("x-w", &["1"]),
    ("x-w", &["~*1"]),
];
const SNIS: &[&str] = &["a.test", "*.test", "a.*", "b.test."];
const METHODS: &[&str] = &["GET", "POST", "PUT"];

fn some_of(list: &'static [&'static str], most: usize) -> impl Strategy<Value = Option<Vec<String>>> {
    let texts = prop::collection::vec(prop::sample::select(list).prop_map(ToOwned::to_owned), 1..=most);
    prop::option::of(texts)
}

fn any_route() -> impl Strategy<Value = Route> {
    let headers = prop::option::weighted(0.3, prop::collection::vec(prop::sample::select(HEADERS), 1..3));
    let parts = (
        0..4u128,
        some_of(METHODS, 2),
        some_of(HOSTS, 3),
        some_of(PATHS, 4),
        headers,
        prop::option::weighted(0.2, some_of(SNIS, 2)),
        -1..3i64,
    );
    parts.prop_map(|(id, methods, hosts, paths, headers, snis, regex_priority)| {
        let list = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        Route {
            methods,
            hosts,
            paths: paths.map(|paths| paths.iter().map(|path| RoutePath::parse(path)).collect()),
            headers: headers
                .map(|all| all.iter().map(|(name, values)| ((*name).to_owned(), list(values))).collect()),
            snis: snis.flatten(),
            regex_priority,
            ..Route::new(Uuid::from_u128(id))
        }
    })
}

/// A method, a host, a port, a path, a server name, header lines.
type Question =
    (&'static str, Option<&'static str>, u16, &'static str, Option<&'static str>, Vec<(String, String)>);

fn any_question() -> impl Strategy<Value = Question> {
    let hosts = &[
        "a.test",
        "b.test",
        "x.a.test",
        "a.test:80",
        "a.test:81",
        "A.test",
        "a.com",
        ".test",
        "",
        "a.test:",
    ];
    let paths =
        &["/", "/a", "/A", "/a/", "/ab", "/aab", "/a/b", "/a/c/b", "/b", "/x/b", "/é/b", "/a b", "?x=1"];
    let line = (
        prop::sample::select(&["x-v", "X-V", "x_v", "X-W", "other"][..]),
        prop::sample::select(&["1", "2", "V7", "é", "A", ""][..]),
    );
    let line = line.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    (
        prop::sample::select(&["GET", "POST", "PATCH"][..]),
        prop::option::weighted(0.9, prop::sample::select(&hosts[..])),
        80..82u16,
        prop::sample::select(&paths[..]),
        prop::option::of(prop::sample::select(&["a.test", "b.test", "c.com"][..])),
        prop::collection::vec(line, 0..3),
    )
}

/// Expressions that begin alike and differ in what they contain.
fn any_expression() -> impl Strategy<Value = String> {
    let begins = prop::sample::select(&[r"/v\d+", "/v[12]", "/(v1|v2)", "/v."][..]);
    let contains = prop::sample::select(&["/a", "/ab", "/abc", "b", "/a/b", "", "(/x)+", "/é"][..]);
    let ends = prop::sample::select(&["", "$", "/?$", ".+", "(/.*)?$"][..]);
    (begins, contains, ends).prop_map(|(begins, contains, ends)| format!("~{begins}{contains}{ends}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn many_expressions_with_one_beginning_are_told_apart(
        routes in prop::collection::vec((any_expression(), 0..3i64), 0..40),
        paths in prop::collection::vec("/v[123](/a|/ab|/x|b|/|/é|c){0,4}", 1..12),
    ) {
        let routes: Vec<Arc<Route>> = (0..).zip(routes).map(|(id, (expression, regex_priority))| {
            let mut route = Route::clone(&with_paths(id, &[&expression]));
            route.regex_priority = regex_priority;
            Arc::new(route)
        }).collect();
        let router = Router::new(routes.clone());
        let fields = Fields::default();
        for path in &paths {
            let request = request("a.test", path, &fields);
            let found = router.find(&request).map(|found| (found.index, found.matched, found.captures));
            prop_assert_eq!(found, naive::find(&routes, &request), "{}", path);
        }
    }

    #[test]
    fn the_router_agrees_with_the_naive_one(
        routes in prop::collection::vec(any_route(), 0..8),
        questions in prop::collection::vec(any_question(), 1..12),
    ) {
        // Equal ids are told apart by nothing, and no source makes them.
        let by_id: BTreeMap<Uuid, Route> = routes.into_iter().map(|route| (route.id, route)).collect();
        let routes: Vec<Arc<Route>> = by_id.into_values().map(Arc::new).collect();
        let router = Router::new(routes.clone());
        for (method, host, port, path, server_name, lines) in questions {
            let fields = fields(&lines);
            let host = host.map(str::as_bytes);
            let request = RouteRequest { method: method.as_bytes(), host, port, path, server_name, fields: &fields };
            let found = router.find(&request).map(|found| (found.index, found.matched, found.captures));
            prop_assert_eq!(found, naive::find(&routes, &request), "{:?}", request);
        }
    }
}
