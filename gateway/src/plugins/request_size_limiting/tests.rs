use serde_json::{Value, json};

use crate::plugins::testing::{Bench, exchange, verdict};

/// What happens, and which limit is set for the body on its way.
fn ask(settings: Value, lines: &str) -> (Option<(u16, String)>, Option<u64>) {
    let plugin = Bench::new().build("request-size-limiting", settings);
    let mut exchange = exchange(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    (verdict(plugin.access(&mut exchange)), exchange.body_limit)
}

fn refused(status: u16, message: &str) -> (Option<(u16, String)>, Option<u64>) {
    (Some((status, message.to_owned())), None)
}

#[test]
fn a_stated_length_is_judged_and_an_unstated_one_measured() {
    let kilobyte = || json!({"allowed_payload_size": 1, "size_unit": "kilobytes"});
    let too_long = "Request size limit exceeded";
    assert_eq!(ask(kilobyte(), "Content-Length: 1024\r\n"), (None, Some(1024)));
    assert_eq!(ask(kilobyte(), "Content-Length: 1025\r\n"), refused(413, too_long));
    assert_eq!(ask(kilobyte(), "Content-Length: 1025\r\nExpect: 100-Continue\r\n"), refused(417, too_long));
    assert_eq!(ask(kilobyte(), "Transfer-Encoding: chunked\r\n"), (None, Some(1024)));
    assert_eq!(ask(kilobyte(), ""), (None, Some(1024)));
    assert_eq!(ask(json!({}), ""), (None, Some(128 * 1024 * 1024)));
    assert_eq!(ask(json!({"allowed_payload_size": 0}), "Content-Length: 1\r\n"), refused(413, too_long));
}

#[test]
fn a_length_can_be_demanded_of_whom_does_not_send_chunks() {
    let settings =
        || json!({"allowed_payload_size": 4, "size_unit": "bytes", "require_content_length": true});
    assert_eq!(ask(settings(), ""), refused(411, "A valid Content-Length header is required"));
    assert_eq!(ask(settings(), "Transfer-Encoding: chunked\r\n"), (None, Some(4)));
    assert_eq!(ask(settings(), "Content-Length: 4\r\n"), (None, Some(4)));
}

#[test]
fn the_smaller_of_two_limits_holds() {
    let plugin = Bench::new().build("request-size-limiting", json!({}));
    let mut exchange = exchange("POST / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    exchange.body_limit = Some(10);
    plugin.access(&mut exchange);
    assert_eq!(exchange.body_limit, Some(10));
}
