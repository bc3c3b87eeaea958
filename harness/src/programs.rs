//! The programs that pods run: found beside our own executable, built by the same cargo when it runs us.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// The programs, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    pub gateway: PathBuf,
    pub echo_service: PathBuf,
}

const NAMES: [&str; 2] = ["gateway", "echo-service"];

/// Builds the programs if cargo runs us, so that they are never older than their sources, and finds them.
/// `tell` is told what is done.
///
/// # Errors
/// They can't be built or are not there, and what to do.
pub async fn ready(root: &Path, tell: &(dyn Fn(String) + Send + Sync)) -> Result<Programs, String> {
    let own =
        std::env::current_exe().map_err(|error| format!("failed to find our own executable: {error}"))?;
    // Symbolic links would lead beside another program.
    let own = own.canonicalize().unwrap_or(own);
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(&cargo, root, &own, tell).await?;
    }
    found(&own).ok_or_else(|| {
        let folder = folder(&own).display().to_string();
        format!("the programs gateway and echo-service are not in {folder}; run `cargo run -p harness …`, or build them with `cargo build -p gateway -p echo-service`")
    })
}

/// Where programs of the same build are; tests run one folder deeper.
pub fn folder(own: &Path) -> &Path {
    let folder = own.parent().unwrap_or(own);
    if folder.file_name().is_some_and(|name| name == "deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    }
}

fn found(own: &Path) -> Option<Programs> {
    let at = |name: &str| {
        let file = folder(own).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        file.is_file().then_some(file)
    };
    Some(Programs { gateway: at(NAMES[0])?, echo_service: at(NAMES[1])? })
}

async fn build(
    cargo: &std::ffi::OsStr,
    root: &Path,
    own: &Path,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), String> {
    let folder = folder(own);
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let arguments = ["build", "-p", NAMES[0], "-p", NAMES[1], "--profile", profile];
    tell(format!("cargo {}", arguments.join(" ")));
    let started = Instant::now();
    let mut command = tokio::process::Command::new(cargo);
    command.args(arguments).current_dir(root).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(target) = folder.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    // What cargo set for us is about this package.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_CRATE_NAME"
        {
            command.env_remove(&name);
        }
    }
    // Where somebody watches, cargo shows how far it is.
    let watched = std::io::stderr().is_terminal();
    let errors = if watched { Stdio::inherit() } else { Stdio::piped() };
    let child = command.stdout(Stdio::null()).stderr(errors).spawn();
    let child = child.map_err(|error| format!("failed to run {}: {error}", cargo.display()))?;
    let output = child.wait_with_output().await.map_err(|error| format!("failed to run cargo: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cargo failed to build the gateway and the echo service ({}):\n{text}",
            output.status
        ));
    }
    let seconds = started.elapsed().as_secs_f64();
    if seconds > 2.0 {
        tell(format!("built in {seconds:.0} s"));
    }
    Ok(())
}
