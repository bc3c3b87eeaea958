//! Starts what feeds the data plane: a watch on Kubernetes, a directory of objects, or a declarative file.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{Declarative, Refusal};
use crate::declarative::{self, Format};
use crate::model::Model;
use crate::plugins::registry::Registry;
use crate::readiness::Pending;
use crate::settings::{Settings, SourceSettings};
use crate::snapshot::publish::{Offer, Publisher};

/// A running source.
pub struct Source {
    /// Takes `POST /config`, if configurations come that way.
    pub declarative: Option<Arc<dyn Declarative>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Source {
    /// Waits until what the source started has ended.
    pub async fn finish(self) {
        for task in self.tasks {
            // A task that panicked has said so.
            let _ = task.await;
        }
    }
}

/// Starts the source that the settings name. `configured` is let go of when the first configuration serves.
pub async fn start(
    settings: &Settings,
    publisher: &Arc<Publisher>,
    configured: Pending,
    stop: &CancellationToken,
) -> Result<Source, String> {
    match &settings.source {
        SourceSettings::Declarative(path) => declarative_file(path, publisher, configured),
        _ => Err("not wired".to_owned()),
    }
}

fn declarative_file(path: &Path, publisher: &Arc<Publisher>, configured: Pending) -> Result<Source, String> {
    let model = read_declarative(path)?;
    publisher.publish(Offer { model, ..Offer::default() });
    drop(configured);
    let file = DeclarativeFile { publisher: Arc::clone(publisher) };
    Ok(Source { declarative: Some(Arc::new(file)), tasks: Vec::new() })
}

/// Reads and judges a declarative file.
pub fn read_declarative(path: &Path) -> Result<Model, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    declarative::load(&text, Format::Yaml, &Registry)
        .map_err(|refusal| refusal.text(&path.display().to_string()))
}

/// The configuration that came from a file, and may be replaced over the admin port.
struct DeclarativeFile {
    publisher: Arc<Publisher>,
}

impl Declarative for DeclarativeFile {
    fn replace(&self, body: &[u8], content_type: Option<&str>, flatten_errors: bool) -> Result<(), Refusal> {
        let loaded = declarative::load_request(body, content_type, &Registry);
        let model = loaded.map_err(|refusal| Refusal {
            status: refusal.status,
            body: refusal.body(flatten_errors).clone(),
        })?;
        self.publisher.publish(Offer { model, ..Offer::default() });
        Ok(())
    }
}
