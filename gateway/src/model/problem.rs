//! What was wrong with which object, and what was done instead.

use serde::Serialize;

use super::Origin;

/// One thing wrong with one object. It costs that object, never its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    pub origin: Origin,
    /// Path of the field at fault; empty when the whole object is.
    pub field: String,
    /// What is wrong, and what to do about it.
    pub message: String,
    /// What the gateway does meanwhile.
    pub effect: String,
    /// The object is served as it is written; what it lacks shows only with what the gateway can't see.
    pub advice: bool,
}
