//! What `up` leaves running: the environment, until somebody asks this process to stop.

use tokio_util::sync::CancellationToken;

use super::{Failed, provider};
use crate::cli::KeepArgs;
use crate::environment::up::{Claim, State};
use crate::environment::{Environment, Observer, Run};
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
    let provider = provider(&args.environment, root, None);
    let run = Run {
        id: args.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        folder: args.folder.clone(),
        tell: super::tell(),
        stop: stop.clone(),
        keep: false,
    };
    let started = async {
        provider.prepare(&run).await?;
        provider.start(args.folder.clone()).await
    };
    let result = tokio::select! {
        environment = started => match environment {
            Ok(environment) => {
                let kept = keep_up(&*environment, provider.name(), &args, &claim, &stop).await;
                environment.stop().await;
                kept.map_err(unavailable)
            }
            Err(error) => Err(unavailable(error.0)),
        },
        () = stop.cancelled() => Ok(INTERRUPTED),
    };
    for left in provider.finish().await {
        eprintln!("left behind: {left}");
    }
    claim.release();
    result
}

/// Tells where it is, and waits until it is to be stopped.
async fn keep_up(
    environment: &dyn Environment,
    provider: &str,
    args: &KeepArgs,
    claim: &Claim,
    stop: &CancellationToken,
) -> Result<u8, String> {
    let state = State {
        pid: std::process::id(),
        environment: provider.to_owned(),
        folder: args.folder.clone(),
        kubeconfig: environment.kubeconfig().to_owned(),
        http: environment.gateway().http,
        https: environment.gateway().https,
        jaeger: environment.observer(Observer::Jaeger).await.ok(),
        since: jiff::Timestamp::now().to_string(),
    };
    claim.announce(&state)?;
    stop.cancelled().await;
    Ok(PASSED)
}
