//! Flags and environment exactly as typed. What they mean is for `settings` to say.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use url::Url;

/// A Kong-compatible ingress gateway.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve traffic. Takes its configuration from a Kubernetes API unless --objects or --config is given.
    #[command(after_help = "Exit codes: 0 stopped on request, 1 failed while running, 2 wrong arguments, \
                            3 an address or the configuration can't be used at start.")]
    Run(Box<RunArgs>),
    /// Judge a declarative file, or Kubernetes objects in a file or a directory, without serving them.
    #[command(after_help = "Exit codes: 0 everything is valid, 1 something is not.")]
    Check(CheckArgs),
    /// Ask an address whether it serves: for health checks of containers, and for tests of an installation.
    #[command(after_help = "Exit codes: 0 the answer's status is below 500, 1 it isn't or there is none.")]
    Probe(ProbeArgs),
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A file in Kong's declarative format, or a file or directory of Kubernetes objects in YAML.
    pub path: PathBuf,
    /// Class of the objects to judge.
    #[arg(long, env = "CONTROLLER_INGRESS_CLASS", default_value = "kong", value_name = "NAME")]
    pub ingress_class: String,
}

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// What to ask for, such as `http://127.0.0.1:8100/ready`.
    pub url: Url,
    /// Ask again for so long while the answer isn't good.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub wait: u64,
    /// Name server to ask, with port. [default: the system's]
    #[arg(long, env = "CLUSTER_DNS", value_name = "ADDRESS")]
    pub dns: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Take Kubernetes objects from the YAML files of this directory, and follow their changes.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub objects: Option<PathBuf>,
    /// Take Kong's declarative file. `POST /config` on the admin port replaces it at run time.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address or port for HTTP, repeatable; `off` for none. [default: 0.0.0.0:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Vec<String>,
    /// Address or port for HTTPS, repeatable; `off` for none. [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS")]
    pub https: Vec<String>,
    /// Address of the admin port, or that port alone. Whoever reaches it reads the configuration.
    /// [default: 127.0.0.1:8001]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Address that answers /live, /ready and /metrics and nothing else, for whoever mustn't reach the admin port: a
    /// port alone, such as 8100, or an address with its port. [default: none]
    #[arg(long, value_name = "ADDRESS")]
    pub health: Option<String>,
    /// Host part of the addresses that are not given.
    #[arg(long, env = "LISTEN_ADDRESS", value_name = "IP")]
    pub listen_address: Option<IpAddr>,
    /// Connections on the HTTP and HTTPS addresses begin with a PROXY header, version 1 or 2. Whoever connects is
    /// believed, unless --trusted-ips says who may be.
    #[arg(long)]
    pub proxy_protocol: bool,

    /// Threads that carry traffic. [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Peers whose X-Forwarded-* and real-ip header are believed, as addresses or CIDR ranges.
    #[arg(long, env = "KONG_TRUSTED_IPS", value_delimiter = ',', value_name = "CIDR", value_parser = network)]
    pub trusted_ips: Vec<IpNet>,
    /// The header in which a trusted peer names the client.
    #[arg(long, env = "KONG_REAL_IP_HEADER", default_value = "X-Real-IP", value_name = "NAME")]
    pub real_ip_header: String,
    /// Of several addresses in that header take the last that is not trusted.
    #[arg(long, env = "KONG_REAL_IP_RECURSIVE", value_parser = switch, default_value = "off", value_name = "on|off")]
    pub real_ip_recursive: bool,
    /// Name server to ask, with port. [default: the system's]
    #[arg(long, env = "CLUSTER_DNS", value_name = "ADDRESS")]
    pub dns: Option<SocketAddr>,
    /// After a signal to stop, keep accepting for so long, until load balancers have noticed.
    #[arg(long, env = "SHUTDOWN_DELAY", default_value_t = 0, value_name = "SECONDS")]
    pub shutdown_delay: u64,
    /// Then let requests under way finish for so long.
    #[arg(long, env = "DRAIN_DEADLINE", default_value_t = 30, value_name = "SECONDS")]
    pub drain_deadline: u64,

    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    #[command(flatten)]
    pub tracing: TracingArgs,

    /// Access log: `off`, or `text` or `json` to standard output, `text=FILE` or `json=FILE` to a file. Text is Kong's:
    /// nginx's combined form with the request's id. A file that is moved away is made anew.
    #[arg(long, env = "ACCESS_LOG", default_value = "text", value_name = "FORM[=FILE]")]
    pub access_log: String,
    /// What to log: error, warn, info, debug, trace, or a filter such as `gateway=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_name = "FILTER", global = true)]
    pub log_level: String,
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// What clients may ask for. The defaults are meant for the edge of a network.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Bytes of a request's first line.
    #[arg(long, default_value_t = 8 << 10, value_name = "BYTES")]
    pub max_request_line: usize,
    /// Bytes of one header line.
    #[arg(long, default_value_t = 8 << 10, value_name = "BYTES")]
    pub max_header_line: usize,
    /// Bytes of a whole header, first line included.
    #[arg(long, default_value_t = 32 << 10, value_name = "BYTES")]
    pub max_header: usize,
    /// Header lines of a request.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub max_header_lines: usize,
    /// Open client connections; what comes beyond is closed at once and counted.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub max_connections: u64,
    /// Requests over one client connection.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub max_requests_per_connection: u32,
    /// Age at which a client connection is closed after the request under way.
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    pub max_connection_age: u64,
    /// Requests at a time over one HTTP/2 connection.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub max_streams: u32,
    /// Bytes of request bodies under way over one HTTP/2 connection, for each request.
    #[arg(long, default_value_t = 64 << 10, value_name = "BYTES")]
    pub stream_window: u32,
    /// The same for all of them together.
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES")]
    pub connection_window: u32,
    /// Requests over one HTTP/2 connection that the client may take back before they were looked at.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub max_pending_resets: usize,
    /// Requests over one HTTP/2 connection, in all its life, that the client may make us refuse by breaking the protocol.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub max_own_resets: usize,
    /// Frames in ten seconds over one HTTP/2 connection, from clients and targets, that carry nothing: pings, settings,
    /// priorities, windows, resets. Answers entitle to more.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub max_control_frames: u32,
    /// How long an HTTP/2 connection may be silent until the client is asked whether it is still there; it has 20 s to
    /// answer.
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    pub ping_interval: u64,
    /// From accept, TLS included, or the first byte of a further request, to the end of the header.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub header_timeout: u64,
    /// In so long some of a request's body has to come.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub body_timeout: u64,
    /// In so long a request has to come whole, however steadily it comes; 0 is no limit, which uploads and streams of
    /// messages need.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub request_timeout: u64,
    /// In so long the client has to take some of an answer.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub write_timeout: u64,
    /// How much *some* is.
    #[arg(long, default_value_t = 64, value_name = "BYTES/S")]
    pub min_rate: u64,
    /// How long a client connection may idle between two requests.
    #[arg(long, default_value_t = 75, value_name = "SECONDS")]
    pub keep_alive_timeout: u64,
    /// Idle connections kept to one target, per worker.
    #[arg(long, env = "KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", default_value_t = 512, value_name = "N")]
    pub upstream_pool_size: usize,
    /// How long they are kept: shorter than targets keep theirs.
    #[arg(long, env = "KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT", default_value_t = 55, value_name = "SECONDS")]
    pub upstream_idle_timeout: u64,
    /// Share of the requests to a service that may be sent again after a target may have begun to work on them, in
    /// percent; ten in a second always may. Attempts that reached nobody don't count.
    #[arg(long, default_value_t = 20, value_name = "PERCENT")]
    pub max_retry_share: u32,
    /// Share of the memory limit from which requests are shed, in percent; 0 never.
    #[arg(long, default_value_t = 98, value_name = "PERCENT")]
    pub shed_at: u8,
}

