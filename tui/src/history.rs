//! The recent past of one gateway, in rings of fixed length: slices of a second for a minute, slices of a
//! quarter of a minute for a quarter of an hour, and one small point a second for the charts.
//!
//! Ages are by the gateway's clock. A stretch without news (a lost connection) is one long slice: its counts
//! are exact, only the charts show a gap.

use std::collections::VecDeque;

use crate::latencies::Latencies;
use crate::tally::{Classes, Tally};

const FINE_MS: u64 = 1_000;
const FINE: usize = 60;
const COARSE_MS: u64 = 15_000;
const COARSE: usize = 56;
const POINTS: usize = 15 * 60;
/// Snapshots come several times a second; one that took longer leaves a gap in the charts.
const GAP_MS: u64 = 3_000;
/// Slices end at the first snapshot after this long, so that a slice of four snapshots does not wait for a
/// fifth because of a millisecond of jitter.
const NEARLY: u64 = FINE_MS * 9 / 10;

/// The recent past of one gateway.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What came since the last slice was closed.
    open: Tally,
    open_end_ms: u64,
    /// Newest last.
    fine: VecDeque<Tally>,
    /// Newest last; the newest may still be growing.
    coarse: VecDeque<Tally>,
    points: VecDeque<Point>,
}

/// One second of a gateway as the charts need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Unix time in milliseconds, by the gateway's clock.
    pub end_ms: u64,
    pub span_ms: u64,
    pub classes: Classes,
    pub latency: Latencies,
}

impl Point {
    /// Whether the chart can place it: a long one says how much, but not when.
    pub fn is_gap(&self) -> bool {
        self.span_ms > GAP_MS
    }
}

impl History {
    /// Adds what was counted up to `end_ms`. Returns whether a slice was completed.
    pub fn push(&mut self, tally: &Tally, end_ms: u64) -> bool {
        if tally.span_ms > GAP_MS {
            self.close();
        }
        self.open.add(tally);
        self.open_end_ms = end_ms;
        let full = self.open.span_ms >= NEARLY;
        if full {
            self.close();
        }
        full
    }

    /// Counts a sample into the present.
    pub fn sample(&mut self, seen: &admin_api::feed::Strata, shown: &admin_api::feed::Strata) {
        self.open.add_sample(seen, shown);
    }

    fn close(&mut self) {
        if self.open.span_ms == 0 {
            return;
        }
        let slice = std::mem::take(&mut self.open);
        self.points.push_back(Point {
            end_ms: self.open_end_ms,
            span_ms: slice.span_ms,
            classes: slice.classes(),
            latency: slice.latency.clone(),
        });
        if self.points.len() > POINTS {
            self.points.pop_front();
        }
        self.fine.push_back(slice);
        if self.fine.len() > FINE
            && let Some(old) = self.fine.pop_front()
        {
            self.age(old);
        }
    }

    fn age(&mut self, slice: Tally) {
        match self.coarse.back_mut().filter(|last| last.span_ms < COARSE_MS) {
            Some(growing) => growing.add(&slice),
            None => self.coarse.push_back(slice),
        }
        if self.coarse.len() > COARSE {
            self.coarse.pop_front();
        }
    }

    /// All slices, newest first; the present is the first of them.
    fn slices(&self) -> impl Iterator<Item = &Tally> {
        let open = Some(&self.open).filter(|open| open.span_ms > 0);
        open.into_iter().chain(self.fine.iter().rev()).chain(self.coarse.iter().rev())
    }

    /// What was counted in about the last `ms` milliseconds; its span says in how many.
    pub fn last(&self, ms: u64) -> Tally {
        let mut sum = Tally::default();
        for slice in self.slices() {
            if sum.span_ms + slice.span_ms / 2 >= ms {
                // More than half of it would be too old; take it only when there is nothing else.
                if sum.span_ms == 0 {
                    sum.add(slice);
                }
                break;
            }
            sum.add(slice);
        }
        // Samples that arrived after the last snapshot.
        if self.open.span_ms == 0 {
            sum.add_sample(&self.open.seen, &self.open.shown);
        }
        sum
    }

