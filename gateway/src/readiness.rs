//! Named conditions that must be met before this gateway wants traffic.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// What is still pending. Ready when nothing is.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<String>>>);

/// A condition that is pending until this is dropped.
pub struct Pending {
    name: String,
    all: Readiness,
}

impl Readiness {
    /// Adds a condition.
    #[must_use]
    pub fn pending(&self, name: impl Into<String>) -> Pending {
        let name = name.into();
        self.0.lock().insert(name.clone());
        Pending { name, all: self.clone() }
    }

    /// What is pending, in words.
    pub fn missing(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_condition_is_met() {
        let readiness = Readiness::default();
        let (first, second) = (readiness.pending("listeners"), readiness.pending("configuration"));
        assert_eq!(readiness.missing(), ["configuration", "listeners"]);
        drop(first);
        assert_eq!(readiness.missing(), ["configuration"]);
        drop(second);
        assert!(readiness.missing().is_empty());
    }
}
