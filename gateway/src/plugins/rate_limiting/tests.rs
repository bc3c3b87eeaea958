use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::model::{Consumer, Scope, Service};
use crate::plugins::testing::{Bench, NOW, exchange, verdict};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Status, and the rate-limit headers in alphabetical order as one line.
fn ask(plugin: &dyn Plugin, request: &str) -> String {
    ask_as(plugin, exchange(request))
}

fn ask_as(plugin: &dyn Plugin, mut exchange: Exchange) -> String {
    let status = verdict(plugin.access(&mut exchange)).map_or(200, |(status, _)| status);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = exchange.on_response.iter();
    let mut headers: Vec<_> = headers.map(|it| format!("{} {}", text(it.name), text(it.value))).collect();
    headers.sort();
    format!("{status} {}", headers.join(", ").replace("RateLimit-", ""))
}

fn statuses(plugin: &dyn Plugin, request: &str, times: usize) -> Vec<u16> {
    (0..times)
        .map(|_| verdict(plugin.access(&mut exchange(request))).map_or(200, |(status, _)| status))
        .collect()
}

#[test]
fn the_first_so_many_requests_of_a_window_pass() {
    let plugin = Bench::new().build("rate-limiting", json!({"minute": 3}));
    let head = "Limit 3, Remaining";
    for rest in [2, 1, 0] {
        assert_eq!(
            ask(&*plugin, GET),
            format!("200 {head} {rest}, Reset 53, X-Limit-Minute 3, X-Remaining-Minute {rest}")
        );
    }
    for _ in 0..2 {
        let refused =
            format!("429 {head} 0, Reset 53, Retry-After 53, X-Limit-Minute 3, X-Remaining-Minute 0");
        assert_eq!(ask(&*plugin, GET), refused);
    }
}

#[test]
fn a_window_begins_anew_on_the_calendar() {
    let bench = Bench::new();
    let plugin = bench.build("rate-limiting", json!({"second": 1, "minute": 2}));
    assert_eq!(statuses(&*plugin, GET, 2), [200, 429]);
    // The clock stands at …:07.25.
    bench.clock.advance(Duration::from_millis(749));
    assert_eq!(statuses(&*plugin, GET, 1), [429]);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(statuses(&*plugin, GET, 2), [200, 429]);
    bench.clock.advance(Duration::from_secs(1));
    // The minute is used up; refused requests use up nothing.
    assert_eq!(statuses(&*plugin, GET, 3), [429, 429, 429]);
    bench.clock.advance(Duration::from_secs(51));
    assert_eq!(statuses(&*plugin, GET, 2), [200, 429]);
}

#[test]
fn of_several_periods_the_headline_is_the_tightest_and_then_the_longest() {
    let plugin = Bench::new().build("rate-limiting", json!({"minute": 2, "hour": 2, "day": 9}));
    let shown = |minute, day| {
        format!(
            "X-Limit-Day 9, X-Limit-Hour 2, X-Limit-Minute 2, X-Remaining-Day {day}, \
             X-Remaining-Hour {minute}, X-Remaining-Minute {minute}"
        )
    };
    assert_eq!(ask(&*plugin, GET), format!("200 Limit 2, Remaining 1, Reset 1793, {}", shown(1, 8)));
    assert_eq!(ask(&*plugin, GET), format!("200 Limit 2, Remaining 0, Reset 1793, {}", shown(0, 7)));
    let refused = format!("429 Limit 2, Remaining 0, Reset 1793, Retry-After 1793, {}", shown(0, 7));
    assert_eq!(ask(&*plugin, GET), refused);
}

#[test]
fn all_six_periods_are_counted_and_shown() {
    let limits =
        json!({"second": 5, "minute": 10, "hour": 100, "day": 1000, "month": 10_000, "year": 100_000});
    let plugin = Bench::new().build("rate-limiting", limits);
    let first = ask(&*plugin, GET);
    assert!(first.starts_with("200 Limit 5, Remaining 4, Reset 1, "), "{first}");
    for shown in ["Second 4", "Minute 9", "Hour 99", "Day 999", "Month 9999", "Year 99999"] {
        assert!(first.contains(&format!("X-Remaining-{shown}")), "{shown} in {first}");
    }
    assert_eq!(statuses(&*plugin, GET, 5), [200, 200, 200, 200, 429]);
    let refused = ask(&*plugin, GET);
    assert!(refused.contains("X-Remaining-Minute 5") && refused.contains("Retry-After 1"), "{refused}");
}

