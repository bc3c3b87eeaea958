//! Whether a target is fit to be used, judged by counting: Kong's rules as a state machine in one atomic word.
//!
//! Fed by probes and by traffic alike, shared by all workers, kept for as long as its target is in use. Nothing here
//! probes, and nothing here knows which target it is about.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::model::upstream::{HealthChecks, HealthRules};

/// The health of one target. A new one is healthy.
#[derive(Debug, Default)]
pub struct Health(AtomicU64);

/// What was seen of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// An answer; the rules say what its status means.
    Status(u16),
    /// An answer that isn't HTTP.
    InvalidAnswer,
    /// A probe that only connects has connected.
    Connected,
    /// No connection, or one that broke.
    TcpFailure,
    Timeout,
}

/// The states in between are counting towards the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Healthy,
    MostlyHealthy,
    MostlyUnhealthy,
    Unhealthy,
}

/// A change that traffic notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Recovered,
    Failed,
}

/// The word, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    state: State,
    successes: u8,
    /// By kind of failure.
    failures: [u8; 3],
}

/// What a sign counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Success,
    /// The place in [`Counts::failures`].
    Failure(usize),
}

const HTTP: usize = 0;
const TCP: usize = 1;
const TIMEOUT: usize = 2;

impl Health {
    /// Whether the target may be chosen.
    pub fn is_available(&self) -> bool {
        self.state().is_available()
    }

    pub fn state(&self) -> State {
        Counts::unpack(self.0.load(Relaxed)).state
    }

    /// Counts a sign. Writes nothing when it changes nothing, as the success of a healthy target.
    pub fn record(&self, sign: Sign, rules: &HealthRules) -> Option<Change> {
        let (count, limit) = judge(sign, rules)?;
        let counted = |packed| {
            let next = Counts::unpack(packed).counted(count, limit).pack();
            (next != packed).then_some(next)
        };
        let before = self.0.fetch_update(Relaxed, Relaxed, counted).ok()?;
        let before = Counts::unpack(before);
        before.state.change_to(before.counted(count, limit).state)
    }

    /// Sets the state by hand and forgets what was counted. It holds until something is counted to the other end.
    pub fn set(&self, healthy: bool) {
        let state = if healthy { State::Healthy } else { State::Unhealthy };
        self.0.store(Counts { state, ..Counts::default() }.pack(), Relaxed);
    }
}

/// Whether an upstream's targets are checked at all; if not, their health has no meaning.
pub fn is_checked(checks: &HealthChecks) -> bool {
    let passive = &checks.passive.rules;
    checks.active.healthy_interval > 0.0
        || checks.active.unhealthy_interval > 0.0
        || [passive.tcp_failures, passive.timeouts, passive.http_failures].iter().any(|limit| *limit > 0)
}

/// What the sign counts as, and how many of it are needed. `None` when the rules don't count it.
fn judge(sign: Sign, rules: &HealthRules) -> Option<(Count, u8)> {
    let (count, limit) = match sign {
        Sign::Status(status) if rules.healthy_statuses.contains(&status) => (Count::Success, rules.successes),
        Sign::Status(status) if !rules.unhealthy_statuses.contains(&status) => return None,
        Sign::Status(_) | Sign::InvalidAnswer => (Count::Failure(HTTP), rules.http_failures),
        Sign::Connected => (Count::Success, rules.successes),
        Sign::TcpFailure => (Count::Failure(TCP), rules.tcp_failures),
        Sign::Timeout => (Count::Failure(TIMEOUT), rules.timeouts),
    };
    (limit > 0).then_some((count, limit))
}

impl State {
    fn is_available(self) -> bool {
        matches!(self, State::Healthy | State::MostlyHealthy)
    }

    fn change_to(self, next: State) -> Option<Change> {
        match (self.is_available(), next.is_available()) {
            (true, false) => Some(Change::Failed),
            (false, true) => Some(Change::Recovered),
            _ => None,
        }
    }
}

impl Counts {
    /// A success forgets the failures, and a failure the successes.
    fn counted(mut self, count: Count, limit: u8) -> Counts {
        match (count, self.state) {
            (Count::Success, State::Healthy) | (Count::Failure(_), State::Unhealthy) => {}
            (Count::Success, state) => {
                self.successes = self.successes.saturating_add(1);
                self.failures = [0; 3];
                if self.successes >= limit {
                    self.state = State::Healthy;
                } else if state == State::Unhealthy {
                    self.state = State::MostlyUnhealthy;
                }
            }
            (Count::Failure(kind), state) => {
                self.successes = 0;
                self.failures[kind] = self.failures[kind].saturating_add(1);
                if self.failures[kind] >= limit {
                    self.state = State::Unhealthy;
                } else if state == State::Healthy {
                    self.state = State::MostlyHealthy;
                }
            }
        }
        self
    }

    fn pack(self) -> u64 {
        let [http, tcp, timeouts] = self.failures;
        u64::from_le_bytes([self.state as u8, self.successes, http, tcp, timeouts, 0, 0, 0])
    }

    fn unpack(packed: u64) -> Counts {
        const STATES: [State; 4] =
            [State::Healthy, State::MostlyHealthy, State::MostlyUnhealthy, State::Unhealthy];
        let [state, successes, http, tcp, timeouts, ..] = packed.to_le_bytes();
        Counts {
            state: STATES[usize::from(state) % STATES.len()],
            successes,
            failures: [http, tcp, timeouts],
        }
    }
}

#[cfg(test)]
mod tests;
