//! Choices by every algorithm, and consistent hashing against recorded choices of Kong.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::hash_input::tests::{ask, consumer, exchange};
use super::*;
use crate::exchange::Exchange;
use crate::model::HashOn;

fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
    let endpoint = |(at, weight): (u16, &u32)| Endpoint {
        address: ([127, 0, 0, 1], 19000 + at).into(),
        weight: *weight,
        name: "127.0.0.1".into(),
    };
    (0..).zip(weights).map(endpoint).collect()
}

fn upstream(algorithm: Algorithm) -> Upstream {
    let mut upstream = Upstream::new(Uuid::nil(), "u");
    upstream.algorithm = algorithm;
    upstream
}

fn balancer(algorithm: Algorithm, weights: &[u32]) -> Balancer {
    Balancer::new(&upstream(algorithm), endpoints(weights), None)
}

fn cursor() -> Cursor {
    Cursor(AtomicU32::new(0))
}

fn turn<'a>(cursor: &'a Cursor, tried: &'a [usize]) -> Turn<'a> {
    Turn { cursor, hash: 7, tried, now: 0 }
}

/// How often each endpoint is chosen in so many requests, one after the other.
fn counts(balancer: &Balancer, requests: usize, healthy: impl Fn(usize) -> bool) -> Vec<usize> {
    let cursor = cursor();
    let mut counts = vec![0; balancer.endpoints().len()];
    for _ in 0..requests {
        counts[balancer.choose(&turn(&cursor, &[]), &healthy).unwrap()] += 1;
    }
    counts
}

const ALL: [Algorithm; 4] =
    [Algorithm::RoundRobin, Algorithm::ConsistentHashing, Algorithm::LeastConnections, Algorithm::Latency];

#[test]
fn turns_follow_the_weights() {
    assert_eq!(counts(&balancer(Algorithm::RoundRobin, &[100, 100, 100]), 300, |_| true), [100, 100, 100]);
    assert_eq!(counts(&balancer(Algorithm::RoundRobin, &[100, 50, 0]), 300, |_| true), [200, 100, 0]);
    assert_eq!(counts(&balancer(Algorithm::RoundRobin, &[7, 3]), 10, |_| true), [7, 3]);
    assert_eq!(counts(&balancer(Algorithm::RoundRobin, &[1, 1, 1]), 300, |at| at != 0), [0, 150, 150]);
}

#[test]
fn turns_are_spread_evenly() {
    let balancer = balancer(Algorithm::RoundRobin, &[3, 1]);
    let cursor = cursor();
    let chosen: Vec<usize> =
        (0..8).map(|_| balancer.choose(&turn(&cursor, &[]), |_| true).unwrap()).collect();
    assert_eq!(chosen, [0, 0, 1, 0, 0, 0, 1, 0]);
}

#[test]
fn weights_without_a_common_divisor_are_rounded_in_bounded_memory() {
    let counts = counts(&balancer(Algorithm::RoundRobin, &[65_535, 65_534, 1]), 65_536, |_| true);
    assert!(counts[0].abs_diff(32_767) <= 1 && counts[1].abs_diff(32_767) <= 1, "{counts:?}");
    assert_eq!(counts[2], 1);
}

#[test]
fn when_most_of_the_wheel_is_out_the_weights_still_hold() {
    let balancer = balancer(Algorithm::RoundRobin, &[60_000, 30, 10]);
    let counts = counts(&balancer, 4000, |at| at != 0);
    assert_eq!(counts[0], 0);
    assert!(counts[1].abs_diff(3000) < 100, "{counts:?}");
    assert_eq!(balancer.choose(&turn(&cursor(), &[]), |_| false), None);
}

#[test]
fn least_connections_take_turns_when_idle() {
    let balancer = balancer(Algorithm::LeastConnections, &[100, 100, 100]);
    assert_eq!(counts(&balancer, 30, |_| true), [10, 10, 10]);
    let _busy = balancer.begin(0);
    assert_eq!(counts(&balancer, 30, |_| true), [0, 15, 15]);
}

#[test]
fn least_connections_fill_up_by_weight() {
    for (weights, requests, expected) in [
        ([100, 100, 100], 6, [2, 2, 2]),
        ([100, 50, 50], 4, [2, 1, 1]),
        ([100, 50, 50], 8, [4, 2, 2]),
        ([100, 50, 50], 12, [6, 3, 3]),
    ] {
        let balancer = balancer(Algorithm::LeastConnections, &weights);
        let cursor = cursor();
        let (mut counts, mut under_way) = ([0; 3], Vec::new());
        for _ in 0..requests {
            let at = balancer.choose(&turn(&cursor, &[]), |_| true).unwrap();
            counts[at] += 1;
            under_way.push(balancer.begin(at));
        }
        assert_eq!(counts, expected);
        drop(under_way);
        assert!(balancer.loads.iter().all(|load| load.in_flight() == 0));
    }
}

