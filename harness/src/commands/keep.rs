//! What `up` leaves running: the environment, until somebody asks this process to stop.

use super::{Failed, provider};
use crate::cli::{EnvironmentName, KeepArgs};
use crate::environment::up::{Claim, State};
use crate::project;
use crate::runner::{INTERRUPTED, PASSED, UNAVAILABLE};
use crate::signals::stop_token;

pub(super) async fn keep(args: KeepArgs) -> Result<u8, Failed> {
    let unavailable = |message: String| Failed::new(UNAVAILABLE, message);
    let root = project::root().map_err(Failed::usage)?;
    crate::log::to_file(&args.folder.join("harness.log")).map_err(unavailable)?;
    // A terminal that goes away is no reason to stop.
    let stop = stop_token(false, || "stopped at once".to_owned()).map_err(unavailable)?;
    let claim = Claim::take(&project::target(&root)).map_err(unavailable)?;
    let provider = provider(EnvironmentName::Local, root);
    let tell = |text: String| eprintln!("{text}");
    provider.prepare(&tell).await.map_err(|error| unavailable(error.0))?;
    let environment = tokio::select! {
        environment = provider.start(args.folder.clone()) => environment.map_err(|error| unavailable(error.0))?,
        () = stop.cancelled() => return Ok(INTERRUPTED),
    };
    let state = State {
        pid: std::process::id(),
        folder: args.folder.clone(),
        kubeconfig: environment.kubeconfig().to_owned(),
        http: environment.gateway().http,
        https: environment.gateway().https,
        since: jiff::Timestamp::now().to_string(),
    };
    let told = claim.announce(&state);
    if told.is_ok() {
        stop.cancelled().await;
    }
    environment.stop().await;
    claim.release();
    told.map_err(unavailable)?;
    Ok(PASSED)
}
