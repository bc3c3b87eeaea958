//! Our own images: made of the programs that cargo makes here, static, so that nothing else has to be in them; and all the
//! images of a run in one archive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::Docker;
use crate::process::{Call, Caller};
use crate::versions::{ECHO, GATEWAY, Versions};

/// A whole build, on a small machine.
const BUILD: Duration = Duration::from_hours(1);
/// What manifests call the echo service and the bin.
pub const ECHO_NAMES: [&str; 2] = ["http-echo:latest", "limen/echo-service:latest"];

/// What the manifests call the gateway.
pub fn gateway_name() -> String {
    format!("limen/gateway:{}", env!("CARGO_PKG_VERSION"))
}

/// Names that manifests use, and what is run instead where something else was named.
pub fn instead(versions: &Versions) -> Vec<(String, String)> {
    let mut instead = Vec::new();
    if let Some(gateway) = versions.image(GATEWAY) {
        instead.push((gateway_name(), gateway));
    }
    if let Some(echo) = versions.image(ECHO) {
        instead.extend(ECHO_NAMES.map(|name| (name.to_owned(), echo.clone())));
    }
    for component in crate::versions::COMPONENTS.iter().filter(|component| !component.default.is_empty()) {
        let image = versions.image(component.name).filter(|image| image != component.default);
        instead.extend(image.map(|image| (component.default.to_owned(), image)));
    }
    instead
}

/// Makes, or finds, our images, and gives the names under which a node must have them.
///
/// # Errors
/// What can't be built or is not there, and what to do.
pub async fn ready(
    caller: &Caller,
    versions: &Versions,
    root: &Path,
    work: &Path,
    build: bool,
) -> Result<Vec<String>, String> {
    let docker = Docker(caller);
    let mut names = Vec::new();
    let programs = [
        (GATEWAY, "gateway", vec![gateway_name()]),
        (ECHO, "echo-service", ECHO_NAMES.map(str::to_owned).to_vec()),
    ];
    let wanted: Vec<_> = programs
        .into_iter()
        .filter_map(|(component, program, ours)| match versions.image(component) {
            Some(named) => {
                names.push(named);
                None
            }
            None => Some((program, ours)),
        })
        .collect();
    for name in &names {
        docker.need(name).await?;
    }
    let cargo = std::env::var_os("CARGO").map(PathBuf::from).filter(|_| build);
    let built = match &cargo {
        Some(cargo) if cfg!(target_os = "linux") && !wanted.is_empty() => {
            Some(programs_built(caller, cargo, root).await?)
        }
        _ => None,
    };
    for (program, ours) in wanted {
        let Some(first) = ours.first() else { continue };
        if let Some(folder) = &built {
            caller.tell(format!("image {first}"));
            image(&docker, &folder.join(program), program, work, first).await?;
        } else if cargo.is_some() {
            // Elsewhere cargo makes no programs that run in a container.
            caller.tell(format!("image {first}, from sources"));
            docker.build(root, &root.join(program).join("Dockerfile"), first).await?;
        } else if !docker.has(first).await? {
            return Err(format!(
                "image {first} is not here; `cargo run -p harness …` makes it, or `.ci/images`"
            ));
        }
        for other in &ours[1..] {
            docker.tag(first, other).await?;
        }
        names.extend(ours);
    }
    Ok(names)
}

/// Builds both programs and gives the folder they are in.
async fn programs_built(caller: &Caller, cargo: &Path, root: &Path) -> Result<PathBuf, String> {
    let own =
        std::env::current_exe().map_err(|error| format!("failed to find our own executable: {error}"))?;
    let own = own.canonicalize().unwrap_or(own);
    let beside = crate::programs::folder(&own);
    let profile = match beside.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = beside.parent().map_or_else(|| root.join("target"), Path::to_owned);
    let host = caller.done(Call::program("rustc").arg("-vV").at_home().at(root)).await?;
    let host =
        host.stdout.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
    let mut build =
        Call::program(cargo.display().to_string()).args(["build", "--locked", "--profile", profile]);
    // Naming the target keeps build scripts and macros, which run here, out of the static build.
    build = build.args(["--target", &host, "-p", "gateway", "-p", "echo-service"]);
    build = build.arg("--config").arg(format!("profile.{profile}.strip=\"debuginfo\""));
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    build = build.env("RUSTFLAGS", format!("-C target-feature=+crt-static {flags}").trim());
    build = build.env("CARGO_TARGET_DIR", target.display().to_string()).at_home().at(root).within(BUILD);
    caller.tell("cargo build of the gateway and the echo service as static programs");
    caller.done(build).await?;
    let made = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(host).join(made))
}

/// An image with a program and nothing else; the gateway gets the certificate authorities it believes.
async fn image(
    docker: &Docker<'_>,
    program: &Path,
    name: &str,
    work: &Path,
    image: &str,
) -> Result<(), String> {
    let folder = work.join(name);
    let failed = |error: std::io::Error| format!("failed to write {}: {error}", folder.display());
    let mut text = format!("FROM scratch\nCOPY {name} /{name}\n");
    std::fs::create_dir_all(&folder).map_err(failed)?;
    std::fs::copy(program, folder.join(name)).map_err(failed)?;
    if name == "gateway" {
        std::fs::copy(authorities()?, folder.join("ca-certificates.crt")).map_err(failed)?;
        text.push_str("COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n");
    }
    text = format!("{text}USER 65532:65532\nENTRYPOINT [\"/{name}\"]\n");
    let file = folder.join("Dockerfile");
    std::fs::write(&file, text).map_err(failed)?;
    docker.build(&folder, &file, image).await
}

fn authorities() -> Result<PathBuf, String> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    named.into_iter().chain(usual.map(PathBuf::from)).find(|file| file.is_file()).ok_or_else(|| {
        "no certificate authorities are found here: install the package ca-certificates, or name a file in SSL_CERT_FILE".to_owned()
    })
}
