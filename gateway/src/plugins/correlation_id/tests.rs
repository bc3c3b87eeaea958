use serde_json::json;

use super::*;
use crate::plugins::testing::{Bench, exchange, verdict};

fn request(line: &str) -> Exchange {
    exchange(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n"))
}

fn ids(plugin: &dyn Plugin, line: &str) -> (String, Option<String>) {
    let mut exchange = request(line);
    assert_eq!(verdict(plugin.access(&mut exchange)), None);
    let sent = exchange.request.fields.get_str("kong-request-id").unwrap().trim().to_owned();
    assert_eq!(exchange.correlation_id.as_ref(), Some(&sent));
    if plugin.phases().contains(Phases::HEADER_FILTER) {
        plugin.header_filter(&mut exchange);
    }
    (sent, exchange.response.fields.get_str("Kong-Request-ID").map(str::to_owned))
}

#[test]
fn ids_are_made_unless_there_is_one() {
    let plugin = Bench::new().build("correlation-id", json!({}));
    let (first, echoed) = ids(&*plugin, "");
    let (prefix, number) = first.split_once('#').unwrap();
    assert!(prefix.parse::<Uuid>().is_ok() && number == "1" && echoed.is_none(), "{first}");
    assert_eq!(ids(&*plugin, "").0, format!("{prefix}#2"));
    assert_eq!(ids(&*plugin, "Kong-Request-ID: mine\r\n").0, "mine");
    assert_eq!(ids(&*plugin, "Kong-Request-ID:  \r\n").0, format!("{prefix}#3"));
}

#[test]
fn an_echo_is_the_same_id_and_there_is_one_for_what_no_route_takes() {
    let plugin = Bench::new().build("correlation-id", json!({"generator": "uuid", "echo_downstream": true}));
    let (sent, echoed) = ids(&*plugin, "");
    assert!(sent.parse::<Uuid>().is_ok());
    assert_eq!(echoed, Some(sent));
    for (line, wanted) in [("Kong-Request-ID: mine\r\n", Some("mine")), ("", None)] {
        let mut unmatched = request(line);
        plugin.header_filter(&mut unmatched);
        let echoed = unmatched.response.fields.get_str("Kong-Request-ID").unwrap();
        assert!(wanted.map_or_else(|| echoed.parse::<Uuid>().is_ok(), |wanted| wanted == echoed), "{echoed}");
    }
}

#[test]
fn a_tracker_tells_address_process_and_time() {
    let plugin = Bench::new().build("correlation-id", json!({"generator": "tracker"}));
    let pid = std::process::id();
    assert_eq!(ids(&*plugin, "").0, format!("127.0.0.1-18000-{pid}-1-1-1795491007.250"));
    assert_eq!(ids(&*plugin, "").0, format!("127.0.0.1-18000-{pid}-2-1-1795491007.250"));
}
