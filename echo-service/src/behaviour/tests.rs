use http::Request;

use super::*;

fn asked(defaults: &Behaviour, query: &str, headers: &[(&str, &str)]) -> Result<Behaviour, String> {
    let mut request = Request::get(format!("/{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    defaults.asked_by(&parts).map_err(|bad| bad.to_string())
}

#[test]
fn every_field_is_read_from_header_and_query() {
    let expected = Behaviour {
        delay: Some(Duration::from_millis(1500)),
        status: Some(StatusCode::SERVICE_UNAVAILABLE),
        abort: Some(Abort::InBody),
        slow_body: Some(Pace { bytes: 10, every: Duration::from_millis(100) }),
        size: Some(1 << 20),
        headers: vec![(HeaderName::from_static("x-a"), HeaderValue::from_static("b: c"))],
        trailers: vec![(HeaderName::from_static("x-sum"), HeaderValue::from_static("1"))],
        format: Some(Format::Json),
    };
    let values = [
        ("delay", "1.5s"),
        ("status", "503"),
        ("abort", "in-body"),
        ("slow-body", "10 bytes every 100ms"),
        ("size", "1MiB"),
        ("header", "X-A: b: c"),
        ("trailer", "X-Sum:1"),
        ("format", "json"),
    ];
    assert_eq!(values.map(|(name, _)| name), FIELDS.each_ref().map(|field| field.name));

    let query = form_urlencoded::Serializer::new("?".to_owned())
        .extend_pairs(values.map(|(name, value)| (format!("echo-{name}"), value)))
        .finish();
    assert_eq!(asked(&Behaviour::default(), &query, &[]).unwrap(), expected);

    let names = values.map(|(name, _)| format!("X-Echo-{name}"));
    let headers: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values.map(|(_, v)| v)).collect();
    assert_eq!(asked(&Behaviour::default(), "", &headers).unwrap(), expected);
}

#[test]
fn header_outranks_query_outranks_default() {
    let mut defaults = Behaviour::default();
    defaults.ask("--status", "--", "500").unwrap();
    defaults.ask("--header", "--", "x-a: 1").unwrap();

    assert_eq!(asked(&defaults, "?other=1", &[]).unwrap(), defaults);
    let status = |query, headers| asked(&defaults, query, headers).unwrap().status.unwrap().as_u16();
    assert_eq!(status("?echo-status=501", &[]), 501);
    assert_eq!(status("?echo-status=501", &[("x-echo-status", "502")]), 502);
    assert_eq!(
        asked(&defaults, "?echo-header=x-b:2", &[("x-echo-header", "x-c:3")]).unwrap().headers.len(),
        3
    );
}

#[test]
fn a_bad_field_is_named_with_what_it_accepts() {
    let bad = [
        ("x-echo-delay", "250"),
        ("x-echo-delay", "-1s"),
        ("x-echo-delay", "2h"),
        ("x-echo-status", "100"),
        ("x-echo-status", "two hundred"),
        ("x-echo-abort", "later"),
        ("x-echo-slow-body", "10 bytes"),
        ("x-echo-slow-body", "0 bytes every 1s"),
        ("x-echo-size", "-1"),
        ("x-echo-size", "1 furlong"),
        ("x-echo-size", "99999999999999999999"),
        ("x-echo-size", "2000GiB"),
        ("x-echo-header", "no colon"),
        ("x-echo-header", "bad name: x"),
        ("x-echo-header", "Content-Length: 3"),
        ("x-echo-trailer", "Transfer-Encoding: chunked"),
        ("x-echo-format", "xml"),
    ];
    for (name, value) in bad {
        let message = asked(&Behaviour::default(), "", &[(name, value)]).unwrap_err();
        let accepts = FIELDS.iter().find(|field| name.ends_with(field.name)).unwrap().accepts;
        assert_eq!(message, format!("failed to read {name} \"{value}\": give it {accepts}"));
    }
    let message = asked(&Behaviour::default(), "?echo-dealy=1s", &[]).unwrap_err();
    assert!(
        message.starts_with("failed to understand echo-dealy: there is no such field; there are echo-delay")
    );
}

#[test]
fn the_table_above_is_that_of_the_fields() {
    let rows: Vec<Vec<String>> = include_str!("../behaviour.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| row.trim_end_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert_eq!(rows.len(), FIELDS.len());
    for (row, field) in rows.iter().zip(&FIELDS) {
        assert_eq!(row[0].to_lowercase(), format!("x-echo-{}`", field.name));
        assert_eq!(row[1], format!("`echo-{}`", field.name));
        assert_eq!(row[2], format!("`--{}`", field.name));
        assert_eq!(row[3..], [field.accepts, field.effect]);
    }
}

#[test]
fn json_is_chosen_by_accept_and_by_the_field() {
    let chosen = |accept: &str, asked| {
        let (parts, ()) = Request::get("/").header("accept", accept).body(()).unwrap().into_parts();
        format(&Behaviour { format: asked, ..Behaviour::default() }, &parts)
    };
    assert_eq!(chosen("*/*", None), Format::Wire);
    assert_eq!(chosen("text/html, application/JSON;q=0.9", None), Format::Json);
    assert_eq!(chosen("application/json-patch+json", None), Format::Wire);
    assert_eq!(chosen("application/json", Some(Format::Wire)), Format::Wire);
    assert_eq!(chosen("*/*", Some(Format::Json)), Format::Json);
}