#[test]
fn the_fastest_is_asked_until_it_slows_down() {
    let balancer = balancer(Algorithm::Latency, &[1, 1, 1]);
    let cursor = cursor();
    for (at, milliseconds) in [(0, 300), (1, 100), (2, 200)] {
        balancer.begin(at).answered(Duration::from_millis(milliseconds), 60_000);
    }
    let choose = |now| balancer.choose(&Turn { now, ..turn(&cursor, &[]) }, |_| true);
    assert_eq!([choose(60_000), choose(60_000)], [Some(1), Some(1)]);
    balancer.begin(1).answered(Duration::from_secs(2), 61_000);
    assert_eq!(choose(61_000), Some(2));
    assert_eq!(balancer.choose(&Turn { now: 61_000, ..turn(&cursor, &[2]) }, |at| at != 1), Some(0));
}

#[test]
fn latency_is_weighed_and_a_failed_attempt_does_not_count() {
    let balancer = balancer(Algorithm::Latency, &[100, 300]);
    let cursor = cursor();
    balancer.begin(0).answered(Duration::from_millis(100), 60_000);
    balancer.begin(1).answered(Duration::from_millis(200), 60_000);
    assert_eq!(balancer.choose(&Turn { now: 60_000, ..turn(&cursor, &[]) }, |_| true), Some(1));
    drop(balancer.begin(0));
    assert_eq!(balancer.choose(&Turn { now: 60_000, ..turn(&cursor, &[]) }, |_| true), Some(1));
}

#[test]
fn unmeasured_endpoints_take_turns() {
    assert_eq!(counts(&balancer(Algorithm::Latency, &[1, 1, 1]), 30, |_| true), [10, 10, 10]);
}

#[test]
fn what_is_known_about_an_endpoint_outlives_the_balancer() {
    let mut old = balancer(Algorithm::Latency, &[1, 1]);
    for (at, milliseconds) in [(0, 300), (1, 100)] {
        old.begin(at).answered(Duration::from_millis(milliseconds), 60_000);
    }
    let mut changed = endpoints(&[1, 1, 1]);
    changed.reverse();
    let new = Balancer::new(&upstream(Algorithm::Latency), changed, Some(&old));
    let latency = |at: usize| (new.loads[at].latency(60_000) * 1000.0).round() as u32;
    assert_eq!([latency(2), latency(1), latency(0)], [299, 100, 200]);

    old = balancer(Algorithm::LeastConnections, &[1, 1]);
    let under_way = old.begin(1);
    let new = Balancer::new(&upstream(Algorithm::LeastConnections), endpoints(&[1, 1, 1]), Some(&old));
    assert_eq!(counts(&new, 4, |_| true), [2, 0, 2]);
    drop(under_way);
    assert_eq!(counts(&new, 3, |_| true), [1, 1, 1]);
}

#[test]
fn retries_go_round_and_round() {
    for algorithm in ALL {
        let balancer = balancer(algorithm, &[100, 100, 1, 0]);
        let (cursor, mut tried) = (cursor(), Vec::new());
        for _ in 0..6 {
            tried.push(balancer.choose(&turn(&cursor, &tried), |_| true).unwrap());
        }
        for round in tried.chunks(3) {
            assert_eq!(BTreeSet::from_iter(round), BTreeSet::from([&0, &1, &2]), "{algorithm:?}: {tried:?}");
        }
        assert!(tried.windows(2).all(|two| two[0] != two[1]), "{algorithm:?}: {tried:?}");
        let (first, second) = (tried[0], tried[1]);
        let other = balancer.choose(&turn(&cursor, &[first, second]), |at| at != first);
        assert!(other.is_some_and(|at| at != first && at != second), "{algorithm:?}");
        assert_eq!(balancer.choose(&turn(&cursor, &[first, first]), |at| at == first), Some(first));
    }
}

#[test]
fn a_threshold_counts_weight() {
    for (threshold, healthy, chosen) in [
        (0.0, 1, true),
        (0.0, 0, false),
        (49.0, 1, false),
        (50.0, 2, false),
        (49.0, 2, true),
        (99.9, 3, true),
    ] {
        let mut upstream = upstream(Algorithm::RoundRobin);
        upstream.healthchecks.threshold = threshold;
        let balancer = Balancer::new(&upstream, endpoints(&[10, 40, 50]), None);
        let choice = balancer.choose(&turn(&cursor(), &[]), |at| at < healthy);
        assert_eq!(choice.is_some(), chosen, "{threshold} {healthy}");
        assert_eq!(balancer.is_healthy(|at| at < healthy), chosen, "{threshold} {healthy}");
    }
}

#[test]
fn a_ring_too_small_for_its_targets_grows() {
    let weights = [100; 40];
    let mut upstream = upstream(Algorithm::ConsistentHashing);
    upstream.slots = 10;
    let balancer = Balancer::new(&upstream, endpoints(&weights), None);
    let cursor = cursor();
    let found: BTreeSet<_> = (0..4000u32)
        .map(|n| Turn { hash: n.wrapping_mul(0x9E37_79B9), ..turn(&cursor, &[]) })
        .filter_map(|turn| balancer.choose(&turn, |_| true))
        .collect();
    assert_eq!(found.len(), weights.len());
}

