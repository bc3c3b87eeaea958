//! What a server is to be, checked; made from the command line, or by tests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    time::Duration,
};

use crate::{behaviour::Behaviour, reply::Instance, request_bin::Limits, spans::SpanSettings};

/// Where to listen and how to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Listening {
    pub address: SocketAddr,
    /// Where `/live` and `/ready` are served, if anywhere.
    pub health: Option<SocketAddr>,
    /// How long `/ready` says no after the start.
    pub unready_for: Duration,
    /// How long exchanges under way may take once the server is stopped.
    pub drain_deadline: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EchoSettings {
    pub listening: Listening,
    pub instance: Instance,
    /// How to answer where a request doesn't say otherwise …
    pub defaults: Behaviour,
    /// … and to which requests that applies: each, every second one, …
    pub every: NonZeroU64,
    /// Where spans of requests go, if anywhere.
    pub spans: Option<SpanSettings>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinSettings {
    pub listening: Listening,
    pub limits: Limits,
}

/// Any free port of 127.0.0.1, and ten seconds to drain.
impl Default for Listening {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            health: None,
            unready_for: Duration::ZERO,
            drain_deadline: Duration::from_secs(10),
        }
    }
}

impl EchoSettings {
    /// A faithful echo of this name, listening where [`Listening::default`] does.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            listening: Listening::default(),
            instance: Instance { name: name.into(), ..Instance::default() },
            defaults: Behaviour::default(),
            every: NonZeroU64::MIN,
            spans: None,
        }
    }
}
