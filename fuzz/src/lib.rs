//! What must hold for any bytes at all: one function for each parser of what strangers send, which panics where it
//! doesn't hold.
//!
//! libFuzzer looks for such bytes for as long as it is left to (README.md); the gateway's tests ask the same functions
//! about the seeds and about some thousand inputs made from them. It uses nothing but what the gateway offers everybody.

pub mod http1_body;
pub mod http1_head;
pub mod proxy_protocol;
pub mod route_match;
