//! A named set of targets and how to reach them.

pub mod connect;
pub mod dns;
pub mod pool;