/// How Kubernetes is watched. Environment names are those of Kong's controller.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Kubeconfig file. [default: KUBECONFIG, ~/.kube/config, then the pod's service account]
    #[arg(long, env = "CONTROLLER_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Class of the objects to take.
    #[arg(long, env = "CONTROLLER_INGRESS_CLASS", default_value = "kong", value_name = "NAME")]
    pub ingress_class: String,
    /// Namespaces to watch. [default: all]
    #[arg(long, env = "CONTROLLER_WATCH_NAMESPACE", value_delimiter = ',', value_name = "NAME")]
    pub watch_namespace: Vec<String>,
    /// Service whose address is written to the status of Ingresses.
    #[arg(long, env = "CONTROLLER_PUBLISH_SERVICE", value_name = "NAMESPACE/NAME")]
    pub publish_service: Option<String>,
    /// Addresses to write there instead.
    #[arg(long, env = "CONTROLLER_PUBLISH_STATUS_ADDRESS", value_delimiter = ',', value_name = "ADDRESS")]
    pub publish_status_address: Vec<String>,
    /// Write status and Events.
    #[arg(long, env = "CONTROLLER_UPDATE_STATUS", value_parser = switch, default_value = "true", value_name = "true|false")]
    pub update_status: bool,
    /// Domain of the cluster, for Services that are addressed by name.
    #[arg(long, env = "CONTROLLER_CLUSTER_DOMAIN", default_value = "", value_name = "DOMAIN")]
    pub cluster_domain: String,
    /// Connections to backends pass an Istio sidecar: report routes that leave under a Host that its mesh doesn't know. Takes
    /// what the injector writes into the pod's annotation `sidecar.istio.io/status`; without it there is no sidecar.
    #[arg(long, env = "SIDECAR_STATUS", hide_env_values = true, value_parser = sidecar, default_value = "off")]
    #[arg(value_name = "on|off|STATUS")]
    pub sidecar: bool,
}

