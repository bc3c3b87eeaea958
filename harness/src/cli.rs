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
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
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
    Doctor(DoctorArgs),
    /// Print what clusters are made of: images, and how to name others
    #[command(after_help = EXIT_CODES)]
    Versions(VersionsArgs),
    /// Save all images of an environment into one archive, for machines without network
    #[command(after_help = EXIT_CODES)]
    Bundle(BundleArgs),
    /// Remove what runs that were killed have left: clusters, and what they installed into yours
    #[command(after_help = EXIT_CODES)]
    Gc(GcArgs),
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
    /// A cluster that kind makes in Docker, with Istio and what observes it
    Kind,
    /// The same, made by k3d
    K3d,
    /// A cluster of yours, by a context of your kubeconfig
    Kubeconfig,
}

/// Which environment, and of what it is made.
#[derive(Debug, Clone, Args)]
pub struct EnvironmentArgs {
    /// What scenarios run in
    #[arg(long = "env", value_enum, default_value = "local")]
    pub name: EnvironmentName,
    /// The context of your kubeconfig, for `--env kubeconfig`; the current one when absent
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Go without Istio and what observes it
    #[arg(long)]
    pub no_mesh: bool,
    /// Use the cluster that an earlier run kept, else make one; keep it
    #[arg(long)]
    pub reuse: bool,
    /// An image, or Istio's version, instead of that of `harness versions`
    #[arg(long = "use", value_name = "NAME=IMAGE")]
    pub uses: Vec<String>,
    /// Where images whose names begin so are fetched instead, such as docker.io/=mirror.example/hub/
    #[arg(long, value_name = "BEGINNING=BEGINNING")]
    pub mirror: Vec<String>,
    /// Take images from an archive of `harness bundle`, and build and fetch none
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

impl EnvironmentArgs {
    /// As typed, for another process of ours.
    pub fn words(&self) -> Vec<String> {
        let name = self.name.to_possible_value().map(|value| value.get_name().to_owned());
        let mut words = vec!["--env".to_owned(), name.unwrap_or_default()];
        let mut value = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        self.context.iter().for_each(|context| value("--context", context.clone()));
        self.uses.iter().for_each(|text| value("--use", text.clone()));
        self.mirror.iter().for_each(|text| value("--mirror", text.clone()));
        self.bundle.iter().for_each(|file| value("--bundle", file.display().to_string()));
        words.extend(self.no_mesh.then(|| "--no-mesh".to_owned()));
        words.extend(self.reuse.then(|| "--reuse".to_owned()));
        words
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
pub struct DoctorArgs {
    /// The environment that has to be fit; `local` decides the exit code when none is named
    #[arg(long = "env", value_enum)]
    pub environment: Option<EnvironmentName>,
}

#[derive(Debug, Args)]
pub struct VersionsArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

#[derive(Debug, Args)]
pub struct BundleArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The archive to write
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct GcArgs {
    /// Also what was kept on purpose
    #[arg(long)]
    pub all: bool,
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
