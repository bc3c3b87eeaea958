//! A named set of targets and how to use it.

pub mod balancer;
pub mod health;
