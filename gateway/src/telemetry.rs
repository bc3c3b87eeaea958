//! What is recorded about exchanges and where it goes: counters always, samples when somebody watches, lines of the
//! access log unless it is off.

pub mod access_log;
pub mod counters;
pub mod feed;
pub mod metrics;
pub mod spans;
pub mod stats;
