//! What plugins get from outside, and what of theirs outlives a generation.

use tokio::runtime::Handle;

/// One per process. Cloned into every plugin that asks.
#[derive(Clone)]
pub struct Environment {
    /// The control runtime: senders of log entries and other work that must not run on a worker.
    pub runtime: Handle,
}
