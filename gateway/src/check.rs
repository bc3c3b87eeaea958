//! `gateway check`: judges a configuration without serving it: Kong's declarative file, or Kubernetes objects in a
//! folder or a file.

use std::fmt::Write as _;
use std::path::Path;

use crate::args::CheckArgs;
use crate::control;
use crate::model::{Model, Problem};
use crate::source::directory;
use crate::store::Store;
use crate::translate::{Remembered, TranslateSettings, translate};

/// A summary of a valid configuration, or everything that is wrong with it.
pub fn judge(args: &CheckArgs) -> Result<String, String> {
    let path = &args.path;
    if !path.is_dir() && !holds_objects(path) {
        return Ok(summary(path, &control::read_declarative(path)?.model(0)));
    }
    let mut store = Store::default();
    for change in directory::read(path).map_err(|error| error.to_string())? {
        store.apply(change);
    }
    let settings = TranslateSettings {
        ingress_class: args.ingress_class.clone(),
        cluster_domain: None,
        drain_support: false,
        beside_sidecar: false,
    };
    let translation = translate(&store, &Remembered::default(), &settings, &control::checks());
    if translation.problems.is_empty() {
        return Ok(summary(path, &translation.model));
    }
    Err(report(path, &translation.problems))
}

/// Kubernetes objects say which version of which API they are of; Kong's file doesn't.
fn holds_objects(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| line.starts_with("apiVersion:"))
}

fn summary(path: &Path, model: &Model) -> String {
    format!(
        "{}: valid; {} services, {} routes, {} upstreams, {} consumers, {} plugins, {} certificates",
        path.display(),
        model.services.len(),
        model.routes.len(),
        model.upstreams.len(),
        model.consumers.len(),
        model.plugins.len(),
        model.certificates.len(),
    )
}

fn report(path: &Path, problems: &[Problem]) -> String {
    let count =
        if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let mut report = format!("{}: {count}", path.display());
    for Problem { origin, field, message, effect, .. } in problems {
        let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
        let _ = write!(report, "\n{origin}: {field}{message}\n  effect: {effect}");
    }
    report
}
