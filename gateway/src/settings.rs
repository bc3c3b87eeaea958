//! What the arguments mean: the checked form, the only one the rest sees.

mod tracing;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::args::{KubernetesArgs, LimitArgs, LogFormat, RunArgs};
use crate::http::http1::parse::{HeadLimits, MOST_FIELDS};
use crate::plugins::opentelemetry::process::TracingSettings;
use crate::proxy::client_address::Trust;
use crate::proxy::listener::ListenAddress;
use crate::proxy::worker::{ConnectionLimits, Http2Limits, Timeouts, TrafficSettings};
use crate::telemetry::access_log::{AccessLogSettings, Format};
use crate::upstream::pool::PoolLimits;

/// Everything that is fixed while the process runs.
#[derive(Debug)]
pub struct Settings {
    pub source: SourceSettings,
    pub listeners: Vec<ListenAddress>,
    pub admin: SocketAddr,
    pub health: Option<SocketAddr>,
    pub workers: usize,
    pub traffic: TrafficSettings,
    pub tracing: TracingSettings,
    pub dns: Option<SocketAddr>,
    pub shutdown_delay: Duration,
    pub drain_deadline: Duration,
    /// Percent of the memory limit from which requests are shed; 0 never.
    pub shed_at: u8,
    /// `None` is off.
    pub access_log: Option<AccessLogSettings>,
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
        let mut listeners = addresses("--http", &args.http, everywhere, 8000)?;
        let clear = listeners.len();
        listeners.extend(addresses("--https", &args.https, everywhere, 8443)?);
        if listeners.is_empty() {
            return Err("--http and --https are both off: there is nothing to serve".to_owned());
        }
        let health = args.health.as_deref().map(|text| address("--health", text, everywhere)).transpose()?;
        let admin = args.admin.as_deref().map(|text| address("--admin", text, nowhere_else)).transpose()?;
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
            admin: admin.unwrap_or(SocketAddr::new(nowhere_else, 8001)),
            health,
            workers,
            traffic: traffic(&args.limits, workers, trust)?,
            tracing: tracing::new(&args.tracing)?,
            dns: args.dns,
            shutdown_delay: Duration::from_secs(args.shutdown_delay),
            drain_deadline: Duration::from_secs(args.drain_deadline),
            shed_at: args.limits.shed_at,
            access_log: access_log(&args.access_log)?,
            log_level: args.log_level,
            log_format: args.log_format,
        })
    }
}