#[test]
fn month_and_year_are_told_as_30_and_365_days() {
    let bench = Bench::new();
    let plugin = bench.build("rate-limiting", json!({"month": 100, "year": 1000}));
    let into_month = NOW.as_secs() - u64::from(Period::Month.start(NOW.as_secs() as u32));
    assert!(ask(&*plugin, GET).contains(&format!("Reset {}", 30 * 86_400 - into_month)));
    // On the 31st the 30 days are over.
    bench.clock.step_to(Duration::from_secs(1_798_761_599));
    assert!(ask(&*plugin, GET).contains("Reset 1,"));
}

#[test]
fn a_fraction_admits_one_more_than_its_whole_part() {
    let plugin = Bench::new().build("rate-limiting", json!({"hour": 2.5}));
    let shown: Vec<String> = (0..4).map(|_| ask(&*plugin, GET)).collect();
    for (shown, rest) in shown.iter().zip([
        "200 Limit 2.5, Remaining 1.5,",
        "200 Limit 2.5, Remaining 0.5,",
        "200 Limit 2.5, Remaining 0,",
        "429 Limit 2.5, Remaining 0,",
    ]) {
        assert!(shown.starts_with(rest), "{shown}");
    }
}

#[test]
fn hidden_headers_hide_when_to_retry_too() {
    let plugin = Bench::new().build("rate-limiting", json!({"hour": 1, "hide_client_headers": true}));
    assert_eq!([ask(&*plugin, GET), ask(&*plugin, GET)], ["200 ", "429 "]);
}

#[test]
fn code_and_message_of_a_refusal_are_settings() {
    let settings = json!({"hour": 1, "error_code": 418, "error_message": "slow \"down\""});
    let plugin = Bench::new().build("rate-limiting", settings);
    plugin.access(&mut exchange(GET));
    let mut second = exchange(GET);
    assert_eq!(verdict(plugin.access(&mut second)), Some((418, "slow \"down\"".to_owned())));
}

#[test]
fn a_code_that_is_no_error_fails_with_the_headers_set() {
    let plugin = Bench::new().build("rate-limiting", json!({"hour": 1, "error_code": 302}));
    assert!(ask(&*plugin, GET).starts_with("200"));
    let refused = ask(&*plugin, GET);
    assert!(refused.starts_with("500") && refused.contains("Retry-After"), "{refused}");
}

