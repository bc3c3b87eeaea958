//! Finds the top of the repository: where `scenarios/` and `manifests/` are.

use std::path::{Path, PathBuf};

/// The nearest folder above the working directory that has both, else the one this was built from.
///
/// # Errors
/// There is none.
pub fn root() -> Result<PathBuf, String> {
    let here =
        std::env::current_dir().map_err(|error| format!("failed to find the working directory: {error}"))?;
    if let Some(root) = here.ancestors().find(|folder| is_root(folder)) {
        return Ok(root.to_owned());
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    built.filter(|folder| is_root(folder)).map(Path::to_owned).ok_or_else(|| {
        format!("no folder above {} has `scenarios` and `manifests`; go to the repository", here.display())
    })
}

fn is_root(folder: &Path) -> bool {
    folder.join("scenarios").is_dir() && folder.join("manifests").is_dir()
}

/// Where everything that the harness writes goes: the target folder.
pub fn target(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = if target.is_absolute() { target } else { root.join(target) };
    target.join("harness")
}