fn traffic(limits: &LimitArgs, workers: usize, trust: Trust) -> Result<TrafficSettings, String> {
    let seconds = |flag: &str, value: u64| match value {
        1..=86_400 => Ok(value * 1_000),
        _ => Err(format!("--{flag} {value}: expected seconds from 1 to 86400")),
    };
    let at_least_one = |flag: &str, value: u64| match value {
        0 => Err(format!("--{flag} 0: expected at least 1")),
        _ => Ok(value),
    };
    if !(1..=MOST_FIELDS).contains(&limits.max_header_lines) {
        return Err(format!(
            "--max-header-lines {}: expected a number from 1 to {MOST_FIELDS}",
            limits.max_header_lines
        ));
    }
    for (flag, value) in [
        ("max-request-line", limits.max_request_line),
        ("max-header-line", limits.max_header_line),
        ("max-header", limits.max_header),
    ] {
        if !(256..=1 << 20).contains(&value) {
            return Err(format!("--{flag} {value}: expected bytes from 256 to 1048576"));
        }
    }
    if limits.max_retry_share > 1_000 {
        return Err(format!("--max-retry-share {}: expected percent from 0 to 1000", limits.max_retry_share));
    }
    if limits.shed_at > 100 {
        return Err(format!("--shed-at {}: expected a percentage", limits.shed_at));
    }
    for (flag, value) in
        [("stream-window", limits.stream_window), ("connection-window", limits.connection_window)]
    {
        // RFC 9113 §6.9.1; less than what a connection begins with can't be asked for.
        if !((64 << 10) - 1..=(1 << 31) - 1).contains(&value) {
            return Err(format!("--{flag} {value}: expected bytes from 65535 to 2147483647"));
        }
    }
    at_least_one("max-streams", limits.max_streams.into())?;
    at_least_one("max-control-frames", limits.max_control_frames.into())?;
    at_least_one("max-requests-per-connection", limits.max_requests_per_connection.into())?;
    let defaults = TrafficSettings::default();
    Ok(TrafficSettings {
        head_limits: HeadLimits {
            line: limits.max_request_line,
            field: limits.max_header_line,
            head: limits.max_header,
            fields: limits.max_header_lines,
        },
        connection_limits: ConnectionLimits {
            requests: limits.max_requests_per_connection,
            age_ms: seconds("max-connection-age", limits.max_connection_age)?,
            // The kernel spreads connections evenly enough.
            open: at_least_one("max-connections", limits.max_connections)?.div_ceil(workers as u64),
        },
        timeouts: Timeouts {
            head_ms: seconds("header-timeout", limits.header_timeout)?,
            body_ms: seconds("body-timeout", limits.body_timeout)?,
            request_ms: match limits.request_timeout {
                0 => 0,
                some => seconds("request-timeout", some)?,
            },
            write_ms: seconds("write-timeout", limits.write_timeout)?,
            least_rate: limits.min_rate,
            keep_alive_ms: seconds("keep-alive-timeout", limits.keep_alive_timeout)?,
        },
        pool: PoolLimits {
            idle: limits.upstream_pool_size,
            idle_ms: seconds("upstream-idle-timeout", limits.upstream_idle_timeout)?,
            ..defaults.pool
        },
        retry_share: limits.max_retry_share,
        http2: Http2Limits {
            streams: limits.max_streams,
            stream_window: limits.stream_window,
            connection_window: limits.connection_window,
            pending_resets: limits.max_pending_resets,
            own_resets: limits.max_own_resets,
            control_frames: limits.max_control_frames,
            ping_interval: Duration::from_millis(seconds("ping-interval", limits.ping_interval)?),
            ..defaults.http2
        },
        trust,
        ..defaults
    })
}

fn access_log(text: &str) -> Result<Option<AccessLogSettings>, String> {
    let (form, file) = match text.split_once('=') {
        Some((form, file)) if !file.is_empty() => (form, Some(PathBuf::from(file))),
        Some(_) => return Err(format!("--access-log {text}: expected the name of a file behind the =")),
        None => (text, None),
    };
    let format = match form {
        "text" => Format::Text,
        "json" => Format::Json,
        "off" if file.is_none() => return Ok(None),
        _ => return Err(format!("--access-log {text}: expected off, text, json, text=FILE or json=FILE")),
    };
    Ok(Some(AccessLogSettings { format, file }))
}

fn addresses(flag: &str, given: &[String], host: IpAddr, default: u16) -> Result<Vec<SocketAddr>, String> {
    match given {
        [] => Ok(vec![SocketAddr::new(host, default)]),
        [only] if only == "off" => Ok(Vec::new()),
        _ => given
            .iter()
            .map(|text| address(flag, text, host).map_err(|error| format!("{error}, or `off`")))
            .collect(),
    }
}

/// A port alone is one of `host`.
fn address(flag: &str, text: &str, host: IpAddr) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port| SocketAddr::new(host, port));
    port.or_else(|_| text.parse()).map_err(|_| {
        format!("{flag} {text}: expected a port such as 8100, or an address such as 0.0.0.0:8100")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port_of_this_host() {
        let here = IpAddr::from([127, 0, 0, 9]);
        let written = |text| address("--health", text, here).map(|address| address.to_string());
        assert_eq!(written("8100").unwrap(), "127.0.0.9:8100");
        assert_eq!(written("0.0.0.0:8100").unwrap(), "0.0.0.0:8100");
        assert_eq!(written("[::]:8100").unwrap(), "[::]:8100");
        for bad in ["", "localhost", "65536", ":8100"] {
            assert!(written(bad).unwrap_err().starts_with("--health "), "{bad}");
        }
    }
}
