use super::*;
use crate::scenario::decode::decode;
use crate::scenario::node::Node;

/// `id parent service name kind`, `-` for none.
fn trace(spans: &[&str]) -> Trace {
    let span = |text: &&str| {
        let [id, parent, service, name, kind] = text.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        Span {
            id: id.to_owned(),
            parent: some(parent),
            service: service.to_owned(),
            name: name.to_owned(),
            kind: some(kind).unwrap_or_default(),
            tags: [("status".to_owned(), Value::from(200))].into_iter().collect(),
        }
    };
    Trace { id: "1".to_owned(), spans: spans.iter().map(span).collect() }
}

fn whole() -> Trace {
    trace(&["a - kong GET server", "b a kong limit -", "c a kong GET client", "d c echo GET server"])
}

fn misses(check: &str, trace: &Trace) -> Vec<String> {
    let check: TraceCheck = decode(&Node::read(check).unwrap()).unwrap();
    let misses = judge_trace(&check, trace);
    misses.into_iter().map(|miss| format!("{}; {}", miss.expected, miss.got)).collect()
}

#[test]
fn spans_are_known_by_what_is_said_of_them_and_the_nearest_is_told() {
    for (check, expected) in [
        ("spans: [{service: kong, kind: server}, {service: echo, below: kong, tags: {status: 200}}]", None),
        ("spans: {service: kong, kind: {present: false}, count: 1}", None),
        ("spans: {service: kong, count: 3}", None),
        ("services: [echo, kong]", None),
        ("services: {contains: [kong, echo], length: 2}", None),
        (
            "services: {contains: [kong, other]}",
            Some("the list of services contains `other`; [\"echo\",\"kong\"]"),
        ),
        (
            "spans: {service: echo, kind: client}",
            Some(
                "a span whose service is `echo` and kind is `client`; the nearest is `GET` of echo (server): kind is `client` was expected, got `server`",
            ),
        ),
        (
            "spans: {service: kong, below: echo}",
            Some(
                "a span whose service is `kong` and a service above it is `echo`; the nearest is `GET` of kong (server): a service above it is `echo` was expected, got there is none",
            ),
        ),
        (
            "spans: {service: none}",
            Some(
                "a span whose service is `none`; 4 spans: `GET` of kong (server), `limit` of kong (internal), `GET` of kong (client), `GET` of echo (server)",
            ),
        ),
        (
            "spans: {kind: server, count: 3}",
            Some(
                "the number of spans whose kind is `server` is 3; 2, of 4 spans: `GET` of kong (server), `limit` of kong (internal), `GET` of kong (client), `GET` of echo (server)",
            ),
        ),
    ] {
        assert_eq!(misses(check, &whole()).first().map(String::as_str), expected, "{check}");
    }
}

#[test]
fn a_trace_is_unbroken_when_it_is_one_tree() {
    let hangs = trace(&["a - kong GET server", "d c echo GET server"]);
    let twice = trace(&["a - kong GET server", "d - echo GET server"]);
    let called = trace(&["a F kong GET server", "b f kong GET server", "c a echo GET server"]);
    let circle = trace(&["a b kong GET server", "b a echo GET server"]);
    let unbroken = "every span's parent is in the trace, except for the first one, which has none; ";
    let from = "every span's parent is in the trace, or is the caller's span f; ";
    for (check, trace, expected) in [
        ("unbroken: true", &whole(), None),
        ("{unbroken: true, caller: f}", &called, None),
        (
            "unbroken: true",
            &hangs,
            Some(format!(
                "{unbroken}`GET` of kong (server) has no parent; `GET` of echo (server) hangs under c, which is not there"
            )),
        ),
        (
            "unbroken: true",
            &twice,
            Some(format!(
                "{unbroken}`GET` of kong (server) has no parent; `GET` of echo (server) has no parent"
            )),
        ),
        (
            "{unbroken: true, caller: f}",
            &hangs,
            Some(format!(
                "{from}`GET` of kong (server) has no parent; `GET` of echo (server) hangs under c, which is not there"
            )),
        ),
        (
            "unbroken: true",
            &circle,
            Some(format!("{unbroken}2 spans: `GET` of kong (server), `GET` of echo (server)")),
        ),
        ("unbroken: true", &trace(&[]), Some(format!("{unbroken}no spans"))),
    ] {
        assert_eq!(misses(check, trace).first().cloned(), expected, "{check}");
    }
}

#[test]
fn a_circle_of_parents_has_an_end() {
    let circle = trace(&["a b kong GET server", "b a echo GET server"]);
    assert!(misses("spans: {service: kong, below: echo}", &circle).is_empty());
    assert_eq!(misses("spans: {service: kong, below: other}", &circle).len(), 1);
}

#[test]
fn calls_between_services_are_counted() {
    let link =
        |parent: &str, child: &str, calls| Link { parent: parent.to_owned(), child: child.to_owned(), calls };
    let links = [link("kong", "kong", 9), link("kong", "echo.a", 2), link("kong", "echo.b", 3)];
    let judged = |check: &str, links: &[Link]| {
        let check: LinkCheck = decode(&Node::read(check).unwrap()).unwrap();
        let misses = judge_links(&[check], links);
        misses.first().map(|miss| format!("{}; {}", miss.expected, miss.got))
    };
    assert_eq!(judged("{parent: kong, child: {matches: ^echo}, calls: 5}", &links), None);
    assert_eq!(judged("{parent: kong, child: echo.b}", &links), None);
    assert_eq!(
        judged("{parent: echo.a, child: kong}", &links).unwrap(),
        "the number of calls where the caller is `echo.a` and the called is `kong` is at least 1; 0; kong → kong (9), kong → echo.a (2), kong → echo.b (3)"
    );
    assert_eq!(
        judged("{parent: kong, child: echo.b, calls: {at_least: 4}}", &[]).unwrap(),
        "the number of calls where the caller is `kong` and the called is `echo.b` is at least 4; 0; no service calls another"
    );
}
