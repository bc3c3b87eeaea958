//! Sequences of signs and the states they lead to.

use super::*;
use crate::model::Upstream;

/// Two of each failure, three successes.
fn rules() -> HealthRules {
    HealthRules {
        healthy_statuses: vec![200, 302],
        successes: 3,
        unhealthy_statuses: vec![429, 500, 503],
        tcp_failures: 2,
        timeouts: 2,
        http_failures: 2,
    }
}

/// A sign by a letter: good, bad or meaningless status, not HTTP, connected, TCP failure, timeout.
fn sign(letter: char) -> Sign {
    match letter {
        'g' => Sign::Status(200),
        'b' => Sign::Status(500),
        'm' => Sign::Status(404),
        'i' => Sign::InvalidAnswer,
        'c' => Sign::Connected,
        'f' => Sign::TcpFailure,
        't' => Sign::Timeout,
        other => panic!("{other}"),
    }
}

/// The states after each sign: `H`, `h`, `u`, `U` from healthy to unhealthy.
fn states(health: &Health, signs: &str, rules: &HealthRules) -> String {
    let letter = |state| match state {
        State::Healthy => 'H',
        State::MostlyHealthy => 'h',
        State::MostlyUnhealthy => 'u',
        State::Unhealthy => 'U',
    };
    let after = |sign_letter| {
        let before = health.is_available();
        let change = health.record(sign(sign_letter), rules);
        let expected = match (before, health.is_available()) {
            (true, false) => Some(Change::Failed),
            (false, true) => Some(Change::Recovered),
            _ => None,
        };
        assert_eq!(change, expected, "{sign_letter} of {signs}");
        letter(health.state())
    };
    signs.chars().map(after).collect()
}

#[test]
fn signs_are_counted_to_their_limits() {
    for (signs, expected) in [
        ("gg", "HH"),
        ("bb", "hU"),
        ("ii", "hU"),
        ("ib", "hU"),
        ("ff", "hU"),
        ("tt", "hU"),
        ("mm", "HH"),
        // Failures of different kinds are counted apart.
        ("bft", "hhh"),
        ("bftf", "hhhU"),
        // A success forgets the failures, and enough of them bring the state back.
        ("bgb", "hhh"),
        ("bgbgbb", "hhhhhU"),
        ("bggg", "hhhH"),
        // From the other end.
        ("bbb", "hUU"),
        ("bbggg", "hUuuH"),
        ("bbccc", "hUuuH"),
        ("bbggbggg", "hUuuuuuH"),
        ("bbgbb", "hUuuU"),
    ] {
        assert_eq!(states(&Health::default(), signs, &rules()), expected, "{signs}");
    }
}

#[test]
fn a_limit_of_zero_counts_nothing() {
    let off = HealthRules { successes: 0, tcp_failures: 0, timeouts: 0, http_failures: 0, ..rules() };
    assert_eq!(states(&Health::default(), "bbiifftt", &off), "HHHHHHHH");
    // Successes that don't count don't forget failures either.
    let passive = HealthRules { successes: 0, ..rules() };
    assert_eq!(states(&Health::default(), "bgggb", &passive), "hhhhU");
    let health = Health::default();
    health.set(false);
    assert_eq!(states(&health, "ggg", &passive), "UUU");
}

#[test]
fn a_status_in_both_lists_is_good() {
    let both = HealthRules { unhealthy_statuses: vec![200], ..rules() };
    assert_eq!(states(&Health::default(), "gg", &both), "HH");
}

#[test]
fn a_hand_set_state_forgets_what_was_counted() {
    let health = Health::default();
    assert_eq!(states(&health, "b", &rules()), "h");
    health.set(true);
    assert_eq!(states(&health, "b", &rules()), "h");
    health.set(false);
    assert!(!health.is_available());
    assert_eq!(states(&health, "ggg", &rules()), "uuH");
}

#[test]
fn the_largest_limits_are_reached() {
    let slow = HealthRules { http_failures: 255, ..rules() };
    let health = Health::default();
    assert_eq!(states(&health, &"b".repeat(254), &slow), "h".repeat(254));
    assert_eq!(states(&health, "b", &slow), "U");
}

#[test]
fn one_thread_of_many_sees_the_change() {
    let health = Health::default();
    let many = HealthRules { tcp_failures: 200, ..rules() };
    let changes: usize = std::thread::scope(|scope| {
        let record = || (0..100).filter(|_| health.record(Sign::TcpFailure, &many).is_some()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(record)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((changes, health.state()), (1, State::Unhealthy));
}

#[test]
fn checks_are_off_until_one_of_them_counts() {
    let mut checks = Upstream::new(uuid::Uuid::nil(), "u").healthchecks;
    assert!(!is_checked(&checks));
    checks.passive.rules.successes = 5;
    assert!(!is_checked(&checks));
    checks.passive.rules.timeouts = 1;
    assert!(is_checked(&checks));
    checks.passive.rules.timeouts = 0;
    checks.active.unhealthy_interval = 0.5;
    assert!(is_checked(&checks));
}
