//! A named set of targets and how to reach them.

pub mod choose;
pub mod connect;
pub mod dns;
pub mod group;
pub mod pool;
