//! A Kubernetes API for one machine, in one process: a real HTTP API for `kubectl`, `helm` and `kube`, the few
//! controllers that are needed, and pods run as local processes. In memory; started and stopped in
//! milliseconds; nothing is left behind.
//!
//! It is not a Kubernetes distribution: there is one node, nothing survives a stop, and whoever holds the
//! kubeconfig may do everything.
//!
//! ```text
//! api (HTTP) ──→ objects (verbs, one set of rules) ──→ store (versions, history)
//!                   ↑                ↑
//!             controllers           node ──→ processes
//! ```

mod api;
mod cel;
mod cluster;
pub mod controllers;
mod credentials;
mod definitions;
mod events;
pub mod failure;
mod json;
mod kinds;
mod labels;
pub mod node;
pub mod objects;
mod ownership;
mod patch;
mod resources;
mod schema;
mod selector;
mod store;
pub mod traces;
mod wire;
mod yaml;

pub use api::{Fault, Faults};
pub use cluster::{LocalCluster, NodeOptions, Options, StartError};
