//! What the parts we are made of have to say, in a file of the run.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

/// Writes it from now on; told once per process.
///
/// # Errors
/// The file can't be made.
pub fn to_file(path: &Path) -> Result<(), String> {
    let file = File::create(path).map_err(|error| format!("failed to make {}: {error}", path.display()))?;
    let filter = tracing_subscriber::EnvFilter::new("info,kube=warn,hyper=warn,rustls=warn,h2=warn");
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file));
    // A second installation would only lose what it says.
    let _ = log.try_init();
    Ok(())
}
