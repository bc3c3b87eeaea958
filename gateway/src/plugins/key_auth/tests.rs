use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::model::{Consumer, Credential, CredentialKind, Secret};
use crate::plugins::testing::{Bench, exchange, sent, verdict};

/// Alice with the key `ka` and a custom id, Bob with `kb` and none, and somebody without a key.
fn bench() -> Bench {
    Bench::new().with_consumers([
        consumer(1, "alice", Some("c-1"), Some("ka")),
        consumer(2, "bob", None, Some("kb")),
        consumer(3, "anon", None, None),
    ])
}

fn consumer(id: u128, username: &str, custom_id: Option<&str>, key: Option<&str>) -> Consumer {
    let key = key.map(|key| Credential {
        id: Uuid::from_u128(id + 0xc0),
        kind: CredentialKind::KeyAuth { key: Secret::new(key) },
        tags: None,
    });
    Consumer {
        id: Uuid::from_u128(id),
        username: Some(username.to_owned()),
        custom_id: custom_id.map(str::to_owned),
        tags: None,
        created_at: 0,
        updated_at: 0,
        groups: Vec::new(),
        credentials: key.into_iter().collect(),
        origin: None,
    }
}

const FORGED: &str = "X-Consumer-ID: f\r\nx_consumer_username: f\r\nX-Consumer-Custom-ID: f\r\nX-Credential-Identifier: f\r\n\
                      X-Anonymous-Consumer: true\r\nX-Consumer-Groups: f\r\nX-Other: kept\r\n";

