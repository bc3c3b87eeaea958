//! Ends pods, and waits until the cluster has noticed, but not for what becomes of it.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::facts::is_ready;
use crate::cluster::settle;
use crate::expect::eventually::eventually;
use crate::manifest::name_of;
use crate::runner::context::Context;
use crate::runner::event::Failure;
use crate::scenario::document::{Kill, KillHow};

/// How long the cluster may take to notice.
const PATIENCE: Duration = Duration::from_secs(10);
const PACE: Duration = Duration::from_millis(20);

pub(super) async fn kill(context: &mut Context, kill: &Kill) -> Result<String, Failure> {
    let pods = settle::pods(&*context.environment, &kill.pods_of).await?;
    let chosen: Vec<&Value> =
        pods.iter().filter(|pod| is_ready(pod)).take(kill.count.unwrap_or(u32::MAX) as usize).collect();
    if chosen.is_empty() {
        return Err(Failure::new(format!("{} has no ready pod to kill", kill.pods_of)));
    }
    let mut names = Vec::new();
    let cluster = context.environment.cluster();
    for pod in chosen {
        let name = name_of(pod);
        match kill.how {
            KillHow::Crash => context.environment.crash(&name.namespace, &name.name).await?,
            KillHow::Delete => {
                cluster.delete(&name, true).await?;
            }
        }
        let noticed = eventually(PATIENCE, PACE, || async {
            match cluster.get(&name).await? {
                Some(now) if is_ready(&now) && life(&now) == life(pod) => {
                    Err(format!("the cluster still takes {name} to be well"))
                }
                _ => Ok(()),
            }
        });
        noticed.await.map_err(|missed| missed.to_string())?;
        names.push(name.name);
    }
    Ok(format!("killed {}", names.join(", ")))
}

/// What changes when a pod is replaced or one of its containers is started again.
fn life(pod: &Value) -> (Option<&Value>, Vec<&Value>) {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let containers = statuses.into_iter().flatten().map(|status| &status["containerID"]);
    (pod.pointer("/metadata/uid"), containers.collect())
}
