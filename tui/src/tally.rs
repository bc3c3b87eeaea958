//! What was counted in one stretch of time: the difference of two cumulative snapshots, and sums of such.
//!
//! A counter that went back means that its owner began anew (a route removed and made again): all it counts is
//! new. A whole gateway that began anew is the business of `gateway.rs`, which starts from its first snapshot.

use std::collections::BTreeMap;

use admin_api::feed::{PluginTotals, RouteTotals, Strata, TargetTotals};
use admin_api::{Reason, Totals};

use crate::latencies::Latencies;

/// Counts of one stretch of time of one gateway.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// How long the stretch is, by the gateway's clock.
    pub span_ms: u64,
    pub latency: Latencies,
    pub gateway_latency: Latencies,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub events_dropped: u64,
    pub log_entries_dropped: u64,
    /// Only routes with traffic.
    pub routes: BTreeMap<String, RouteTally>,
    /// Only plugins that ran.
    pub plugins: BTreeMap<String, PluginTotals>,
    /// Only targets that were tried.
    pub targets: BTreeMap<String, TargetTally>,
    /// Exchanges that the sample was taken from, and those in it.
    pub seen: Strata,
    pub shown: Strata,
}

/// Counts of one route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteTally {
    pub classes: Classes,
    pub reasons: BTreeMap<Reason, u64>,
    pub latency: Latencies,
}

/// Attempts at one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetTally {
    pub attempts: u64,
    pub failures: u64,
}

/// Exchanges by status class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Classes {
    /// Index 0 is 1xx, 4 is 5xx.
    pub by_hundred: [u64; 5],
    /// Exchanges that ended before a status was known: the client left.
    pub none: u64,
    /// Those of them all that the gateway refused on purpose.
    pub refused: u64,
}

impl Classes {
    pub fn total(&self) -> u64 {
        self.by_hundred.iter().sum::<u64>() + self.none
    }

    pub fn failed(&self) -> u64 {
        self.by_hundred[4]
    }

    pub fn add(&mut self, other: &Classes) {
        for (mine, theirs) in self.by_hundred.iter_mut().zip(other.by_hundred) {
            *mine += theirs;
        }
        self.none += other.none;
        self.refused += other.refused;
    }
}

impl Tally {
    /// What happened between two snapshots of the same gateway process.
    pub fn between(earlier: &Totals, later: &Totals) -> Tally {
        Tally {
            span_ms: later.at_ms.saturating_sub(earlier.at_ms),
            latency: Latencies::between(Some(&earlier.latency), &later.latency),
            gateway_latency: Latencies::between(Some(&earlier.gateway_latency), &later.gateway_latency),
            bytes_in: since(earlier.bytes_in, later.bytes_in),
            bytes_out: since(earlier.bytes_out, later.bytes_out),
            events_dropped: since(earlier.events_dropped, later.events_dropped),
            log_entries_dropped: since(earlier.log_entries_dropped, later.log_entries_dropped),
            routes: changed(&earlier.routes, &later.routes, route_between),
            plugins: changed(&earlier.plugins, &later.plugins, plugin_between),
            targets: changed(&earlier.targets, &later.targets, target_between),
            seen: Strata::default(),
            shown: Strata::default(),
        }
    }

    /// Everything a gateway counted since its process started.
    pub fn since_start(totals: &Totals, started_at_ms: u64) -> Tally {
        Tally::between(&Totals { at_ms: started_at_ms, ..Totals::default() }, totals)
    }

    /// Adds another stretch of time of the same gateway.
    pub fn add(&mut self, other: &Tally) {
        self.span_ms += other.span_ms;
        self.latency.add(&other.latency);
        self.gateway_latency.add(&other.gateway_latency);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.events_dropped += other.events_dropped;
        self.log_entries_dropped += other.log_entries_dropped;
        for (name, theirs) in &other.routes {
            let mine = self.routes.entry(name.clone()).or_default();
            mine.classes.add(&theirs.classes);
            mine.latency.add(&theirs.latency);
            for (reason, count) in &theirs.reasons {
                *mine.reasons.entry(*reason).or_default() += count;
            }
        }
        for (name, theirs) in &other.plugins {
            let mine = self.plugins.entry(name.clone()).or_default();
            mine.passed += theirs.passed;
            mine.ended += theirs.ended;
            mine.failed += theirs.failed;
        }
        for (name, theirs) in &other.targets {
            let mine = self.targets.entry(name.clone()).or_default();
            mine.attempts += theirs.attempts;
            mine.failures += theirs.failures;
        }
        self.add_sample(&other.seen, &other.shown);
    }

    /// Counts a sample: how many exchanges it was taken from and how many are in it.
    pub fn add_sample(&mut self, seen: &Strata, shown: &Strata) {
        add_strata(&mut self.seen, seen);
        add_strata(&mut self.shown, shown);
    }