fn request(target: &str, lines: &str) -> Exchange {
    exchange(&format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
}

fn identity(exchange: &Exchange) -> Vec<String> {
    let lines = sent(exchange)
        .into_iter()
        .filter(|(name, _)| name.to_lowercase().starts_with("x-") || name.contains('_'));
    lines.map(|(name, value)| format!("{name}: {value}")).collect()
}

fn challenge(exchange: &Exchange) -> Option<&str> {
    exchange.on_response.get_str(Name::WwwAuthenticate)
}

use crate::http::name::Name;

#[test]
fn without_a_valid_key_nobody_passes() {
    let plugin = bench().build("key-auth", json!({}));
    let cases = [
        ("/", "", "No API key found in request"),
        ("/", "apikey: zz\r\n", "Unauthorized"),
        ("/", "apikey:\r\n", "No API key found in request"),
        ("/", "apikey: ka\r\napikey: kb\r\n", "Duplicate API key found"),
        ("/?apikey=ka&apikey=ka", "", "Duplicate API key found"),
        ("/?apikey", "", "No API key found in request"),
        ("/?APIKEY=ka", "", "No API key found in request"),
    ];
    for (target, lines, message) in cases {
        let mut exchange = request(target, lines);
        assert_eq!(
            verdict(plugin.access(&mut exchange)),
            Some((401, message.to_owned())),
            "{target} {lines}"
        );
        assert_eq!(challenge(&exchange), Some("Key"));
        assert!(exchange.consumer.is_none());
    }
}

#[test]
fn a_key_identifies_and_what_the_client_claims_is_removed() {
    let plugin = bench().build("key-auth", json!({}));
    for (target, key) in [("/", "APIKEY: ka\r\n"), ("/?x=1&apikey=ka", "")] {
        let mut exchange = request(target, &format!("{FORGED}{key}"));
        assert_eq!(verdict(plugin.access(&mut exchange)), None);
        assert_eq!(
            identity(&exchange),
            [
                "X-Other: kept",
                "X-Consumer-ID: 00000000-0000-0000-0000-000000000001",
                "X-Consumer-Custom-ID: c-1",
                "X-Consumer-Username: alice",
                "X-Credential-Identifier: 00000000-0000-0000-0000-0000000000c1",
            ]
        );
        assert_eq!(exchange.credential, Some(Uuid::from_u128(0xc1)));
    }
    let mut bob = request("/", &format!("{FORGED}apikey: kb\r\n"));
    plugin.access(&mut bob);
    assert!(!bob.request.fields.contains(Name::XConsumerCustomId), "{:?}", identity(&bob));
}

#[test]
fn keys_are_hidden_and_the_rest_of_the_request_stays_as_it_was() {
    let settings = json!({"hide_credentials": true, "key_names": ["X-Key", "k"], "realm": "my"});
    let plugin = bench().build("key-auth", settings);
    for (target, lines, wanted) in
        [("/p?k=ka&z=%2f+1", "", "/p?z=%2f+1"), ("/p?k=ka", "", "/p"), ("/p?z=1", "x-key: ka\r\n", "/p?z=1")]
    {
        let mut exchange = request(target, lines);
        assert_eq!(verdict(plugin.access(&mut exchange)), None);
        assert_eq!(exchange.request.target(), wanted.as_bytes());
        assert!(!exchange.request.fields.contains("x-key"));
    }
    let mut nobody = request("/", "");
    plugin.access(&mut nobody);
    assert_eq!(challenge(&nobody), Some("Key realm=\"my\""));
}

#[test]
fn a_name_with_underscores_finds_a_header_with_dashes() {
    let plugin = bench().build("key-auth", json!({"key_names": ["api_key"], "hide_credentials": true}));
    let mut exchange = request("/", "Api-Key: ka\r\n");
    assert_eq!(verdict(plugin.access(&mut exchange)), None);
    assert!(!exchange.request.fields.contains("api-key"));
}

#[test]
fn bodies_are_looked_at_when_they_should() {
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nka\r\n\
                     --b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n";
    let rest = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n";
    let cases = [
        ("application/x-www-form-urlencoded", "apikey=ka&x=1", Ok("x=1")),
        ("application/json", r#"{"apikey":"ka","x":1}"#, Ok(r#"{"x":1}"#)),
        ("application/json", r#"{"apikey":["ka"]}"#, Err("Duplicate API key found")),
        ("application/json", "{", Err("No API key found in request")),
        ("text/plain", "apikey=ka", Err("No API key found in request")),
        ("multipart/form-data; boundary=b", multipart, Ok(rest)),
    ];
    let plugin = bench().build("key-auth", json!({"key_in_body": true, "hide_credentials": true}));
    assert!(plugin.wants_body());
    for (content_type, body, wanted) in cases {
        let mut exchange = request("/", &format!("Content-Type: {content_type}\r\n"));
        exchange.body = Some(Bytes::from(body));
        let verdict = verdict(plugin.access(&mut exchange));
        match wanted {
            Ok(rest) => {
                assert_eq!(verdict, None, "{content_type} {body}");
                assert_eq!(exchange.body.as_deref(), Some(rest.as_bytes()));
            }
            Err(message) => assert_eq!(verdict, Some((401, message.to_owned())), "{content_type} {body}"),
        }
    }
}

#[test]
fn anonymous_lets_pass_as_somebody_or_says_that_there_is_nobody() {
    for name in ["anon", "00000000-0000-0000-0000-000000000003"] {
        let plugin = bench().build("key-auth", json!({"anonymous": name}));
        let mut exchange = request("/", FORGED);
        assert_eq!(verdict(plugin.access(&mut exchange)), None);
        assert_eq!(
            identity(&exchange),
            [
                "X-Other: kept",
                "X-Consumer-ID: 00000000-0000-0000-0000-000000000003",
                "X-Consumer-Username: anon",
                "X-Anonymous-Consumer: true",
            ]
        );
        assert_eq!(exchange.credential, None);
        // Somebody whom another plugin has identified stays who they are.
        let mut known = request("/", "");
        known.credential = Some(Uuid::from_u128(7));
        assert_eq!(verdict(plugin.access(&mut known)), None);
        assert!(known.consumer.is_none());
    }
    let plugin = bench().build("key-auth", json!({"anonymous": "nobody"}));
    let (status, text) = verdict(plugin.access(&mut request("/", ""))).unwrap();
    assert!(
        status == 500 && text.contains("anonymous consumer nobody is configured but doesn't exist"),
        "{text}"
    );
}

#[test]
fn preflights_pass_without_a_key_when_they_should() {
    let options = || exchange("OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let strict = bench().build("key-auth", json!({}));
    assert!(verdict(strict.access(&mut options())).is_some());
    let lax = bench().build("key-auth", json!({"run_on_preflight": false}));
    assert_eq!(verdict(lax.access(&mut options())), None);
}
