//! `gateway check`: judges a configuration without serving it.

use std::path::Path;

use crate::control;

/// A summary of a valid configuration, or everything that is wrong with it.
pub fn path(path: &Path) -> Result<String, String> {
    let model = control::read_declarative(path)?.model(0);
    Ok(format!(
        "{}: valid; {} services, {} routes, {} upstreams, {} consumers, {} plugins, {} certificates",
        path.display(),
        model.services.len(),
        model.routes.len(),
        model.upstreams.len(),
        model.consumers.len(),
        model.plugins.len(),
        model.certificates.len(),
    ))
}
