use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::model::{Consumer, Credential, CredentialKind, Secret};
use crate::plugins::testing::{Bench, exchange, verdict};

fn bench() -> Bench {
    let credential = Credential {
        id: Uuid::from_u128(0xc1),
        kind: CredentialKind::BasicAuth { username: "al".to_owned(), password: Secret::new("p:w") },
        tags: None,
    };
    Bench::new().with_consumers([Consumer {
        id: Uuid::from_u128(1),
        username: Some("alice".to_owned()),
        custom_id: None,
        tags: None,
        created_at: 0,
        updated_at: 0,
        groups: Vec::new(),
        credentials: vec![credential],
        origin: None,
    }])
}

fn request(line: &str) -> Exchange {
    exchange(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n"))
}

fn encoded(scheme: &str, pair: &str) -> String {
    format!("{scheme} {}", BASE64_STANDARD.encode(pair))
}

#[test]
fn only_name_and_password_together_let_in() {
    let plugin = bench().build("basic-auth", json!({}));
    let passes = |value: &str| {
        let mut exchange = request(&format!("Authorization: {value}\r\n"));
        let verdict = verdict(plugin.access(&mut exchange));
        let challenge = exchange.on_response.get_str(Name::WwwAuthenticate);
        match verdict {
            None => assert_eq!(challenge, None),
            Some(verdict) => {
                assert_eq!(
                    (verdict, challenge),
                    ((401, "Unauthorized".to_owned()), Some("Basic realm=\"service\""))
                );
                return false;
            }
        }
        assert_eq!(exchange.request.fields.get_str(Name::XCredentialIdentifier), Some("al"));
        assert_eq!(exchange.credential, Some(Uuid::from_u128(0xc1)));
        true
    };
    for good in [encoded("Basic", "al:p:w"), encoded("basic", "al:p:w"), "Basic YWw6cDp3".to_owned()] {
        assert!(passes(&good), "{good}");
    }
    for bad in [
        encoded("Basic", "al:p"),
        encoded("Basic", "al:p:wx"),
        encoded("Basic", "al"),
        encoded("Basic", ":p:w"),
        encoded("Basic", "zz:p:w"),
        encoded("Basic", ":"),
        encoded("BASIC", "al:p:w"),
        encoded("Basic", "al\u{e9}:\u{fffd}"),
        "Basic !!!".to_owned(),
        "Basic".to_owned(),
        "Bearer x".to_owned(),
        String::new(),
    ] {
        assert!(!passes(&bad), "{bad}");
    }
}

#[test]
fn the_proxys_header_is_tried_first_and_the_other_second() {
    let plugin = bench().build("basic-auth", json!({"hide_credentials": true, "realm": "r"}));
    let good = encoded("Basic", "al:p:w");
    for lines in [
        format!("Proxy-Authorization: {good}\r\n"),
        format!("Proxy-Authorization: Basic eDp5\r\nAuthorization: {good}\r\n"),
        format!("Authorization: {good}\r\n"),
    ] {
        let mut exchange = request(&lines);
        assert_eq!(verdict(plugin.access(&mut exchange)), None, "{lines}");
        let headers = &exchange.request.fields;
        assert!(!headers.contains(Name::Authorization) && !headers.contains(Name::ProxyAuthorization));
    }
    let mut nobody = request("");
    plugin.access(&mut nobody);
    assert_eq!(nobody.on_response.get_str(Name::WwwAuthenticate), Some("Basic realm=\"r\""));
}
