//! Starts an environment in a process of its own, waits until it is ready, and says how to use it.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use super::{Failed, down, print};
use crate::cli::UpArgs;
use crate::environment::stack;
use crate::environment::up::{State, Up, is_claimed};
use crate::project;
use crate::run_folder::RunFolder;
use crate::runner::{INTERRUPTED, PASSED, UNAVAILABLE};
use crate::signals::stop_token;

/// How often it is looked whether it is ready, and what its process says.
const PACE: Duration = Duration::from_millis(50);

pub(super) async fn up(args: UpArgs) -> Result<u8, Failed> {
    let unavailable = |message: String| Failed::new(UNAVAILABLE, message);
    let root = project::root().map_err(Failed::usage)?;
    let target = project::target(&root);
    if let Ok(up) = Up::find(&target) {
        print(&format!("an environment is up already, since {}\n\n{}", up.state.since, usage(&up.state)));
        return Ok(PASSED);
    }
    if is_claimed(&target) {
        return Err(unavailable("another `harness up` is just starting one".to_owned()));
    }
    let stop = stop_token(true, || "stopped at once".to_owned()).map_err(unavailable)?;
    let folder = RunFolder::create(&target).map_err(unavailable)?;
    let log = folder.path.join("keep.log");
    let mut child = spawn(&args, &folder, &log).map_err(unavailable)?;
    let pid = child.id();
    let ready = async {
        let mut told = 0;
        loop {
            tokio::time::sleep(PACE).await;
            if let Some(up) = Up::find(&target).ok().filter(|up| up.state.folder == folder.path) {
                return up;
            }
            // As far as its lines are whole.
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(end) = text.rfind('\n').filter(|end| *end >= told) {
                print(text.get(told..=end).unwrap_or_default());
                told = end + 1;
            }
        }
    };
    let failure = tokio::select! {
        up = ready => {
            print(&format!("the environment is up\n\n{}", usage(&up.state)));
            return Ok(PASSED);
        }
        ended = child.wait() => {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            Failed::new(UNAVAILABLE, format!("the environment did not start ({ended})\n{}", text.trim_end()))
        }
        () = stop.cancelled() => Failed::new(INTERRUPTED, "interrupted; the environment is stopped"),
    };
    if let Some(pid) = pid {
        // It may have ended by itself.
        let _ = down::stop(pid);
    }
    let _ = child.wait().await;
    let kept = if failure.code == INTERRUPTED {
        folder.remove();
        String::new()
    } else {
        format!("\nits log is {}", log.display())
    };
    Err(Failed { message: format!("{}{kept}", failure.message), ..failure })
}

/// In a process group of its own, so that Ctrl-C here later doesn't reach it.
fn spawn(args: &UpArgs, folder: &RunFolder, log: &std::path::Path) -> Result<tokio::process::Child, String> {
    let failed = |error: std::io::Error| format!("failed to start the environment's process: {error}");
    let own = std::env::current_exe().map_err(failed)?;
    let out = File::create(log).map_err(failed)?;
    let errors = out.try_clone().map_err(failed)?;
    let mut command = tokio::process::Command::new(own);
    command.arg("keep").arg("--folder").arg(&folder.path).args(args.environment.words());
    command.stdin(Stdio::null()).stdout(out).stderr(errors);
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(failed)
}

/// What one types next: the article's own commands.
fn usage(state: &State) -> String {
    let kubeconfig = state.kubeconfig.display();
    let http = state.http;
    let url = if http.port() == 80 { format!("http://{}", http.ip()) } else { format!("http://{http}") };
    let jaeger = state
        .jaeger
        .as_ref()
        .map(|jaeger| format!("traces      {jaeger}/api/traces?service={}\n", stack::GATEWAY));
    let jaeger = jaeger.unwrap_or_default();
    format!(
        "gateway     {url}\n\
         {jaeger}\
         kubeconfig  {kubeconfig}\n\
         \n\
         Next, as in the article:\n\
         \n\
         \x20 export KUBECONFIG={kubeconfig}\n\
         \x20 kubectl get svc/kong-istio-kong-proxy -n kong-istio\n\
         \x20 kubectl apply -f manifests/article/echo-service.yaml\n\
         \x20 kubectl apply -f manifests/article/ingress.yaml\n\
         \x20 curl -i {url}/\n\
         \x20 curl -i {url}/v2\n\
         \x20 kubectl apply -f manifests/article/rate-limit-plugin.yaml -f manifests/article/rate-limit-ingress.yaml\n\
         \n\
         Watch it with `harness watch`, load it with `harness traffic`, stop it with `harness down`.\n"
    )
}
