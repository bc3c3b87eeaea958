//! How long to wait before an API server is asked again.

use std::time::Duration;

/// The same numbers as Kubernetes' own clients: they are kind to a server in need.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After the first failure; each further one doubles it.
    pub first: Duration,
    pub longest: Duration,
    /// A kind whose definition is missing is looked for this often.
    pub missing: Duration,
    /// A watch that met trouble and then none for so long works again.
    pub settled: Duration,
}

/// The pauses of one watch.
pub(super) struct Pauses {
    pace: Pace,
    next: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            first: Duration::from_millis(800),
            longest: Duration::from_secs(30),
            missing: Duration::from_secs(2),
            settled: Duration::from_secs(6),
        }
    }
}

impl Pauses {
    pub(super) fn new(pace: Pace) -> Pauses {
        Pauses { pace, next: pace.first }
    }

    /// The next pause, up to twice as long, so that many watches don't come back at once.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next.mul_f64(1.0 + fastrand::f64());
        self.next = (self.next * 2).min(self.pace.longest);
        pause.min(self.pace.longest)
    }

    pub(super) fn reset(&mut self) {
        self.next = self.pace.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let mut pauses = Pauses::new(Pace::default());
        assert!(pauses.next() >= Duration::from_millis(800));
        assert!(pauses.next() >= Duration::from_millis(1600));
        for _ in 0..20 {
            assert!(pauses.next() <= Duration::from_secs(30));
        }
        pauses.reset();
        assert!(pauses.next() <= Duration::from_millis(1600));
    }
}
