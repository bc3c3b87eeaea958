//! Removes what runs that were killed have left, and nothing of anybody else: what runs that are alive use, and what was kept on
//! purpose, stays.

use super::{Failed, print, tell};
use crate::cli::GcArgs;
use crate::cluster::changes::Changes;
use crate::cluster::kubernetes::Kubernetes;
use crate::environment::docker::{Docker, Engine};
use crate::environment::maker::{Maker, PREFIX, Site};
use crate::environment::records::{Held, Records};
use crate::environment::stack;
use crate::process::Caller;
use crate::project;
use crate::runner::{FAILED, PASSED, UNAVAILABLE};

const MAKERS: [Maker; 2] = [Maker::Kind, Maker::K3d];

pub(super) async fn gc(args: &GcArgs) -> Result<u8, Failed> {
    let unavailable = |error: String| Failed::new(UNAVAILABLE, error);
    let records = Records::open().map_err(unavailable)?;
    let log = project::root().map(|root| project::target(&root).join("gc.log")).map_err(Failed::usage)?;
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| unavailable(format!("failed to make {}: {error}", folder.display())))?;
    }
    let (mut removed, mut failures, mut known) = (0, Vec::new(), Vec::new());
    for (record, held) in records.all() {
        known.push(record.name.clone());
        let about = format!("{} {}, since {}", record.environment, record.name, record.since);
        match held {
            None => print(&format!("in use       {about}\n")),
            Some(_) if record.kept && !args.all => {
                print(&format!("kept         {about}; `harness gc --all` removes it\n"));
            }
            Some(held) => {
                let caller = Caller::new(&log, None, tell()).map_err(unavailable)?;
                let caller = caller.with("KUBECONFIG", record.kubeconfig.as_os_str());
                match remove(&caller, held).await {
                    Ok(()) => {
                        removed += 1;
                        print(&format!("removed      {about}\n"));
                    }
                    Err(error) => failures.push(format!("{about}: {error}")),
                }
            }
        }
    }
    let caller = Caller::new(&log, None, tell()).map_err(unavailable)?;
    for maker in MAKERS {
        // Without Docker there is nothing of it.
        for name in maker.clusters(&caller).await.unwrap_or_default() {
            if name.starts_with(PREFIX) && !known.contains(&name) {
                let command = maker.removal(&name);
                print(&format!(
                    "unknown      {} {name}: made by another user, or before this machine started; to remove it: {command}\n",
                    maker.name()
                ));
            }
        }
    }
    if failures.is_empty() {
        print(&format!("{removed} removed\n"));
        return Ok(PASSED);
    }
    Err(Failed::new(FAILED, failures.join("\n")))
}

async fn remove(caller: &Caller, held: Held) -> Result<(), String> {
    let record = held.record.clone();
    if let Some(maker) = MAKERS.into_iter().find(|maker| maker.name() == record.environment) {
        let engine: Engine = Docker(caller).engine().await?;
        let site = Site {
            maker,
            caller,
            engine: &engine,
            name: record.name.clone(),
            folder: held.folder().to_owned(),
            kubeconfig: record.kubeconfig.clone(),
            seed: None,
        };
        site.delete().await?;
        held.forget();
        return Ok(());
    }
    let changes = held.folder().join("changes");
    if !changes.is_file() {
        // It was killed before it changed anything.
        held.forget();
        return Ok(());
    }
    let cluster = std::sync::Arc::new(Kubernetes::open(&record.kubeconfig).await?);
    // One that can't be reached is not one that is clean.
    crate::cluster::Cluster::list(&*cluster, "Namespace", "", "").await?;
    let stack = Changes::new(cluster, Vec::new(), Vec::new());
    stack.recall(&changes)?;
    let left = stack::raze(caller, &stack, &record.kubeconfig).await;
    if !left.is_empty() {
        return Err(left.join("; "));
    }
    held.forget();
    Ok(())
}
