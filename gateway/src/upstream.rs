//! A named set of targets and how to use it.

pub mod balancer;
pub mod choose;
pub mod connect;
pub mod dns;
pub mod group;
pub mod health;
pub mod http2;
pub mod pool;
pub mod probe;
pub mod retry_budget;