/// How requests are traced. Environment names are those of OpenTelemetry, and of Kong where its plugin is concerned.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tracing")]
pub struct TracingArgs {
    /// Send spans of all requests to this collector, for instance Jaeger at `http://jaeger-collector:4318`; `/v1/traces` is
    /// added. It has to speak OTLP over HTTP, not gRPC. Routes with an `opentelemetry` plugin follow that instead.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// The same as a whole URL, to which nothing is added.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    pub otlp_traces_endpoint: Option<String>,
    /// Headers for that collector: `name=value`, separated by commas, values percent-encoded.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true,
        default_value = "",
        value_name = "HEADERS"
    )]
    pub otlp_headers: String,
    /// What spans call this gateway. [default: kong]
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub service_name: Option<String>,
    /// What spans say of it besides: `key=value`, separated by commas.
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "", value_name = "ATTRIBUTES")]
    pub resource_attributes: String,
    /// Which requests are sampled. `parentbased_…` follows the caller's decision, if there is one.
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_enum, default_value = "parentbased_traceidratio")]
    pub trace_sampler: TraceSampler,
    /// The share of traces that the samplers with a ratio take, from 0 to 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0, value_parser = share, value_name = "SHARE")]
    pub trace_sampling_ratio: f64,
    /// Formats in which the trace goes on to upstreams, besides the one it came in: tracecontext, b3, b3multi, jaeger,
    /// ottrace, xray, datadog, gcp, instana; or none. All of them are understood.
    #[arg(
        long,
        env = "OTEL_PROPAGATORS",
        default_value = "tracecontext",
        value_delimiter = ',',
        value_name = "FORMAT"
    )]
    pub trace_propagation: Vec<String>,
    /// What is recorded, by an `opentelemetry` plugin too: `off`, `all`, or some of `request`, `router`, `balancer`, `plugin_access`,
    /// `plugin_header_filter`, `dns_query`. [default: all with a collector above, else off as in Kong]
    #[arg(long, env = "KONG_TRACING_INSTRUMENTATIONS", value_delimiter = ',', value_name = "KIND")]
    pub tracing_instrumentations: Vec<String>,
    /// The share of traces that `opentelemetry` plugins sample which set none, from 0 to 1.
    #[arg(long, env = "KONG_TRACING_SAMPLING_RATE", default_value_t = 0.01, value_parser = share, value_name = "SHARE")]
    pub tracing_sampling_rate: f64,
}

/// OpenTelemetry's samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TraceSampler {
    AlwaysOn,
    AlwaysOff,
    #[value(name = "traceidratio")]
    TraceIdRatio,
    #[value(name = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    #[value(name = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    #[value(name = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an IP address or a CIDR range such as 10.0.0.0/8".to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

/// The annotation is JSON that names what was injected, and absent, so empty, where nothing was.
fn sidecar(text: &str) -> Result<bool, String> {
    match text.trim() {
        "" => Ok(false),
        status if status.starts_with('{') => Ok(true),
        word => switch(word).map_err(|_| "expected on, off, or the value of the annotation".to_owned()),
    }
}

/// How this instance calls itself: `POD_NAME`, else the host's name.
pub fn instance_name() -> Option<String> {
    std::env::var("POD_NAME").ok().filter(|name| !name.is_empty()).or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
}

/// Namespace and name of the pod this runs in, as the downward API gives them.
pub fn pod() -> Option<(String, String)> {
    let value = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    Some((value("POD_NAMESPACE")?, value("POD_NAME")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_is_known_by_what_its_injector_writes() {
        for (text, expected) in [
            ("", false),
            ("off", false),
            ("on", true),
            (
                r#"{"initContainers":["istio-init","istio-proxy"],"containers":null,"revision":"default"}"#,
                true,
            ),
        ] {
            assert_eq!(sidecar(text), Ok(expected), "{text}");
        }
        assert!(sidecar("injected").unwrap_err().contains("the annotation"));
    }
}
