//! Prints the table of what clusters are made of, as it would be taken now.

use std::fmt::Write;

use super::{Failed, print};
use crate::cli::VersionsArgs;
use crate::environment::docker::Engine;
use crate::environment::images::gateway_name;
use crate::environment::maker::Maker;
use crate::environment::stack::istio;
use crate::process::Caller;
use crate::project;
use crate::runner::PASSED;
use crate::versions::{COMPONENTS, Component, ECHO, GATEWAY, ISTIO, K3D_TOOLS, K3S, KIND_NODE, Versions};

pub(super) async fn versions(args: &VersionsArgs) -> Result<u8, Failed> {
    let asked = &args.environment;
    let versions = Versions::new(&asked.uses, &asked.mirror).map_err(Failed::usage)?;
    let root = project::root().map_err(Failed::usage)?;
    let target = project::target(&root);
    let failed = |error: String| Failed::new(crate::runner::UNAVAILABLE, error);
    std::fs::create_dir_all(&target)
        .map_err(|error| failed(format!("failed to make {}: {error}", target.display())))?;
    // Nobody has to hear which programs were asked.
    let caller =
        Caller::new(&target.join("versions.log"), None, std::sync::Arc::new(|_| {})).map_err(failed)?;
    let mut text = String::new();
    for component in COMPONENTS {
        let image = taken(&component, &versions, &caller).await;
        let image = image.unwrap_or_else(|error| format!("- ({})", error.lines().next().unwrap_or_default()));
        let _ = writeln!(text, "{:12} {image:58} {}", component.name, component.what);
    }
    text.push_str("\nAnother one: --use NAME=IMAGE. Another registry: --mirror BEGINNING=BEGINNING, such as docker.io/=mirror.example/hub/\n");
    print(&text);
    Ok(PASSED)
}

/// What would be taken on this machine.
async fn taken(component: &Component, versions: &Versions, caller: &Caller) -> Result<String, String> {
    // What the node is made of is asked without Docker, which may be away.
    let engine = Engine::default();
    match component.name {
        KIND_NODE => Ok(Maker::Kind
            .node(caller, &engine, versions)
            .await?
            .unwrap_or_else(|| "as kind brings it".to_owned())),
        K3S => Ok(Maker::K3d.node(caller, &engine, versions).await?.unwrap_or_default()),
        K3D_TOOLS => Ok(Maker::K3d.helpers(caller, versions).await?.join(" ")),
        ISTIO => istio::images(caller, versions).await.map(|istio| istio.images().join(" ")),
        GATEWAY => Ok(versions.image(GATEWAY).unwrap_or_else(|| format!("{}, made here", gateway_name()))),
        ECHO => Ok(versions.image(ECHO).unwrap_or_else(|| "http-echo:latest, made here".to_owned())),
        name => Ok(versions.image(name).unwrap_or_default()),
    }
}
