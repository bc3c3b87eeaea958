//! The sampled exchanges that are kept for reading: a bounded ring for each stratum, so that a flood of ordinary
//! requests does not push out the failure one is looking for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use admin_api::Exchange;
use admin_api::feed::Sample;

/// Slower than this is the stratum *slow* of the feed.
const SLOW_US: u64 = 500_000;

/// Why an exchange is in the sample; the same order and rule as in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stratum {
    Failed,
    Refused,
    Slow,
    Other,
}

impl Stratum {
    /// How many exchanges of each stratum are kept.
    const KEPT: [usize; 4] = [1_500, 1_500, 500, 1_500];

    pub fn of(exchange: &Exchange) -> Stratum {
        if exchange.status >= 500 || (exchange.status == 0 && !exchange.reason.is_refusal()) {
            Stratum::Failed
        } else if exchange.reason.is_refusal() {
            Stratum::Refused
        } else if exchange.total_us > SLOW_US {
            Stratum::Slow
        } else {
            Stratum::Other
        }
    }
}

/// One exchange of the sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Ascends in the order of arrival.
    pub number: u64,
    /// Which gateway sent it.
    pub gateway: usize,
    pub stratum: Stratum,
    pub exchange: Exchange,
}

/// The newest exchanges.
#[derive(Debug, Clone, Default)]
pub struct Exchanges {
    rows: BTreeMap<u64, Arc<Row>>,
    kept: [VecDeque<u64>; 4],
    last_number: u64,
}

impl Exchanges {
    /// Takes in a sample; within it the order is that of the endings.
    pub fn add(&mut self, gateway: usize, sample: &Sample) {
        let mut batch: Vec<&Exchange> = sample.exchanges.iter().collect();
        batch.sort_by_key(|exchange| exchange.started_at_ms + exchange.total_us / 1_000);
        for exchange in batch {
            self.last_number += 1;
            let stratum = Stratum::of(exchange);
            let row = Row { number: self.last_number, gateway, stratum, exchange: exchange.clone() };
            self.rows.insert(row.number, Arc::new(row));
            let kept = &mut self.kept[stratum as usize];
            kept.push_back(self.last_number);
            if kept.len() > Stratum::KEPT[stratum as usize]
                && let Some(oldest) = kept.pop_front()
            {
                self.rows.remove(&oldest);
            }
        }
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.values().rev()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use admin_api::Reason;

    use super::*;
    use crate::source::demo::tests::exchange;

    fn sample(exchanges: Vec<Exchange>) -> Sample {
        Sample { exchanges, ..Sample::default() }
    }

    #[test]
    fn a_flood_of_ordinary_ones_keeps_the_failure() {
        let mut exchanges = Exchanges::default();
        exchanges.add(0, &sample(vec![exchange(503, Reason::UpstreamReset)]));
        for _ in 0..100 {
            exchanges.add(0, &sample(vec![exchange(200, Reason::Proxied); 200]));
        }
        assert_eq!(exchanges.len(), Stratum::KEPT[Stratum::Other as usize] + 1);
        assert!(exchanges.newest().any(|row| row.stratum == Stratum::Failed));
    }

    #[test]
    fn newest_first_in_the_order_of_endings() {
        let mut early = exchange(200, Reason::Proxied);
        early.id = "early".to_owned();
        let mut late = exchange(200, Reason::Proxied);
        late.id = "late".to_owned();
        late.total_us += 5_000_000;
        let mut exchanges = Exchanges::default();
        exchanges.add(0, &sample(vec![late, early]));
        let ids: Vec<_> = exchanges.newest().map(|row| row.exchange.id.as_str()).collect();
        assert_eq!(ids, ["late", "early"]);
    }

    #[test]
    fn strata_are_those_of_the_feed() {
        for (status, reason, stratum) in [
            (500, Reason::Proxied, Stratum::Failed),
            (0, Reason::ClientGone, Stratum::Failed),
            (429, Reason::RateLimited, Stratum::Refused),
            (404, Reason::NoRoute, Stratum::Other),
        ] {
            assert_eq!(Stratum::of(&exchange(status, reason)), stratum, "{status} {reason}");
        }
        let mut slow = exchange(200, Reason::Proxied);
        slow.total_us = SLOW_US + 1;
        assert_eq!(Stratum::of(&slow), Stratum::Slow);
    }
}
