//! The proxies, configured alike: N routes by prefix to one upstream with kept connections, forwarding headers
//! added, access log on where there is one, one worker.

mod envoy;
mod haproxy;
mod limen;
mod nginx;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::case::{Protocol, Setup};
use crate::process::{Program, free_port, local};

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Limen,
    Nginx,
    Haproxy,
    Envoy,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Limen => "limen",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
            Peer::Envoy => "envoy",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Peer> {
        [Peer::Nginx, Peer::Haproxy, Peer::Envoy].into_iter().find(|peer| peer.name() == name)
    }
}

/// What a start needs to know.
pub(crate) struct Start<'a> {
    pub setup: Setup,
    pub upstream: u16,
    /// Takes the peer's files and output; emptied by the caller.
    pub folder: &'a Path,
    pub certificate: &'a Certificate,
    pub gateway: &'a Path,
    /// Of the gateway; peers always have one.
    pub workers: usize,
    /// Whether somebody watches the gateway's feed.
    pub watched: bool,
}

/// A certificate for `localhost`, as files.
pub(crate) struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub joined: PathBuf,
    pub chain_pem: String,
    pub key_pem: String,
}

impl Certificate {
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Certificate> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (chain_pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
        let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
            Ok(path)
        };
        Ok(Certificate {
            chain: write("chain.pem", &chain_pem)?,
            key: write("key.pem", &key_pem)?,
            joined: write("joined.pem", &format!("{chain_pem}{key_pem}"))?,
            chain_pem,
            key_pem,
        })
    }
}

/// A proxy that serves.
pub(crate) struct Running {
    pub peer: Peer,
    pub program: Program,
    ports: Ports,
    /// Keeps the gateway's feed watched.
    viewer: Option<limen::Viewer>,
}

/// Where a proxy listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub http: u16,
    /// The same port as `http` where the proxy tells the protocols apart.
    pub h2c: u16,
    pub tls: u16,
}

impl Ports {
    fn free() -> anyhow::Result<Ports> {
        Ok(Ports { http: free_port()?, h2c: free_port()?, tls: free_port()? })
    }
}

impl Running {
    /// The number of the configuration that the gateway serves by. Peers have none.
    pub(crate) fn generation(&self) -> anyhow::Result<u64> {
        self.viewer.as_ref().map_or(Ok(0), limen::Viewer::generation)
    }

    pub(crate) fn address(&self, protocol: Protocol) -> SocketAddr {
        local(match protocol {
            Protocol::Http1 => self.ports.http,
            Protocol::H2c => self.ports.h2c,
            Protocol::Tls | Protocol::H2 => self.ports.tls,
        })
    }
}

/// Starts a proxy.
pub(crate) fn start(peer: Peer, start: &Start<'_>) -> anyhow::Result<Running> {
    std::fs::create_dir_all(start.folder)?;
    let ports = Ports::free()?;
    match peer {
        Peer::Limen => limen::start(start, ports),
        Peer::Nginx => nginx::start(start, ports),
        Peer::Haproxy => haproxy::start(start, ports),
        Peer::Envoy => envoy::start(start, ports),
    }
    .with_context(|| format!("failed to start {}", peer.name()))
}

/// Writes a configuration file.
fn write(start: &Start<'_>, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = start.folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
