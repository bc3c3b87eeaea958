//! The command line and the environment, as typed and as meant.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    time::Duration,
};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind,
};

use crate::{
    behaviour::{Behaviour, FIELDS, duration, size},
    reply::Instance,
    request_bin::Limits,
    settings::{BinSettings, EchoSettings, Listening},
    spans::SpanSettings,
};

const AFTER_HELP: &str = "\
Everything is echoed: the request as received, then `NAME says OK at TIME`; asked with
`Accept: application/json`, a record of it. WebSocket messages come back as they came.
Each of --delay to --format can be asked for by one request too, as header `X-Echo-Delay: 2s`
or as query parameter `?echo-delay=2s`.

Exit codes: 0 stopped by a signal and drained, 2 wrong arguments, 3 the address can't be
listened on, 4 stopped by a signal with connections cut off at the deadline.";

const BIN_AFTER_HELP: &str = "\
POST, PUT or PATCH to /bin/ID keeps the request; GET /bin/ID/log gives back what was kept
(?since=SEQUENCE&method=&path=&contains=&limit=), DELETE /bin/ID/log empties it.
POST /bin/create makes a bin with an answer of its own; GET /bin lists the bins.
PUT /bin/ID/outage?echo-status=503&requests=3 makes it fail for a while (or for=2s, or until
DELETE /bin/ID/outage).";

/// Answers each request with the request itself, and misbehaves when told to
#[derive(Debug, Parser)]
#[command(name = "echo-service", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Typed {
    /// Port to listen on; 0 takes any that is free
    #[arg(default_value_t = 9000)]
    port: u16,
    /// Name in `NAME says OK at TIME`
    #[arg(default_value = "hello")]
    name: String,
    #[command(flatten)]
    listening: ListeningArgs,
    /// Let --delay to --format apply to every Nth request only
    #[arg(long, value_name = "N", default_value = "1")]
    every: NonZeroU64,
    #[command(flatten)]
    pod: PodArgs,
    #[command(flatten)]
    tracing: TracingArgs,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Keeps what is posted to /bin/ID and gives it back at /bin/ID/log
    #[command(after_help = BIN_AFTER_HELP)]
    Bin(BinArgs),
}

#[derive(Debug, clap::Args)]
struct BinArgs {
    /// Port to listen on; 0 takes any that is free
    #[arg(default_value_t = 9000)]
    port: u16,
    #[command(flatten)]
    listening: ListeningArgs,
    /// Bins at a time
    #[arg(long, value_name = "N", default_value_t = Limits::default().bins, value_parser = at_least_one)]
    max_bins: usize,
    /// Entries in a bin
    #[arg(long, value_name = "N", default_value_t = Limits::default().entries, value_parser = at_least_one)]
    max_entries: usize,
    /// Length of all entries in all bins
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    max_bytes: usize,
    /// Length to which one body is kept
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = parse_size)]
    max_entry_bytes: usize,
}

#[derive(Debug, clap::Args)]
struct ListeningArgs {
    /// Address to listen on
    #[arg(long, value_name = "IP", env = "LISTEN_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen_address: IpAddr,
    /// Serve /live and /ready on this port
    #[arg(long, value_name = "PORT")]
    health_port: Option<u16>,
    /// Let /ready say no for so long after the start
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration, requires = "health_port")]
    unready_for: Duration,
    /// How long exchanges under way may take to finish after SIGTERM or SIGINT
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    drain_deadline: Duration,
}

/// What Kubernetes says of a pod by the usual names; shown in JSON answers.
#[derive(Debug, clap::Args)]
struct PodArgs {
    #[arg(long, env = "POD_NAME", hide = true)]
    pod_name: Option<String>,
    #[arg(long, env = "POD_NAMESPACE", hide = true)]
    pod_namespace: Option<String>,
    #[arg(long, env = "POD_IP", hide = true)]
    pod_ip: Option<String>,
    #[arg(long, env = "HOSTNAME", hide = true)]
    hostname: Option<String>,
}

/// Names in the environment are OpenTelemetry's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tracing")]
struct TracingArgs {
    /// Send a span for each request to this collector, for instance Jaeger at `http://jaeger:4318`
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// The same as a whole URL, to which no `/v1/traces` is added
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    otlp_traces_endpoint: Option<String>,
    /// What spans call this service
    #[arg(long, value_name = "NAME", env = "OTEL_SERVICE_NAME", default_value = "echo-service")]
    service_name: String,
    /// What spans say of it besides: `key=value`, separated by commas
    #[arg(long, value_name = "ATTRIBUTES", env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "")]
    resource_attributes: String,
}

/// What the process is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    Echo(Box<EchoSettings>),
    Bin(BinSettings),
}

