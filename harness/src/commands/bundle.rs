//! Saves every image that an environment needs into one archive, which `--bundle` reads on a machine without network.

use super::{Failed, provider, tell};
use crate::cli::{BundleArgs, EnvironmentName};
use crate::environment::docker::Docker;
use crate::environment::images;
use crate::environment::maker::{Maker, PREFIX};
use crate::environment::real::Needed;
use crate::environment::stack::istio;
use crate::environment::{Run, Unavailable};
use crate::process::Caller;
use crate::project;
use crate::run_folder::RunFolder;
use crate::runner::{INTERRUPTED, PASSED, UNAVAILABLE};
use crate::signals::stop_token;
use crate::versions::Versions;

pub(super) async fn bundle(args: BundleArgs) -> Result<u8, Failed> {
    let unavailable = |message: String| Failed::new(UNAVAILABLE, message);
    let maker = match args.environment.name {
        EnvironmentName::Kind => Maker::Kind,
        EnvironmentName::K3d => Maker::K3d,
        EnvironmentName::Local | EnvironmentName::Kubeconfig => {
            return Err(Failed::usage("only `--env kind` and `--env k3d` are made of images"));
        }
    };
    if args.environment.bundle.is_some() {
        return Err(Failed::usage("a bundle is not made of another; leave out --bundle"));
    }
    let root = project::root().map_err(Failed::usage)?;
    let folder = RunFolder::create(&project::target(&root)).map_err(unavailable)?;
    let stop = stop_token(true, || "stopped at once".to_owned()).map_err(unavailable)?;
    let work = save(&args, maker, &root, &folder, stop.clone());
    let saved = tokio::select! {
        saved = work => saved.map_err(unavailable),
        () = stop.cancelled() => Err(Failed::new(INTERRUPTED, "interrupted; there is no bundle")),
    };
    if saved.is_err() {
        // Half an archive is of no use.
        let _ = std::fs::remove_file(&args.file);
    }
    folder.remove();
    saved.map(|()| PASSED)
}

async fn save(
    args: &BundleArgs,
    maker: Maker,
    root: &std::path::Path,
    folder: &RunFolder,
    stop: tokio_util::sync::CancellationToken,
) -> Result<(), String> {
    let versions = Versions::new(&args.environment.uses, &args.environment.mirror)?;
    let caller = Caller::new(&folder.path.join("programs.log"), None, tell())?;
    let docker = Docker(&caller);
    let engine = docker.engine().await?;
    let istio = if args.environment.no_mesh { None } else { Some(istio::images(&caller, &versions).await?) };
    let needed = Needed::of(maker, &caller, &engine, &versions, istio.as_ref()).await?;
    let node = needed.node.ok_or("the image of kind's node is not known for this version of kind; name one: --use kind-node=kindest/node:v1.34.0")?;
    let mut images = images::ready(&caller, &versions, root, &folder.path.join("images"), true).await?;
    for image in [node].into_iter().chain(needed.helpers).chain(needed.stack) {
        docker.need(&image).await?;
        images.push(image);
    }
    if maker == Maker::K3d {
        images.extend(started(args, root, folder, stop, &caller).await?);
    }
    images.sort();
    images.dedup();
    caller.tell(format!("{} images into {}", images.len(), args.file.display()));
    docker.save(&images, &engine.platform(), &args.file).await?;
    let size = std::fs::metadata(&args.file).map(|file| file.len()).unwrap_or_default();
    caller.tell(format!("{}: {:.0} MB", args.file.display(), size as f64 / 1e6));
    Ok(())
}

/// What k3s fetches when it starts is known to itself only, so one is started, and what it has then is fetched too.
async fn started(
    args: &BundleArgs,
    root: &std::path::Path,
    folder: &RunFolder,
    stop: tokio_util::sync::CancellationToken,
    caller: &Caller,
) -> Result<Vec<String>, String> {
    let run = Run { id: folder.id.clone(), folder: folder.path.clone(), tell: tell(), stop, keep: false };
    let provider = provider(&args.environment, root.to_owned(), None);
    let there = async {
        provider.prepare(&run).await.map_err(|Unavailable(error)| error)?;
        let container = format!("k3d-{PREFIX}{}-server-0", run.id);
        Docker(caller).images_of_node(&container).await
    };
    let there = there.await;
    let left = provider.finish().await;
    for left in left {
        caller.tell(format!("left behind: {left}"));
    }
    let own: Vec<String> = there?.into_iter().filter(|name| name.contains("/rancher/")).collect();
    for image in &own {
        Docker(caller).need(image).await?;
    }
    Ok(own)
}