    pub fn classes(&self) -> Classes {
        let mut all = Classes::default();
        for route in self.routes.values() {
            all.add(&route.classes);
        }
        all
    }
}

pub fn add_strata(mine: &mut Strata, theirs: &Strata) {
    mine.failed += theirs.failed;
    mine.refused += theirs.refused;
    mine.slow += theirs.slow;
    mine.other += theirs.other;
}

fn since(earlier: u64, later: u64) -> u64 {
    later.checked_sub(earlier).unwrap_or(later)
}

/// The differences of all entries in which something was counted.
fn changed<T: Default, D: Default + PartialEq>(
    earlier: &BTreeMap<String, T>,
    later: &BTreeMap<String, T>,
    difference: impl Fn(&T, &T) -> D,
) -> BTreeMap<String, D> {
    let nothing = T::default();
    let none = D::default();
    later
        .iter()
        .map(|(name, now)| (name, difference(earlier.get(name).unwrap_or(&nothing), now)))
        .filter(|(_, counted)| *counted != none)
        .map(|(name, counted)| (name.clone(), counted))
        .collect()
}

fn route_between(earlier: &RouteTotals, later: &RouteTotals) -> RouteTally {
    let began_anew = earlier.classes.iter().zip(later.classes).any(|(then, now)| now < *then);
    let nothing = RouteTotals::default();
    let earlier = if began_anew { &nothing } else { earlier };
    let mut by_hundred = [0; 5];
    for (index, count) in by_hundred.iter_mut().enumerate() {
        *count = later.classes[index] - earlier.classes[index];
    }
    let reasons: BTreeMap<Reason, u64> = later
        .reasons
        .iter()
        .map(|(reason, now)| (*reason, since(earlier.reasons.get(reason).copied().unwrap_or(0), *now)))
        .filter(|(_, count)| *count > 0)
        .collect();
    // Every exchange has a reason, but one whose client left early has no status.
    let none = reasons.values().sum::<u64>().saturating_sub(by_hundred.iter().sum());
    let refused = reasons.iter().filter(|(reason, _)| reason.is_refusal()).map(|(_, count)| count).sum();
    RouteTally {
        classes: Classes { by_hundred, none, refused },
        reasons,
        latency: Latencies::between(Some(&earlier.latency), &later.latency),
    }
}

fn plugin_between(earlier: &PluginTotals, later: &PluginTotals) -> PluginTotals {
    PluginTotals {
        passed: since(earlier.passed, later.passed),
        ended: since(earlier.ended, later.ended),
        failed: since(earlier.failed, later.failed),
    }
}

fn target_between(earlier: &TargetTotals, later: &TargetTotals) -> TargetTally {
    TargetTally {
        attempts: since(earlier.attempts, later.attempts),
        failures: since(earlier.failures, later.failures),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(at_ms: u64, ok: u64, limited: u64, gone: u64) -> Totals {
        let mut totals = Totals { at_ms, ..Totals::default() };
        let route = RouteTotals {
            classes: [0, ok, 0, limited, 0],
            reasons: [(Reason::Proxied, ok), (Reason::RateLimited, limited), (Reason::ClientGone, gone)]
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect(),
            ..RouteTotals::default()
        };
        totals.routes.insert("orders".to_owned(), route);
        totals
    }

    #[test]
    fn the_difference_of_two_snapshots() {
        let tally = Tally::between(&totals(1_000, 10, 1, 0), &totals(1_250, 15, 4, 2));
        assert_eq!(tally.span_ms, 250);
        let classes = tally.routes["orders"].classes;
        assert_eq!(classes.by_hundred, [0, 5, 0, 3, 0]);
        assert_eq!(classes.none, 2, "reasons without a status are clients that left");
        assert_eq!(classes.refused, 3);
        assert_eq!(classes.total(), 10);
        assert_eq!(tally.classes(), classes);
    }

    #[test]
    fn what_did_not_change_is_left_out() {
        let same = totals(1_000, 10, 1, 0);
        assert!(Tally::between(&same, &same).routes.is_empty());
    }

    #[test]
    fn a_route_made_again_counts_from_zero() {
        let tally = Tally::between(&totals(1_000, 1_000, 50, 0), &totals(1_250, 3, 0, 0));
        assert_eq!(tally.routes["orders"].classes.total(), 3);
    }

    #[test]
    fn sums_are_the_difference_over_the_whole_time() {
        let (a, b, c) = (totals(1_000, 1, 0, 0), totals(1_250, 7, 2, 1), totals(1_500, 9, 2, 1));
        let mut sum = Tally::between(&a, &b);
        sum.add(&Tally::between(&b, &c));
        assert_eq!(sum, Tally::between(&a, &c));
    }
}
