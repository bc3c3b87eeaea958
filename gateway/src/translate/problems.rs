//! Collects what is wrong while translating. The first things it hears are the store's own: the source's
//! troubles and the objects that can't be read.

use std::collections::BTreeSet;

use crate::model::{Origin, Problem};
use crate::objects::{Kind, ObjectKey};
use crate::store::Store;

/// A set, so that the same thing found on two ways is said once.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeSet<Problem>);

impl Problems {
    pub(super) fn new(store: &Store) -> Problems {
        let of_source = store.faults().iter().map(|fault| Problem {
            origin: Origin::new(fault.place.clone()),
            field: fault.field.clone(),
            message: fault.message.clone(),
            effect: fault.effect.clone(),
            advice: false,
        });
        let mut problems = Problems(of_source.collect());
        for unreadable in store.unreadable() {
            // Plugins are judged with their settings: they fail closed.
            if !matches!(unreadable.key.kind, Kind::KongPlugin | Kind::KongClusterPlugin) {
                let effect = match store.object(&unreadable.key) {
                    Some(_) => "its last readable version still serves",
                    None => "the object is left out",
                };
                problems.add(&unreadable.key, "", format!("can't be read: {}", unreadable.error), effect);
            }
        }
        problems
    }

    /// Blames an object: the field at fault (may be empty), what is wrong, what happens meanwhile.
    pub(super) fn add(
        &mut self,
        object: &ObjectKey,
        field: impl Into<String>,
        message: impl Into<String>,
        effect: impl Into<String>,
    ) {
        self.insert(object, field.into(), message.into(), effect.into(), false);
    }

    /// Says of an object that is served what the gateway can't see to be well.
    pub(super) fn advise(
        &mut self,
        object: &ObjectKey,
        field: impl Into<String>,
        message: impl Into<String>,
        effect: impl Into<String>,
    ) {
        self.insert(object, field.into(), message.into(), effect.into(), true);
    }

    fn insert(&mut self, object: &ObjectKey, field: String, message: String, effect: String, advice: bool) {
        let origin = Origin::new(object.to_string());
        self.0.insert(Problem { origin, field, message, effect, advice });
    }

    pub(super) fn into_sorted(self) -> Vec<Problem> {
        self.0.into_iter().collect()
    }
}

/// The path of an annotation, for [`Problem::field`].
pub(super) fn annotation(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}
