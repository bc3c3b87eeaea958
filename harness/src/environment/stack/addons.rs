//! Jaeger, Prometheus and Kiali, from `manifests/addons`.

use std::time::Duration;

use super::{Ground, rolled_out};
use crate::cluster::Cluster;
use crate::environment::progress::wait_for;
use crate::manifest;

/// How long the API server may refuse one of their objects: what is asked about it may not listen yet.
const TAKEN: Duration = Duration::from_secs(30);

pub(super) async fn install(ground: &Ground<'_>) -> Result<(), String> {
    ground.run.tell("Jaeger, Prometheus and Kiali");
    let objects = manifest::read(&ground.root.join("manifests/addons"))?;
    for object in &objects {
        wait_for(ground.run, &object.name().to_string(), TAKEN, || async {
            ground.changes.apply(object.value()).await.map(drop)
        })
        .await?;
    }
    for object in objects.iter().filter(|object| object.kind() == "Deployment") {
        rolled_out(ground, &object.name()).await?;
    }
    Ok(())
}
