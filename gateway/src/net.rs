//! Connections as the data plane uses them: sockets with or without TLS, buffered bytes, coarse deadlines.
//!
//! Everything here belongs to one worker's thread; nothing locks.

pub mod deadline;
pub mod http2;
pub mod io;
pub mod metered;
mod spare;
pub mod trust;
pub mod wire;
