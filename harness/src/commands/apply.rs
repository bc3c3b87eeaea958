//! Applies manifests to the environment that is up, and says when the gateway serves them and what is wrong.

use super::{Failed, print};
use crate::cli::ApplyArgs;
use crate::cluster::settle::{Changed, settle};
use crate::environment::up::Up;
use crate::manifest;
use crate::project;
use crate::runner::{FAILED, PASSED, UNAVAILABLE};
use crate::step::problem_text;

pub(super) async fn apply(args: ApplyArgs) -> Result<u8, Failed> {
    let mut objects = Vec::new();
    for file in &args.filename {
        objects.extend(manifest::read(file).map_err(Failed::usage)?);
    }
    let root = project::root().map_err(Failed::usage)?;
    let unavailable = |error: String| Failed::new(UNAVAILABLE, error);
    let up = Up::find(&project::target(&root)).map_err(unavailable)?;
    let environment = up.attach().await.map_err(unavailable)?;
    let mut changed = Changed::default();
    for object in &objects {
        let stored = environment.cluster().apply(object.value()).await;
        changed.stored.push(stored.map_err(|error| Failed::new(FAILED, error))?);
        print(&format!("applied {}\n", object.name()));
    }
    let settled = settle(&*environment, &changed).await.map_err(|error| Failed::new(FAILED, error))?;
    for problem in &settled.problems {
        print(&format!("problem: {}\n", problem_text(problem)));
    }
    if !settled.problems.is_empty() {
        return Err(Failed::new(FAILED, format!("the gateway reports {} problems", settled.problems.len())));
    }
    match settled.generation {
        0 | u64::MAX => print("nothing of it concerns the gateway\n"),
        generation => print(&format!("served as generation {generation}\n")),
    }
    Ok(PASSED)
}
