//! The words spoken on the gateway's admin port, shared by the gateway, the harness and the dashboard.
//!
//! Plain data and arithmetic only; nothing here opens a socket unless the feature `client` is on.
//! A change to a type in this crate is a change to the admin port's contract.

pub mod feed;
pub mod histogram;
pub mod metric_names;
pub mod reason;
pub mod status;

#[cfg(feature = "client")]
pub mod client;

pub use feed::{Exchange, FeedMessage, Hello, Totals};
pub use histogram::Histogram;
pub use reason::Reason;
pub use status::{ObjectVersion, Problem, Status, WaitRequest};