    /// Requests per second to one route, oldest first, one value for each slice of about `step_ms` within the
    /// last `ms`.
    pub fn trend(&self, route: &str, ms: u64, step_ms: u64) -> Vec<f64> {
        self.steps(ms, step_ms, |slice| slice.routes.get(route).map_or(0, |route| route.classes.total()))
    }

    /// What a plugin ended per second, like [`History::trend`].
    pub fn plugin_trend(&self, plugin: &str, ms: u64, step_ms: u64) -> Vec<f64> {
        self.steps(ms, step_ms, |slice| slice.plugins.get(plugin).map_or(0, |plugin| plugin.ended))
    }

    fn steps(&self, ms: u64, step_ms: u64, count: impl Fn(&Tally) -> u64) -> Vec<f64> {
        let mut values = Vec::new();
        let (mut covered, mut sum, mut span) = (0, 0, 0);
        for slice in self.slices() {
            sum += count(slice);
            span += slice.span_ms;
            covered += slice.span_ms;
            if span + NEARLY / 2 >= step_ms {
                values.push(per_second(sum, span));
                (sum, span) = (0, 0);
            }
            if covered >= ms {
                break;
            }
        }
        values.reverse();
        values
    }

    /// One point a second, oldest first.
    pub fn points(&self) -> &VecDeque<Point> {
        &self.points
    }
}

/// A count over a span as a rate.
pub fn per_second(count: u64, span_ms: u64) -> f64 {
    if span_ms == 0 { 0.0 } else { count as f64 * 1_000.0 / span_ms as f64 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tally::RouteTally;

    fn tally(span_ms: u64, requests: u64) -> Tally {
        let classes = Classes { by_hundred: [0, requests, 0, 0, 0], ..Classes::default() };
        let route = RouteTally { classes, ..RouteTally::default() };
        Tally { span_ms, routes: BTreeMap::from([("r".to_owned(), route)]), ..Tally::default() }
    }

    fn run(history: &mut History, from_ms: u64, seconds: u64, per_quarter: u64) {
        for quarter in 1..=seconds * 4 {
            history.push(&tally(250, per_quarter), from_ms + quarter * 250);
        }
    }

    #[test]
    fn a_window_counts_what_lies_in_it() {
        let mut history = History::default();
        run(&mut history, 0, 120, 5);
        for window in [10_000, 60_000] {
            let last = history.last(window);
            assert_eq!(last.span_ms, window);
            assert_eq!(last.classes().total(), window / 1_000 * 20);
        }
        let last = history.last(900_000);
        assert_eq!(last.span_ms, 120_000, "no more than there is");
        assert_eq!(last.classes().total(), 2_400);
    }

    #[test]
    fn nothing_is_lost_when_slices_age() {
        let mut history = History::default();
        run(&mut history, 0, 840, 1);
        let last = history.last(u64::MAX / 4);
        assert_eq!(last.classes().total(), 840 * 4);
        assert_eq!(last.span_ms, 840_000);
    }

    #[test]
    fn rings_are_bounded() {
        let mut history = History::default();
        run(&mut history, 0, 3_000, 1);
        assert_eq!(history.fine.len(), FINE);
        assert_eq!(history.coarse.len(), COARSE);
        assert_eq!(history.points.len(), POINTS);
        assert!(history.last(900_000).span_ms >= 890_000);
    }

    #[test]
    fn a_silent_minute_is_one_slice_and_a_gap() {
        let mut history = History::default();
        run(&mut history, 0, 5, 1);
        history.push(&tally(60_000, 600), 65_000);
        run(&mut history, 65_000, 5, 1);
        assert_eq!(history.points().iter().filter(|point| point.is_gap()).count(), 1);
        assert_eq!(history.last(70_000).classes().total(), 640);
        assert_eq!(
            history.last(4_000).classes().total(),
            16,
            "the gap is not in a window that ends after it"
        );
    }

    #[test]
    fn a_trend_has_a_value_for_each_step() {
        let mut history = History::default();
        run(&mut history, 0, 30, 5);
        assert_eq!(history.trend("r", 10_000, 1_000), vec![20.0; 10]);
        assert_eq!(history.trend("r", 10_000, 5_000), vec![20.0; 2]);
        assert_eq!(history.trend("other", 3_000, 1_000), vec![0.0; 3]);
    }
}
