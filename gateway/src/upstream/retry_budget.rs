//! How many attempts may follow others. A service that answers nothing would otherwise be asked several times as much
//! as when it was well, which is how it stays ill.
//!
//! Only attempts that may have made work for a target count; what was never sent costs nobody anything. Each worker has
//! a purse of its own, so that nothing is shared on the path of a request.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a further attempt costs, so that a request's share is its percentage.
const PRICE: u32 = 100;
/// Further attempts that may be made at once when none were for a while: as many as a target that goes may have been
/// working on.
const SAVED: u32 = 1_000;
/// Further attempts in a second that are never too many, however few requests there are.
const PER_SECOND: u64 = 10;

/// The budget of one service.
#[derive(Debug)]
pub struct RetryBudget {
    purses: Box<[Purse]>,
}

/// Only its worker writes to it.
#[derive(Debug)]
#[repr(align(64))]
struct Purse {
    credit: AtomicU32,
    /// Until when time has been paid for, in milliseconds.
    paid_ms: AtomicU64,
}

impl RetryBudget {
    pub fn new(workers: usize) -> RetryBudget {
        let purse = || Purse { credit: AtomicU32::new(SAVED * PRICE), paid_ms: AtomicU64::new(0) };
        RetryBudget { purses: std::iter::repeat_with(purse).take(workers).collect() }
    }

    /// A request earns `percent` of a further attempt.
    pub fn earn(&self, worker: usize, percent: u32) {
        let credit = &self.purses[worker].credit;
        let before = credit.load(Relaxed);
        if before < SAVED * PRICE {
            credit.store((before + percent).min(SAVED * PRICE), Relaxed);
        }
    }

    /// Takes one further attempt, if there is one left.
    pub fn spend(&self, worker: usize, now_ms: u64) -> bool {
        let Purse { credit, paid_ms } = &self.purses[worker];
        let earned =
            now_ms.saturating_sub(paid_ms.load(Relaxed)).saturating_mul(PER_SECOND * u64::from(PRICE))
                / 1_000;
        let most = u64::from(SAVED * PRICE);
        let mut left = (u64::from(credit.load(Relaxed)) + earned).min(most) as u32;
        paid_ms.store(now_ms, Relaxed);
        let enough = left >= PRICE;
        if enough {
            left -= PRICE;
        }
        credit.store(left, Relaxed);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &RetryBudget, now_ms: u64) -> usize {
        (0..10_000).take_while(|_| budget.spend(0, now_ms)).count()
    }

    #[test]
    fn a_share_of_the_requests_and_a_few_in_a_second() {
        let budget = RetryBudget::new(2);
        assert_eq!(spent(&budget, 1), 1_000, "what was saved");
        for _ in 0..50 {
            budget.earn(0, 20);
        }
        assert_eq!(spent(&budget, 1), 10, "a fifth of fifty");
        assert_eq!(spent(&budget, 501), 5, "half a second");
        assert_eq!(spent(&budget, 1_000_000), 1_000, "no more is saved");
        assert!(budget.spend(1, 1_000_000), "another worker has its own");
    }

    #[test]
    fn nothing_is_earned_beyond_what_may_be_saved() {
        let budget = RetryBudget::new(1);
        for _ in 0..10_000 {
            budget.earn(0, 100);
        }
        assert_eq!(spent(&budget, 0), 1_000);
    }
}
