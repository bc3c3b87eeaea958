//! Subcommands and flags, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::Wanted;
use crate::tools::{ToolUrl, Tools};

/// Where collectors listen for spans over HTTP.
const OTLP_PORT: u16 = 4318;

const EXIT_CODES: &str = "\
Exit codes: 0 passed (scenarios that need something the environment can't do are told as unsupported),
1 failed, 2 wrong arguments or a bad scenario file, 3 the environment is not available or can do nothing
of what was asked, 4 the harness itself failed, 130 interrupted.";

/// Runs scenarios against the gateway in a cluster, and keeps such a cluster for you
#[derive(Debug, Parser)]
#[command(name = "harness", version, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios
    #[command(after_help = EXIT_CODES)]
    Scenarios(ScenariosArgs),
    /// Check scenario files, and the manifests they name, without running them
    #[command(after_help = EXIT_CODES)]
    Validate(ValidateArgs),
    /// Start an environment and leave it running
    #[command(after_help = EXIT_CODES)]
    Up(UpArgs),
    /// Stop the environment that is up
    #[command(after_help = EXIT_CODES)]
    Down,
    /// Apply manifests to the environment that is up, and wait until the gateway serves them
    #[command(after_help = EXIT_CODES)]
    Apply(ApplyArgs),
    /// Send load to the environment that is up, or to any address
    #[command(after_help = EXIT_CODES)]
    Traffic(TrafficArgs),
    /// Say what this machine can run, and how to mend what it can't
    #[command(after_help = EXIT_CODES)]
    Doctor,
    /// Watch the gateway of the environment that is up
    Watch,
    /// Make reports from a recorded run
    #[command(after_help = EXIT_CODES)]
    Report(ReportArgs),
    /// What `up` leaves running
    #[command(hide = true)]
    Keep(KeepArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvironmentName {
    /// A cluster inside of this program; pods are processes. Needs nothing else
    Local,
}

/// Which environment, and of what it is made.
#[derive(Debug, Clone, Args)]
pub struct EnvironmentArgs {
    /// What scenarios run in
    #[arg(long = "env", value_enum, default_value = "local")]
    pub name: EnvironmentName,
}

impl EnvironmentArgs {
    /// As typed, for another process of ours.
    pub fn words(&self) -> Vec<String> {
        let name = self.name.to_possible_value().map(|value| value.get_name().to_owned());
        vec!["--env".to_owned(), name.unwrap_or_default()]
    }
}

#[derive(Debug, Args)]
pub struct ScenariosArgs {
    /// Names of scenarios (`article/routing` or `routing`), folders, tags or files; all when none is given
    pub names: Vec<String>,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    #[command(flatten)]
    pub tools: ToolArgs,
    /// Reports to write, such as junit=out.xml,html=out.html,json=out.jsonl
    #[arg(long, value_name = "FORM=FILE", value_delimiter = ',')]
    pub report: Vec<Wanted>,
    /// Keep the run's folder also when everything passes
    #[arg(long)]
    pub keep: bool,
    /// Only list them
    #[arg(long)]
    pub list: bool,
    /// Tell the stories, what a narrator would say, and every program that is called
    #[arg(long, short)]
    pub verbose: bool,
}

/// Tools that are asked instead of the environment's own; what needs them can run then.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tools of your own")]
pub struct ToolArgs {
    /// Ask this Jaeger about traces, such as `http://127.0.0.1:16686`
    #[arg(long, value_name = "URL")]
    pub jaeger: Option<ToolUrl>,
    /// Where the gateway and the echo send spans, with --jaeger and --env local [default: port 4318 of its host]
    #[arg(long, value_name = "URL", requires = "jaeger")]
    pub otlp: Option<ToolUrl>,
    /// Ask this Kiali about the mesh, such as `http://127.0.0.1:20001/kiali`
    #[arg(long, value_name = "URL")]
    pub kiali: Option<ToolUrl>,
    /// Ask this Prometheus what the mesh has counted, such as `http://127.0.0.1:9090`
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<ToolUrl>,
}

impl ToolArgs {
    pub fn tools(&self) -> Tools {
        let ToolArgs { jaeger, kiali, prometheus, .. } = self.clone();
        Tools { jaeger, prometheus, kiali }
    }

    /// Where spans go, if not to the environment's own Jaeger.
    pub fn spans(&self) -> Option<ToolUrl> {
        self.otlp.clone().or_else(|| Some(self.jaeger.as_ref()?.beside(OTLP_PORT)))
    }
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Scenario files; all below `scenarios/` when none is given
    pub files: Vec<PathBuf>,
    /// Print the JSON schema of scenario files, for your editor
    #[arg(long, exclusive = true)]
    pub schema: bool,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

#[derive(Debug, Args)]
pub struct KeepArgs {
    /// The folder of the run
    #[arg(long)]
    pub folder: PathBuf,
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Manifests, or folders of manifests
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub filename: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TrafficArgs {
    /// What to send, in turn, such as `GET /v2`
    #[arg(default_value = "GET /")]
    pub requests: Vec<String>,
    /// Where to send it, such as 127.0.0.1:8000; the gateway of the environment that is up when absent
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Requests per second, all together
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Connections that are kept open
    #[arg(long, default_value_t = 10)]
    pub clients: u32,
    /// How long, such as 30s
    #[arg(long, default_value = "10s", value_parser = span)]
    pub duration: crate::scenario::values::Span,
    /// The Host field
    #[arg(long)]
    pub host: Option<String>,
    /// Statuses that are no failure; below 500 when absent
    #[arg(long, value_delimiter = ',', value_name = "STATUS")]
    pub statuses: Vec<u16>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A recording, made by `scenarios --report json=FILE`
    pub recording: PathBuf,
    /// Reports to write; without any, the terminal's is printed
    #[arg(long, value_name = "FORM=FILE", value_delimiter = ',')]
    pub report: Vec<Wanted>,
    /// Tell the stories and what a narrator would say
    #[arg(long, short)]
    pub verbose: bool,
}

fn span(text: &str) -> Result<crate::scenario::values::Span, String> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_flags_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
