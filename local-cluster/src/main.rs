//! The cluster as a program: `local-cluster --kubeconfig FILE`. It runs until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use local_cluster::node::Images;
use local_cluster::node::keeper::become_keeper_if_asked;
use local_cluster::{LocalCluster, NodeOptions, Options};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A Kubernetes API for one machine, with pods as local processes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to write what clients need; removed at the end
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Where the API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A file that holds the administrator's token; one is made when there is none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The program that stands for an image
    #[arg(long, value_name = "NAME=PROGRAM")]
    image: Vec<String>,
    /// Take spans here (OTLP) and answer questions about traces (Jaeger's API)
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    traces: Option<SocketAddr>,
    /// Run no pods
    #[arg(long)]
    no_node: bool,
}

/// Shorter tokens could be guessed.
const SHORTEST_TOKEN: usize = 16;

fn main() -> ExitCode {
    become_keeper_if_asked();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // Before anything is started, so that no signal is missed.
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    let kubeconfig = arguments.kubeconfig.clone();
    let token = arguments.token_file.map(|path| read_token(&path)).transpose()?;
    let mut images = Images::default();
    for image in &arguments.image {
        images.insert_typed(image).map_err(|why| anyhow::anyhow!("failed to read --image {image}: {why}"))?;
    }
    // Gone when it is dropped, after the cluster.
    let directory = tempfile::tempdir().context("failed to make a folder for the files of pods")?;
    let node = (!arguments.no_node).then(|| NodeOptions::new(directory.path().to_owned(), images));
    let options = Options {
        listen: arguments.listen,
        kubeconfig: Some(arguments.kubeconfig),
        token,
        node,
        traces: arguments.traces,
    };
    let cluster = LocalCluster::start(options).await?;
    println!("serving on {}", cluster.url());
    if let Some(address) = cluster.traces() {
        println!("traces on http://{address}: spans in by OTLP, answers out as Jaeger gives them");
    }
    println!("export KUBECONFIG={}", kubeconfig.display());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    cluster.stop().await;
    Ok(())
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let token = text.trim();
    let usable = token.len() >= SHORTEST_TOKEN && token.chars().all(|c| c.is_ascii_graphic());
    anyhow::ensure!(
        usable,
        "the token in {} can't be used: it must have at least {SHORTEST_TOKEN} characters and no spaces",
        path.display()
    );
    Ok(token.to_owned())
}
