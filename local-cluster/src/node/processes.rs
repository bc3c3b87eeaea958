//! Containers as local processes.
//!
//! A process shares this machine with all others, so what a container would find in a world of its own is
//! told to it in other ways:
//!
//! - `LISTEN_ADDRESS` is the pod's address, on which it should listen; `CLUSTER_DNS` is the address, with port,
//!   of the cluster's name server; `KUBECONFIG` and `CONTROLLER_KUBECONFIG` name a file with which the pod's
//!   service account speaks to the API. A pod that sets one of these itself has its own value.
//! - Paths: where an argument or the value of a variable begins with the path of a volume mount (or does so
//!   after its first `=`), that path is replaced by the real folder of the volume. The same goes for
//!   `/var/run/secrets/kubernetes.io/serviceaccount`.
//! - Ports: where pods share one address, an argument or value that is one of the pod's ports, or ends in it
//!   after `:` or `=`, is replaced by the port that was found for it (see `port_map`).
//!
//! Of the cluster's own environment a process gets `PATH` only. CPU and memory limits, users, capabilities and
//! network policies have no effect.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::images::{Images, Invocation};
use super::keeper::{Keeper, exit_code};
use super::log_file::{LogFile, Stream};
use super::runtime::{ContainerStart, Mount, PodPlace, Runtime, Signals, Started};

/// How long output is waited for after a program's end, in case a process that left its group still holds it.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// Of the output of a probe's command so much is kept.
const PROBE_OUTPUT: u64 = 10 * 1024;

pub(crate) struct Processes {
    pub(crate) images: Images,
    pub(crate) keeper: Keeper,
    pub(crate) name_server: Option<SocketAddr>,
}

struct Group(Pid);

impl Signals for Group {
    fn terminate(&self) {
        let _ = killpg(self.0, Signal::SIGTERM);
    }

