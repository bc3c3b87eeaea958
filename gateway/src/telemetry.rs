//! What is recorded about exchanges and where it goes: counters always, samples when somebody watches.

pub mod counters;
pub mod feed;
pub mod metrics;
pub mod spans;
pub mod stats;
