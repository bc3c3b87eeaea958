//! The whole routing configuration as plain data, in Kong's nouns.
//!
//! Both sources end here: `translate` makes a model from Kubernetes objects, `declarative` from Kong's file.
//! Everything in it has been checked; nothing behind it judges a string again. Values compare equal when
//! nothing that traffic could notice has changed, and serialise in the shape of Kong's own entities.

pub mod ca_certificate;
pub mod certificate;
pub mod consumer;
pub mod origin;
pub mod plugin;
pub mod problem;
pub mod protocol;
pub mod route;
pub mod secret;
pub mod service;
pub mod upstream;

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::{Uuid, uuid};

pub use ca_certificate::CaCertificate;
pub use certificate::Certificate;
pub use consumer::{Consumer, Credential, CredentialKind};
pub use origin::Origin;
pub use plugin::{Plugin, Scope};
pub use problem::Problem;
pub use protocol::Protocol;
pub use route::{PathHandling, Route, RoutePath};
pub use secret::Secret;
pub use service::Service;
pub use upstream::{Algorithm, HashOn, Target, Upstream};

/// Kong's default workspace, which its log entries and entities name.
pub const WORKSPACE: Uuid = uuid!("0dc6f45b-8f8d-40d2-a504-473544ee190b");

/// Everything that decides what happens to a request. Entities are keyed by id, so the order in which objects
/// were seen never shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Model {
    pub services: BTreeMap<Uuid, Service>,
    pub routes: BTreeMap<Uuid, Route>,
    pub upstreams: BTreeMap<Uuid, Upstream>,
    pub consumers: BTreeMap<Uuid, Consumer>,
    pub plugins: BTreeMap<Uuid, Plugin>,
    pub certificates: BTreeMap<Uuid, Certificate>,
    pub ca_certificates: BTreeMap<Uuid, CaCertificate>,
}