    fn kill(&self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Runtime for Processes {
    fn image(&self, image: &str) -> Result<String, String> {
        self.images.find(image).map(|program| format!("local-cluster://{}", program.path.display()))
    }

    fn start(&self, start: &ContainerStart) -> Result<Started, String> {
        let invocation = self.images.invocation(&start.image, &start.command, &start.arguments)?;
        let mut command = self.command(start, &invocation)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = invocation.program.display();
        let mut child = command.spawn().map_err(|error| format!("failed to start {program}: {error}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let group = group.ok_or_else(|| format!("failed to start {program}: it ended at once"))?;
        let outputs = Outputs::of(&mut child, &start.log);
        let log = Arc::clone(&start.log);
        let exit = async move {
            // Held until the end: the keeper ends when it is closed.
            let _pipe = child.stdin.take();
            let code = child.wait().await.map_or(126, exit_code);
            Group(group).kill();
            outputs.finish().await;
            log.end();
            code
        };
        Ok(Started { id: format!("process://{group}"), signals: Box::new(Group(group)), exit: exit.boxed() })
    }

    fn execute(
        &self,
        start: &ContainerStart,
        words: &[String],
        limit: Duration,
    ) -> BoxFuture<'static, Result<(i32, String), String>> {
        let command = self
            .images
            .invocation(&start.image, words, &[])
            .and_then(|invocation| self.command(start, &invocation));
        async move {
            let mut command = command?;
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().map_err(|error| error.to_string())?;
            let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
            let _pipe = child.stdin.take();
            let output = child.stdout.take();
            let mut said = String::new();
            let run = async {
                if let Some(output) = output {
                    let _ = output.take(PROBE_OUTPUT).read_to_string(&mut said).await;
                }
                child.wait().await
            };
            let ended = timeout(limit, run).await;
            if let Some(group) = group {
                Group(group).kill();
            }
            match ended {
                Ok(Ok(status)) => Ok((exit_code(status), said)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("command timed out after {limit:?}")),
            }
        }
        .boxed()
    }
}

impl Processes {
    fn command(&self, start: &ContainerStart, invocation: &Invocation) -> Result<Command, String> {
        let rewrite = |word: &str| start.pod.ports.rewrite(&real_path(word, &start.mounts));
        let mut command = self.keeper.command(&start.title, &invocation.program);
        command.args(invocation.arguments.iter().map(|word| rewrite(word)));
        let home = start.pod.folder.join("home");
        let folder =
            start.working_folder.as_deref().map(|folder| PathBuf::from(real_path(folder, &start.mounts)));
        // A folder of an image's own is not here.
        let folder = folder.filter(|folder| folder.is_dir()).unwrap_or_else(|| home.clone());
        std::fs::create_dir_all(&home)
            .map_err(|error| format!("failed to make {}: {error}", home.display()))?;
        command.current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &home);
        command.envs(invocation.environment.iter().map(|(name, value)| (name, value)));
        command.envs(self.told(&start.pod));
        command.envs(start.environment.iter().map(|(name, value)| (name, rewrite(value))));
        command.stdin(Stdio::piped());
        Ok(Command::from(command))
    }

    fn told(&self, pod: &PodPlace) -> Vec<(&'static str, String)> {
        let mut told = vec![("HOSTNAME", pod.hostname.clone())];
        told.extend(pod.address.map(|address| ("LISTEN_ADDRESS", address.to_string())));
        told.extend(self.name_server.map(|address| ("CLUSTER_DNS", address.to_string())));
        for name in ["KUBECONFIG", "CONTROLLER_KUBECONFIG"] {
            told.extend(pod.kubeconfig.as_ref().map(|path| (name, path.display().to_string())));
        }
        told
    }
}

/// The word with the container's path of a mount at its beginning, or after its first `=`, replaced.
fn real_path(word: &str, mounts: &[Mount]) -> String {
    let (before, path) = match word.find('=') {
        Some(at) if !word.starts_with('/') => word.split_at(at + 1),
        _ => ("", word),
    };
    let below = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.container_path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // Of mounts inside one another the innermost counts.
    let mount = mounts.iter().filter(below).max_by_key(|mount| mount.container_path.len());
    mount.map_or_else(
        || word.to_owned(),
        |mount| {
            let rest = &path[mount.container_path.trim_end_matches('/').len()..];
            format!("{before}{}{rest}", Path::new(&mount.path).display())
        },
    )
}

/// The tasks that write a program's output to its log.
struct Outputs(Vec<tokio::task::JoinHandle<()>>);

impl Outputs {
    fn of(child: &mut Child, log: &Arc<LogFile>) -> Outputs {
        let out = child.stdout.take().map(|out| tokio::spawn(Arc::clone(log).take(Stream::Out, out)));
        let err = child.stderr.take().map(|err| tokio::spawn(Arc::clone(log).take(Stream::Err, err)));
        Outputs(out.into_iter().chain(err).collect())
    }

    async fn finish(mut self) {
        let all = futures_util::future::join_all(self.0.iter_mut());
        let _ = timeout(LAST_OUTPUT, all).await;
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mounts_become_real_ones() {
        let mount = |container_path: &str, path: &str| Mount {
            container_path: container_path.to_owned(),
            path: path.into(),
        };
        let mounts = [mount("/etc/gateway", "/run/v/config"), mount("/etc/gateway/tls/", "/run/v/tls")];
        for (word, expected) in [
            ("/etc/gateway/kong.yml", "/run/v/config/kong.yml"),
            ("/etc/gateway", "/run/v/config"),
            ("/etc/gateway/tls/key.pem", "/run/v/tls/key.pem"),
            ("--config=/etc/gateway/kong.yml", "--config=/run/v/config/kong.yml"),
            ("/etc/gateway2/x", "/etc/gateway2/x"),
            ("see /etc/gateway/x", "see /etc/gateway/x"),
            ("8080", "8080"),
        ] {
            assert_eq!(real_path(word, &mounts), expected, "{word}");
        }
    }
}