/// The exchange that asks with a value, as the recording did.
fn asking(on: &str, value: &str) -> Exchange {
    match on {
        "header" | "fallback" => {
            let mut exchange = exchange("/r", &[]);
            for line in value.split(" | ").filter(|line| *line != "absent") {
                // The recording's client wrote Latin-1.
                let bytes: Vec<u8> = line.trim_matches('"').chars().map(|char| char as u8).collect();
                exchange.request.fields.append("hashme", bytes);
            }
            exchange
        }
        "cookie" => exchange("/r", &[("Cookie", &format!("other=1; hashme={value}"))]),
        "query_arg" => exchange(&format!("/r?hashme={value}"), &[]),
        "path" => exchange(&format!("/r/{value}"), &[]),
        "uri_capture" => ask().captured("hashme", value),
        "consumer" => ask().authenticated(consumer(value)),
        "ip" => exchange("/r", &[]),
        other => panic!("{other}"),
    }
}

fn hashing_upstream(on: &str) -> Upstream {
    let mut upstream = upstream(Algorithm::ConsistentHashing);
    let name = || "hashme".to_owned();
    (upstream.hash_on, upstream.hash_fallback) = match on {
        "header" => (HashOn::Header(name()), HashOn::None),
        "fallback" => (HashOn::Consumer, HashOn::Header(name())),
        "cookie" => (HashOn::Cookie(name()), HashOn::None),
        "query_arg" => (HashOn::QueryArg(name()), HashOn::None),
        "path" => (HashOn::Path, HashOn::None),
        "uri_capture" => (HashOn::UriCapture(name()), HashOn::None),
        "consumer" => (HashOn::Consumer, HashOn::None),
        "ip" => (HashOn::Ip, HashOn::None),
        other => panic!("{other}"),
    };
    upstream
}

#[test]
fn hashed_requests_go_where_kong_sends_them() {
    let cursor = cursor();
    let mut asked = 0;
    for table in include_str!("tests/kong.txt").split("\n\n").skip(1) {
        let mut lines = table.lines();
        let head: Vec<&str> = lines.next().unwrap().split(' ').collect();
        let numbers: Vec<u32> = head[1..].iter().map(|number| number.parse().unwrap()).collect();
        let mut upstream = hashing_upstream(head[0]);
        upstream.slots = numbers[0];
        let balancer = Balancer::new(&upstream, endpoints(&numbers[1..]), None);
        let mut check = |value: &str, expected: &str| {
            let exchange = asking(head[0], value);
            let turn = Turn { hash: hash_input(&upstream, &exchange).hash, ..turn(&cursor, &[]) };
            let chosen = balancer.choose(&turn, |_| true).map(|at| at.to_string());
            assert_eq!(chosen.as_deref(), Some(expected), "{head:?} {value}");
            asked += 1;
        };
        for line in lines {
            match line.split_once(' ').unwrap() {
                ("keys", targets) => {
                    for (number, target) in targets.chars().enumerate() {
                        check(&format!("key-{number}"), &target.to_string());
                    }
                }
                (target, value) => check(value, target),
            }
        }
    }
    assert_eq!(asked, 1046);
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(&ALL[..])
}

proptest! {
    #[test]
    fn what_is_chosen_is_healthy_and_has_weight(
        algorithm in any_algorithm(),
        targets in prop::collection::vec((0..4u32, any::<bool>()), 0..12),
        tried in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        hash: u32,
        start: u32,
    ) {
        let weights: Vec<u32> = targets.iter().map(|(weight, _)| *weight).collect();
        let balancer = balancer(algorithm, &weights);
        let tried: Vec<usize> =
            tried.iter().filter(|_| !targets.is_empty()).map(|index| index.index(targets.len())).collect();
        let cursor = Cursor(AtomicU32::new(start));
        let turn = Turn { cursor: &cursor, hash, tried: &tried, now: 0 };
        let available = |at: usize| targets[at].0 > 0 && targets[at].1;
        let chosen = balancer.choose(&turn, |at| targets[at].1);
        prop_assert_eq!(chosen.is_some(), (0..targets.len()).any(available));
        prop_assert!(chosen.is_none_or(available));
        let untried = (0..targets.len()).any(|at| available(at) && !tried.contains(&at));
        if untried && tried.len() < targets.len() {
            let distinct = tried.iter().collect::<BTreeSet<_>>().len() == tried.len();
            prop_assert!(!distinct || chosen.is_none_or(|at| !tried.contains(&at)));
        }
    }

    #[test]
    fn only_the_keys_of_a_lost_target_move(hash: u32, lost in 0..5usize) {
        let balancer = balancer(Algorithm::ConsistentHashing, &[1, 2, 3, 4, 5]);
        let cursor = cursor();
        let turn = Turn { hash, ..turn(&cursor, &[]) };
        let before = balancer.choose(&turn, |_| true).unwrap();
        let after = balancer.choose(&turn, |at| at != lost).unwrap();
        prop_assert_eq!(before == after, before != lost);
    }
}
