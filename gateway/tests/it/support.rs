//! What the cases share.

pub(crate) mod api;
pub(crate) mod checks;
pub(crate) mod gateway;
pub(crate) mod objects;
pub(crate) mod recorder;
