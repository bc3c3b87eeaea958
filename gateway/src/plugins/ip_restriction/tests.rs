use serde_json::json;

use super::*;
use crate::exchange::Answer;
use crate::plugins::testing::{Bench, exchange};

fn answer(settings: serde_json::Value, address: &str) -> Option<(u16, String)> {
    let plugin = Bench::new().build("ip-restriction", settings);
    let mut exchange = exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    exchange.client.address = address.parse().unwrap();
    match plugin.access(&mut exchange) {
        Flow::Next => None,
        Flow::Answer(Answer::Error { status, message, reason }) => {
            assert_eq!(reason, Reason::IpDenied);
            Some((status, message.into_owned()))
        }
        Flow::Fail(text) => Some((500, text.into_owned())),
        _ => unreachable!("neither waits nor exits"),
    }
}

fn refused(address: &str) -> (u16, String) {
    (403, format!("IP address not allowed: {address}"))
}

#[test]
fn a_denied_address_is_refused_even_when_it_is_allowed() {
    assert_eq!(answer(json!({"deny": ["127.0.0.1"]}), "127.0.0.1"), Some(refused("127.0.0.1")));
    assert_eq!(answer(json!({"deny": ["10.0.0.1"]}), "127.0.0.1"), None);
    assert_eq!(
        answer(json!({"allow": ["127.0.0.1"], "deny": ["127.0.0.0/8"]}), "127.0.0.1"),
        Some(refused("127.0.0.1"))
    );
}

#[test]
fn with_a_list_of_allowed_ones_all_others_are_refused() {
    assert_eq!(answer(json!({"allow": ["10.0.0.1"], "deny": ["10.0.0.2"]}), "::1"), Some(refused("::1")));
    assert_eq!(answer(json!({"allow": ["::1"]}), "::1"), None);
    assert_eq!(answer(json!({"allow": [], "deny": ["10.0.0.2"]}), "10.0.0.1"), None);
}

#[test]
fn an_address_of_a_dual_stack_listener_is_the_ipv4_address_it_stands_for() {
    assert_eq!(answer(json!({"deny": ["10.0.0.0/8"]}), "::ffff:10.0.0.1"), Some(refused("10.0.0.1")));
}

#[test]
fn status_and_message_are_the_settings() {
    let settings = json!({"deny": ["127.0.0.1"], "status": 418, "message": "go <away>"});
    assert_eq!(answer(settings, "127.0.0.1"), Some((418, "go <away>".to_owned())));
}

#[test]
fn a_status_that_is_no_error_is_a_failure() {
    for status in [200, 302, 9999] {
        let answer = answer(json!({"deny": ["127.0.0.1"], "status": status}), "127.0.0.1").unwrap();
        assert_eq!(answer.0, 500);
        assert!(answer.1.contains(&status.to_string()), "{}", answer.1);
    }
}
