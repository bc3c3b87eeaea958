//! Start: parse the arguments, build the control runtime, run the app, say how it ended.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use gateway::app::{self, AppError};
use gateway::args::{Cli, Command, LogFormat, ProbeArgs};
use gateway::settings::Settings;
use gateway::{check, probe};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for everything that is not traffic.
const CONTROL_THREADS: usize = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Version => {
            print_line(&format!("limen {}", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Command::Check(args) => match check::judge(&args) {
            Ok(summary) => {
                print_line(&summary);
                ExitCode::SUCCESS
            }
            Err(report) => fail(1, &report),
        },
        Command::Probe(args) => ask(&args),
        Command::Run(args) => match Settings::new(*args) {
            Ok(settings) => run(settings),
            Err(error) => fail(2, &error),
        },
    }
}

fn ask(args: &ProbeArgs) -> ExitCode {
    speak_tls();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("failed to start the runtime: {error}")),
    };
    match runtime.block_on(probe::ask(&args.url, Duration::from_secs(args.wait), args.dns)) {
        Ok(answer) => {
            print_line(&answer);
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &error),
    }
}

/// One provider for everything that speaks TLS. A second installation would mean that we run twice.
fn speak_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn run(settings: Settings) -> ExitCode {
    if let Err(error) = start_log(&settings) {
        return fail(2, &error);
    }
    speak_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(3, &format!("failed to start the runtime: {error}")),
    };
    match runtime.block_on(app::run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ AppError::Start(_)) => fail(3, &error.to_string()),
        Err(error @ AppError::Running(_)) => fail(1, &error.to_string()),
    }
}

fn start_log(settings: &Settings) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.log_level)
        .map_err(|error| format!("--log-level {}: {error}", settings.log_level))?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn fail(code: u8, message: &str) -> ExitCode {
    use std::io::Write;
    // There is nobody to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "gateway: {message}");
    ExitCode::from(code)
}

fn print_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