impl Settings {
    /// Reads the command line, or ends the process with help or the reason.
    pub fn from_process() -> Self {
        Self::from_arguments(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn from_arguments<A>(arguments: impl IntoIterator<Item = A>) -> Result<Self, clap::Error>
    where
        A: Into<std::ffi::OsString> + Clone,
    {
        let matches = command().try_get_matches_from(arguments)?;
        let typed = Typed::from_arg_matches(&matches)?;
        if let Some(Mode::Bin(bin)) = typed.mode {
            return Ok(Self::Bin(bin.meant()));
        }
        let defaults = asked_by_flags(&matches)?;
        if typed.every.get() > 1 && defaults == Behaviour::default() {
            let why = "failed to apply --every: it needs one of --delay to --format, such as --status 503";
            return Err(command().error(ErrorKind::MissingRequiredArgument, why));
        }
        let instance = typed.pod.meant(typed.name);
        let spans = typed.tracing.meant(&instance);
        let spans = spans.map_err(|bad| command().error(ErrorKind::InvalidValue, bad))?;
        Ok(Self::Echo(Box::new(EchoSettings {
            listening: typed.listening.meant(typed.port),
            instance,
            defaults,
            every: typed.every,
            spans,
        })))
    }
}

/// The flags above, and one for each field of an answer's behaviour.
fn command() -> Command {
    FIELDS.iter().fold(Typed::command(), |command, field| {
        command.arg(
            Arg::new(field.name)
                .long(field.name)
                .value_name("VALUE")
                .action(ArgAction::Append)
                .help_heading("How to answer")
                .help(format!("{}; give it {}", capital(field.effect), field.accepts)),
        )
    })
}

fn asked_by_flags(matches: &ArgMatches) -> Result<Behaviour, clap::Error> {
    let mut asked = Behaviour::default();
    for field in &FIELDS {
        for value in matches.get_many::<String>(field.name).unwrap_or_default() {
            asked
                .ask(&format!("--{}", field.name), "--", value)
                .map_err(|bad| command().error(ErrorKind::InvalidValue, bad))?;
        }
    }
    Ok(asked)
}

impl BinArgs {
    fn meant(self) -> BinSettings {
        BinSettings {
            listening: self.listening.meant(self.port),
            limits: Limits {
                bins: self.max_bins,
                entries: self.max_entries,
                bytes: self.max_bytes,
                entry_bytes: self.max_entry_bytes,
            },
        }
    }
}

impl ListeningArgs {
    fn meant(self, port: u16) -> Listening {
        let at = |port| SocketAddr::new(self.listen_address, port);
        Listening {
            address: at(port),
            health: self.health_port.map(at),
            unready_for: self.unready_for,
            drain_deadline: self.drain_deadline,
        }
    }
}

impl PodArgs {
    fn meant(self, name: String) -> Instance {
        Instance {
            name,
            pod_name: self.pod_name,
            pod_namespace: self.pod_namespace,
            pod_ip: self.pod_ip,
            hostname: self.hostname,
        }
    }
}

impl TracingArgs {
    fn meant(self, instance: &Instance) -> Result<Option<SpanSettings>, String> {
        use traces::environment;

        let endpoints = (self.otlp_traces_endpoint.as_deref(), self.otlp_endpoint.as_deref());
        let Some(url) = environment::endpoint(endpoints.0, endpoints.1) else { return Ok(None) };
        let endpoint: http::Uri = url
            .parse()
            .map_err(|bad| format!("failed to send spans to {url}: {bad}; see --otlp-endpoint"))?;
        if endpoint.scheme_str() != Some("http") || endpoint.authority().is_none() {
            return Err(format!(
                "failed to send spans to {url}: give --otlp-endpoint an http:// URL, such as http://jaeger:4318"
            ));
        }
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut speaker = vec![
            named("service.name", &self.service_name),
            named("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let instance = instance.pod_name.as_ref().or(instance.hostname.as_ref());
        speaker.extend(instance.map(|name| named("service.instance.id", name)));
        let more = environment::pairs(&self.resource_attributes)
            .map_err(|bad| format!("failed to read --resource-attributes: {bad}, such as a=1,b=2"))?;
        speaker.extend(more.into_iter().filter(|(key, _)| key != "service.name"));
        Ok(Some(SpanSettings { endpoint, speaker }))
    }
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text).ok_or("give it a duration up to 1h, such as 250ms or 10s")
}

fn parse_size(text: &str) -> Result<usize, &'static str> {
    let size = size(text).and_then(|size| usize::try_from(size).ok());
    size.ok_or("give it a length such as 500, 64KiB or 1MB")
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("give it a number from 1")
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests;
