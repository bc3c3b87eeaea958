//! The subcommands: each gives an exit code, and says on the standard error why it isn't 0.

mod apply;
mod bundle;
mod doctor;
mod down;
mod gc;
mod keep;
mod report;
mod scenarios;
mod traffic;
mod up;
mod validate;
mod versions;
mod watch;

use std::io::Write;

use crate::cli::{Command, EnvironmentArgs, EnvironmentName};
use crate::environment::Provider;
use crate::environment::local::Local;
use crate::environment::maker::Maker;
use crate::environment::real::Real;
use crate::runner::USAGE;
use crate::tools::ToolUrl;

/// Why a command did not do what it was asked for.
pub struct Failed {
    pub code: u8,
    pub message: String,
}

impl Failed {
    fn new(code: u8, message: impl Into<String>) -> Failed {
        Failed { code, message: message.into() }
    }

    /// What was typed makes no sense here.
    fn usage(message: impl Into<String>) -> Failed {
        Failed::new(USAGE, message)
    }
}

/// Does what was asked for and gives the exit code.
pub async fn perform(command: Command) -> u8 {
    let done = match command {
        Command::Scenarios(args) => scenarios::scenarios(args).await,
        Command::Validate(args) => validate::validate(&args),
        Command::Up(args) => up::up(args).await,
        Command::Down => down::down().await,
        Command::Apply(args) => apply::apply(args).await,
        Command::Traffic(args) => traffic::traffic(args).await,
        Command::Doctor(args) => doctor::doctor(&args).await,
        Command::Versions(args) => versions::versions(&args).await,
        Command::Bundle(args) => bundle::bundle(args).await,
        Command::Gc(args) => gc::gc(&args).await,
        Command::Watch => watch::watch().await,
        Command::Report(args) => report::report(&args),
        Command::Keep(args) => keep::keep(args).await,
    };
    done.unwrap_or_else(|failed| {
        if !failed.message.is_empty() {
            // There is nobody to tell when the standard error is gone.
            let _ = writeln!(std::io::stderr(), "harness: {}", failed.message);
        }
        failed.code
    })
}

/// Writes to the standard output; that nobody reads it is no failure.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Tells on the standard error what is done.
fn tell() -> crate::environment::Tell {
    std::sync::Arc::new(|told| {
        if let crate::environment::Told::Step(text) = told {
            eprintln!("{text}");
        }
    })
}

/// `spans` is where pods of the environment `local` send theirs, if not to the environment itself.
fn provider(
    asked: &EnvironmentArgs,
    root: std::path::PathBuf,
    spans: Option<ToolUrl>,
) -> std::sync::Arc<dyn Provider> {
    let real = |maker| -> std::sync::Arc<dyn Provider> {
        std::sync::Arc::new(Real::new(maker, asked.clone(), root.clone()))
    };
    match asked.name {
        EnvironmentName::Local => std::sync::Arc::new(Local::new(root, spans)),
        EnvironmentName::Kind => real(Some(Maker::Kind)),
        EnvironmentName::K3d => real(Some(Maker::K3d)),
        EnvironmentName::Kubeconfig => real(None),
    }
}