#[test]
fn by_header_its_first_value_counts_and_without_it_the_address() {
    let settings = json!({"hour": 1, "limit_by": "header", "header_name": "X-Id"});
    let plugin = Bench::new().build("rate-limiting", settings);
    let with = |lines: &str| format!("GET /a HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
    assert_eq!(statuses(&*plugin, &with("X-Id: a\r\n"), 2), [200, 429]);
    assert_eq!(statuses(&*plugin, &with("X-Id: b\r\n"), 1), [200]);
    assert_eq!(statuses(&*plugin, &with("X-Id: a\r\nX-Id: c\r\n"), 1), [429]);
    assert_eq!(statuses(&*plugin, &with(""), 2), [200, 429]);
    // An empty value is a value of its own, and so is one that reads like an address.
    assert_eq!(statuses(&*plugin, &with("X-Id:\r\n"), 2), [200, 429]);
    assert_eq!(statuses(&*plugin, &with("X-Id: 127.0.0.1\r\n"), 2), [200, 429]);
    let long = "x".repeat(5_000);
    assert_eq!(statuses(&*plugin, &with(&format!("X-Id: {long}\r\n")), 2), [200, 429]);
    assert_eq!(statuses(&*plugin, &with(&format!("X-Id: {long}y\r\n")), 1), [200]);
}

#[test]
fn by_path_only_that_path_has_a_counter_of_its_own() {
    let settings = json!({"hour": 1, "limit_by": "path", "path": "/one"});
    let plugin = Bench::new().build("rate-limiting", settings);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(statuses(&*plugin, &get("/one"), 2), [200, 429]);
    assert_eq!(statuses(&*plugin, &get("/one?q=1"), 1), [429]);
    assert_eq!(statuses(&*plugin, &get("/one/"), 1), [200]);
    assert_eq!(statuses(&*plugin, &get("/two"), 1), [429]);
}

#[test]
fn by_consumer_credential_service_and_address() {
    let someone = |id: u128, credential: u128, address: &str| {
        let mut exchange = exchange(GET);
        let consumer = Consumer {
            id: Uuid::from_u128(id),
            username: None,
            custom_id: None,
            tags: None,
            created_at: 0,
            updated_at: 0,
            groups: Vec::new(),
            credentials: Vec::new(),
            origin: None,
        };
        exchange.consumer = (id > 0).then(|| Arc::new(consumer));
        exchange.credential = (credential > 0).then(|| Uuid::from_u128(credential));
        exchange.client.address = address.parse().unwrap();
        exchange
    };
    // Consumer, credential, address; then whether each finds the counter of the first used up.
    let asked =
        [(1, 1, "10.0.0.1"), (1, 2, "10.0.0.2"), (2, 1, "10.0.0.3"), (0, 0, "10.0.0.1"), (0, 0, "10.0.0.1")];
    let cases = [
        ("consumer", [200, 429, 200, 200, 429]),
        ("credential", [200, 200, 429, 200, 429]),
        ("ip", [200, 200, 200, 429, 429]),
        ("service", [200, 200, 200, 429, 429]),
    ];
    for (limit_by, wanted) in cases {
        let plugin = Bench::new().build("rate-limiting", json!({"hour": 1, "limit_by": limit_by}));
        let seen = asked.map(|(consumer, credential, address)| {
            let mut exchange = someone(consumer, credential, address);
            verdict(plugin.access(&mut exchange)).map_or(200, |(status, _)| status)
        });
        assert_eq!(seen, wanted, "{limit_by}");
    }
}

#[test]
fn requests_of_one_service_share_a_counter_whoever_asks() {
    let plugin = Bench::new().build("rate-limiting", json!({"hour": 1, "limit_by": "service"}));
    let ask = |service: u128, address: &str| {
        let mut exchange = exchange(GET);
        exchange.client.address = address.parse().unwrap();
        let route = Arc::new(crate::model::Route::new(Uuid::from_u128(7)));
        let service = Some(Arc::new(Service::new(Uuid::from_u128(service), "up")));
        exchange.matched = Some(crate::exchange::Matched::whole(route, service));
        verdict(plugin.access(&mut exchange)).map_or(200, |(status, _)| status)
    };
    assert_eq!([ask(1, "10.0.0.1"), ask(1, "10.0.0.2"), ask(2, "10.0.0.1")], [200, 429, 200]);
}

#[test]
fn counters_outlive_a_configuration_and_belong_to_a_scope() {
    let mut bench = Bench::new();
    let build = |bench: &Bench| bench.build("rate-limiting", json!({"hour": 2}));
    bench.scope = Scope { route: Some(Uuid::from_u128(1)), ..Scope::default() };
    assert_eq!(statuses(&*build(&bench), GET, 1), [200]);
    // The same scope in the next generation, with one setting changed, and with a new limit.
    assert_eq!(
        statuses(&*bench.build("rate-limiting", json!({"hour": 2, "error_code": 430})), GET, 2),
        [200, 430]
    );
    assert_eq!(statuses(&*bench.build("rate-limiting", json!({"hour": 3})), GET, 2), [200, 429]);
    bench.scope = Scope { route: Some(Uuid::from_u128(2)), ..Scope::default() };
    assert_eq!(statuses(&*build(&bench), GET, 3), [200, 200, 429]);
    bench.scope = Scope { consumer: Some(Uuid::from_u128(2)), ..Scope::default() };
    assert_eq!(statuses(&*build(&bench), GET, 3), [200, 200, 429]);
}

#[test]
fn settings_that_contradict_each_other_are_named() {
    let error = |settings| Bench::new().try_build("rate-limiting", settings).err().unwrap();
    assert!(error(json!({})).contains("at least one of these fields must be non-empty: 'config.second'"));
    assert!(
        error(json!({"second": 20, "hour": 10}))
            .contains("The limit for hour(10.0) cannot be lower than the limit for second(20.0)")
    );
    assert!(
        error(json!({"second": 5, "sync_rate": 1}))
            .contains("sync_rate can only be used with the redis policy")
    );
    let rate = json!({"second": 5, "policy": "redis", "redis": {"host": "redis"}, "sync_rate": 0.01});
    assert!(error(rate).contains("sync_rate must be greater than 0.02, or -1 to disable"));
    assert!(error(json!({"second": 5, "policy": "redis"})).contains("required field missing"));
}

#[test]
fn a_limit_admits_exactly_so_many_however_many_ask_at_once() {
    const LIMIT: u32 = 1_000;
    let plugin = Bench::new().build("rate-limiting", json!({"minute": LIMIT, "hour": 5_000}));
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for status in statuses(&*plugin, GET, 500) {
                    admitted.fetch_add(u32::from(status == 200), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), LIMIT);
    // None of the refused ones counted against the hour.
    let shown = ask(&*plugin, GET);
    assert!(shown.contains("X-Remaining-Hour 4000"), "{shown}");
}

#[test]
fn no_window_admits_more_than_its_limit_while_time_passes() {
    let bench = Bench::new();
    let plugin = bench.build("rate-limiting", json!({"second": 10}));
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for status in statuses(&*plugin, GET, 2_000) {
                    admitted.fetch_add(u32::from(status == 200), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..5 {
            bench.clock.advance(Duration::from_secs(1));
            std::thread::yield_now();
        }
    });
    assert!((10..=60).contains(&admitted.into_inner()), "six windows of ten");
}
