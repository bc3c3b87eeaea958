//! What the arguments mean: the checked form, the only one the rest sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::args::{KubernetesArgs, LogFormat, RunArgs};
use crate::proxy::client_address::Trust;
use crate::proxy::listener::ListenAddress;
use crate::proxy::worker::TrafficSettings;

/// Everything that is fixed while the process runs.
#[derive(Debug)]
pub struct Settings {
    pub source: SourceSettings,
    pub listeners: Vec<ListenAddress>,
    pub admin: SocketAddr,
    pub health: Option<SocketAddr>,
    pub workers: usize,
    pub traffic: TrafficSettings,
    pub dns: Option<SocketAddr>,
    pub shutdown_delay: Duration,
    pub drain_deadline: Duration,
    pub log_level: String,
    pub log_format: LogFormat,
}

/// Where the configuration comes from.
#[derive(Debug)]
pub enum SourceSettings {
    Kubernetes(KubernetesArgs),
    Directory { path: PathBuf, kubernetes: KubernetesArgs },
    Declarative(PathBuf),
}

impl SourceSettings {
    /// The word for it in `/status`.
    pub fn name(&self) -> &'static str {
        match self {
            SourceSettings::Kubernetes(_) => "kubernetes",
            SourceSettings::Directory { .. } => "directory",
            SourceSettings::Declarative(_) => "declarative",
        }
    }
}

impl Settings {
    /// # Errors
    /// Names the flag and what it accepts.
    pub fn new(args: RunArgs) -> Result<Settings, String> {
        let everywhere = args.listen_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let nowhere_else = args.listen_address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut listeners = addresses("--http", &args.http, SocketAddr::new(everywhere, 8000))?;
        let clear = listeners.len();
        listeners.extend(addresses("--https", &args.https, SocketAddr::new(everywhere, 8443))?);
        if listeners.is_empty() {
            return Err("--http and --https are both off: there is nothing to serve".to_owned());
        }
        let health = args.health.as_deref().map(|text| health(text, everywhere)).transpose()?;
        let listeners = listeners.into_iter().enumerate().map(|(at, address)| ListenAddress {
            address,
            tls: at >= clear,
            proxy_protocol: args.proxy_protocol,
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = args.workers.unwrap_or(cores);
        if !(1..=1024).contains(&workers) {
            return Err(format!("--workers {workers}: expected a number from 1 to 1024"));
        }
        let trust =
            Trust { peers: args.trusted_ips, header: args.real_ip_header, recursive: args.real_ip_recursive };
        Ok(Settings {
            source: match (args.objects, args.config) {
                (Some(path), _) => SourceSettings::Directory { path, kubernetes: args.kubernetes },
                (_, Some(path)) => SourceSettings::Declarative(path),
                _ => SourceSettings::Kubernetes(args.kubernetes),
            },
            listeners: listeners.collect(),
            admin: args.admin.unwrap_or(SocketAddr::new(nowhere_else, 8001)),
            health,
            workers,
            traffic: TrafficSettings { trust, ..TrafficSettings::default() },
            dns: args.dns,
            shutdown_delay: Duration::from_secs(args.shutdown_delay),
            drain_deadline: Duration::from_secs(args.drain_deadline),
            log_level: args.log_level,
            log_format: args.log_format,
        })
    }
}

fn addresses(flag: &str, given: &[String], default: SocketAddr) -> Result<Vec<SocketAddr>, String> {
    match given {
        [] => Ok(vec![default]),
        [only] if only == "off" => Ok(Vec::new()),
        _ => given
            .iter()
            .map(|text| {
                text.parse().map_err(|_| {
                    format!("{flag} {text}: expected an address with a port such as 0.0.0.0:8000, or `off`")
                })
            })
            .collect(),
    }
}

/// A port alone is one of the host that all listen on.
fn health(text: &str, everywhere: IpAddr) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port| SocketAddr::new(everywhere, port));
    port.or_else(|_| text.parse()).map_err(|_| {
        format!("--health {text}: expected a port such as 8100, or an address such as 0.0.0.0:8100")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_a_port_of_this_host_or_an_address() {
        let here = IpAddr::from([127, 0, 0, 9]);
        let written = |text| health(text, here).map(|address| address.to_string());
        assert_eq!(written("8100").unwrap(), "127.0.0.9:8100");
        assert_eq!(written("0.0.0.0:8100").unwrap(), "0.0.0.0:8100");
        assert_eq!(written("[::]:8100").unwrap(), "[::]:8100");
        for bad in ["", "localhost", "65536", ":8100"] {
            assert!(written(bad).unwrap_err().starts_with("--health "), "{bad}");
        }
    }
}
