//! Load by itself: to the environment that is up, or to any address.

use std::net::SocketAddr;

use super::{Failed, print};
use crate::cli::TrafficArgs;
use crate::environment::up::Up;
use crate::http_client::{Outgoing, Target};
use crate::project;
use crate::runner::{FAILED, INTERRUPTED, PASSED, UNAVAILABLE};
use crate::scenario::document::Request;
use crate::scenario::values::Short;
use crate::signals::stop_token;
use crate::traffic::plan::{Plan, Planned};
use crate::traffic::start;

pub(super) async fn traffic(args: TrafficArgs) -> Result<u8, Failed> {
    if !(0.1..=100_000.0).contains(&args.rate) || !(1..=10_000).contains(&args.clients) {
        return Err(Failed::usage("--rate must be from 0.1 to 100000 and --clients from 1 to 10000"));
    }
    let mut requests = Vec::new();
    for text in &args.requests {
        requests.push(Request::from_text(text).map_err(|error| Failed::usage(error.replace(" — ", "; ")))?);
    }
    let to: SocketAddr = if let Some(to) = &args.to {
        to.parse().map_err(|_| {
            Failed::usage(format!("--to {to}: expected an address with a port such as 127.0.0.1:8000"))
        })?
    } else {
        let root = project::root().map_err(Failed::usage)?;
        let up = Up::find(&project::target(&root)).map_err(|error| Failed::new(UNAVAILABLE, error))?;
        up.state.http
    };
    let mut mix = Vec::new();
    for request in requests {
        let host = args.host.clone().unwrap_or_else(|| to.to_string());
        let outgoing = Outgoing {
            method: request.method.clone(),
            path: request.path.clone(),
            host,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        };
        let target = Target { to, from: None, tls: None, http2: false };
        let title = format!("{} {}", request.method, request.path);
        mix.push(Planned { title, target, outgoing, timeout: request.timeout.0 });
    }
    let stop =
        stop_token(true, || "stopped at once".to_owned()).map_err(|error| Failed::new(UNAVAILABLE, error))?;
    let good = (!args.statuses.is_empty()).then(|| args.statuses.clone());
    let duration = Some(args.duration.0);
    let running = start(Plan { rate: args.rate, clients: args.clients, mix, duration, good });
    let summary = running.until(stop.clone().cancelled_owned()).await;
    if args.json {
        print(&format!("{:#}\n", summary.json()));
    } else {
        print(&summary.text());
    }
    Ok(match () {
        () if stop.is_cancelled() => INTERRUPTED,
        () if summary.failed() > 0 => FAILED,
        () => PASSED,
    })
}
