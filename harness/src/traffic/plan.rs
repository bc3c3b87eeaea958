//! What is sent, how often, over how many connections.

use std::time::Duration;

use crate::http_client::{Outgoing, Target};

/// A plan for load.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Requests per second, all together.
    pub rate: f64,
    /// Connections, each with its own share of the rate.
    pub clients: u32,
    /// Sent in turn.
    pub mix: Vec<Planned>,
    /// Until told to stop when absent.
    pub duration: Option<Duration>,
    /// Statuses that are no failure; below 500 when absent.
    pub good: Option<Vec<u16>>,
}

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it is called in the summary.
    pub title: String,
    pub target: Target,
    pub outgoing: Outgoing,
    pub timeout: Duration,
}

impl Plan {
    /// When the `turn`th request of a client is due, from the start.
    pub fn due(&self, client: u32, turn: u64) -> Duration {
        let position = u64::from(client) + turn * u64::from(self.clients);
        Duration::from_secs_f64(position as f64 / self.rate)
    }

    /// Which kind of request that is.
    pub fn kind(&self, client: u32, turn: u64) -> usize {
        let position = u64::from(client) + turn * u64::from(self.clients);
        (position % self.mix.len().max(1) as u64) as usize
    }

    /// Whether a status is what it should be.
    pub fn is_good(&self, status: u16) -> bool {
        self.good.as_ref().map_or(status < 500, |good| good.contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the number of clients, all together keep the rate and every request is due once.
        #[test]
        fn clients_share_one_schedule(rate in 1_u32..5_000, clients in 1_u32..300, total in 1_u64..2_000) {
            let plan = Plan { rate: f64::from(rate), clients, mix: Vec::new(), duration: None, good: None };
            let mut dues: Vec<Duration> = (0..total)
                .map(|position| plan.due((position % u64::from(clients)) as u32, position / u64::from(clients)))
                .collect();
            dues.sort();
            for (position, due) in dues.iter().enumerate() {
                let wanted = position as f64 / f64::from(rate);
                prop_assert!((due.as_secs_f64() - wanted).abs() < 1e-6);
            }
        }
    }
}
