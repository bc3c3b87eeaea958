//! Which scopes have been listed, and which can't be read at present.
//!
//! Until each has been listed once nothing is offered: half of a cluster's objects would look like the other
//! half had been deleted.

use std::collections::BTreeMap;

use crate::model::{Origin, Problem};
use crate::source::{Change, Feed, Scope};

const NOT_YET: &str = "not listed yet";

/// What is known of each scope.
pub(super) struct Barrier {
    /// Not listed yet, and why as far as is known.
    missing: BTreeMap<Scope, String>,
    /// Can't be read at present.
    troubles: BTreeMap<Scope, String>,
    scopes: usize,
}

impl Barrier {
    pub(super) fn new(feed: &Feed) -> Barrier {
        let missing = feed.scopes.iter().map(|scope| (scope.clone(), NOT_YET.to_owned())).collect();
        Barrier { missing, troubles: BTreeMap::new(), scopes: feed.scopes.len() }
    }

    /// Notes what a change says about scopes. True when that is news.
    pub(super) fn note(&mut self, change: &Change) -> bool {
        match change {
            Change::Listed(listings) => {
                let mut news = false;
                for listing in listings {
                    news |= self.missing.remove(&listing.scope).is_some();
                }
                news
            }
            Change::Trouble(scope, reason) => {
                if let Some(missing) = self.missing.get_mut(scope) {
                    missing.clone_from(reason);
                }
                self.troubles.insert(scope.clone(), reason.clone()).as_ref() != Some(reason)
            }
            Change::Restored(scope) => self.troubles.remove(scope).is_some(),
            _ => false,
        }
    }

    pub(super) fn is_passed(&self) -> bool {
        self.missing.is_empty()
    }

    /// What is being waited for, one line for every reason.
    pub(super) fn pending(&self) -> Vec<String> {
        let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (scope, reason) in &self.missing {
            by_reason.entry(reason).or_default().push(scope.to_string());
        }
        by_reason
            .into_iter()
            .map(|(reason, scopes)| {
                if scopes.len() == self.scopes {
                    format!("waiting for all objects: {reason}")
                } else {
                    format!("waiting for {}: {reason}", scopes.join(", "))
                }
            })
            .collect()
    }

    /// Troubles of scopes that were listed before, or count as empty.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.troubles.iter().map(|(scope, reason)| Problem {
            origin: Origin::new(scope.to_string()),
            field: String::new(),
            message: reason.clone(),
            effect: "what was read before still serves".to_owned(),
            advice: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kind;
    use crate::source::{Listing, channel};

    #[test]
    fn waits_for_every_scope_and_says_why() {
        let scopes = [Kind::Ingress, Kind::Service, Kind::Secret].map(Scope::everywhere);
        let (_, feed) = channel(scopes.to_vec());
        let mut barrier = Barrier::new(&feed);
        assert_eq!(barrier.pending(), ["waiting for all objects: not listed yet"]);
        barrier.note(&Change::Trouble(scopes[2].clone(), "forbidden".to_owned()));
        let expected = ["waiting for Secret: forbidden", "waiting for Ingress, Service: not listed yet"];
        assert_eq!(barrier.pending(), expected);
        let listing = |scope: &Scope| Listing { scope: scope.clone(), objects: vec![], unreadable: vec![] };
        barrier.note(&Change::Listed(scopes.iter().map(listing).collect()));
        assert!(barrier.is_passed());
        assert_eq!(barrier.pending(), [""; 0]);
        assert_eq!(barrier.problems().count(), 1);
        barrier.note(&Change::Restored(scopes[2].clone()));
        assert_eq!(barrier.problems().count(), 0);
    }
}
