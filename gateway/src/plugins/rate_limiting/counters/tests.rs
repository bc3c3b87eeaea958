use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::plugins::testing::NOW;

fn scope() -> ScopeKey {
    ScopeKey::of(Scope { route: Some(Uuid::from_u128(1)), ..Scope::default() })
}

fn key(number: u32) -> Key {
    Key::new(scope(), Kind::Header, &number.to_le_bytes())
}

fn counters() -> (Counters, Clock) {
    let clock = Clock::held(NOW);
    (Counters::new(clock.clone()), clock)
}

#[test]
fn keys_differ_in_scope_kind_and_identifier() {
    let other = ScopeKey::of(Scope { service: Some(Uuid::from_u128(1)), ..Scope::default() });
    let long = [7; 100];
    let keys = [
        Key::new(scope(), Kind::Header, b"a"),
        Key::new(other, Kind::Header, b"a"),
        Key::new(scope(), Kind::Path, b"a"),
        Key::new(scope(), Kind::Header, b"a\0"),
        Key::new(scope(), Kind::Header, b""),
        Key::new(scope(), Kind::Header, &long),
        Key::new(scope(), Kind::Header, &long[..99]),
    ];
    for (at, one) in keys.iter().enumerate() {
        assert!(keys[at + 1..].iter().all(|other| other != one), "{at}");
    }
}

#[test]
fn a_million_keys_stay_within_the_bound_and_the_busy_one_is_kept() {
    let (counters, _) = counters();
    let limits = [(Period::Hour, 100.0)];
    let busy = Key::new(scope(), Kind::Address, b"busy");
    for _ in 0..50 {
        counters.admit(&busy, &limits);
    }
    for number in 0..1_000_000 {
        counters.admit(&key(number), &limits);
    }
    assert_eq!(counters.len(), SHARDS * ENTRIES);
    assert_eq!(counters.dropped(), 1_000_001 - counters.len() as u64);
    let bytes: usize = counters.shards.iter().map(|shard| shard.0.lock().entries.allocation_size()).sum();
    assert!(bytes < 64 * 1024 * 1024, "{bytes} bytes");
    assert_eq!(counters.admit(&busy, &limits).before[Period::Hour as usize], 50);
}

#[test]
fn a_full_store_drops_what_is_over_before_what_counts() {
    let (counters, clock) = counters();
    for number in 0..(2 * SHARDS * ENTRIES) as u32 {
        counters.admit(&key(number), &[(Period::Second, 5.0)]);
    }
    let dropped = counters.dropped();
    assert!(dropped > 0);
    clock.advance(Duration::from_secs(1));
    for number in 0..1_000 {
        counters.admit(&key(10_000_000 + number), &[(Period::Second, 5.0)]);
    }
    assert_eq!(counters.dropped(), dropped, "there was room enough");
    assert!(counters.len() < SHARDS * ENTRIES);
}

#[test]
fn a_table_grows_for_live_keys_only() {
    let (counters, clock) = counters();
    for second in 0..50 {
        for number in 0..5_000 {
            counters.admit(&key(second * 5_000 + number), &[(Period::Second, 5.0)]);
        }
        clock.advance(Duration::from_secs(1));
    }
    assert!(counters.len() < 30_000, "{} keys of 5,000 live ones a second", counters.len());
    assert_eq!(counters.dropped(), 0);
}

#[test]
fn a_clock_that_steps_back_a_little_gives_nobody_a_second_window() {
    let (counters, clock) = counters();
    let limits = [(Period::Minute, 1.0)];
    clock.step_to(Duration::from_mins(16_667));
    assert_eq!(counters.admit(&key(1), &limits).stopped_by, None);
    clock.step_to(Duration::from_secs(1_000_019));
    assert_eq!(counters.admit(&key(1), &limits).stopped_by, Some(Period::Minute));
    clock.step_to(Duration::from_mins(16_667));
    assert_eq!(counters.admit(&key(1), &limits).stopped_by, Some(Period::Minute));
    // A clock that was wrong by years is not obeyed until they have passed.
    clock.step_to(Duration::from_secs(500_000));
    assert_eq!(counters.admit(&key(1), &limits).stopped_by, None);
}
