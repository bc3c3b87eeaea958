//! Starts what the arguments say, stops on a signal.

mod signals;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use echo_service::{Running, Stopped, args::Settings, serve, serve_bin};
use signals::Signals;

#[tokio::main]
async fn main() -> ExitCode {
    // Before anyone is told that we listen: from then on a signal means "drain".
    let mut signals = Signals::install();
    let (name, running) = match Settings::from_process() {
        Settings::Echo(settings) => (settings.instance.name.clone(), serve(*settings).await),
        Settings::Bin(settings) => ("bin".to_owned(), serve_bin(settings).await),
    };
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(3);
        }
    };
    announce(&name, &running);
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("asked to stop a second time: not waiting any longer");
        std::process::exit(4);
    });
    match running.stop().await {
        Stopped::Drained => ExitCode::SUCCESS,
        Stopped::CutOff(connections) => {
            eprintln!(
                "stopped with {connections} connections still busy at the deadline; see --drain-deadline"
            );
            ExitCode::from(4)
        }
    }
}

fn announce(name: &str, running: &Running) {
    let mut out = io::stdout();
    // Who closed our output doesn't want to know.
    let _ = writeln!(out, "{name} listens on {} (HTTP/1.1 and cleartext HTTP/2)", running.address());
    if let Some(address) = running.health_address() {
        let _ = writeln!(out, "{name} tells of its health on {address} (/live and /ready)");
    }
}
