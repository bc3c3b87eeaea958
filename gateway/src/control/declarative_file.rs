//! A declarative file as the source: read once, replaced over the admin port.

use std::path::Path;
use std::sync::Arc;

use crate::admin::{Declarative, Refusal};
use crate::declarative::{self, Format};
use crate::model::Model;
use crate::plugins::registry::Registry;
use crate::snapshot::publish::{Offer, Publisher};

/// Reads and judges a file.
///
/// # Errors
/// Everything wrong with it, by line.
pub fn read(path: &Path) -> Result<Model, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    declarative::load(&text, Format::Yaml, &Registry)
        .map_err(|refusal| refusal.text(&path.display().to_string()))
}

/// Makes a file's configuration serve.
pub(super) fn start(path: &Path, publisher: &Arc<Publisher>) -> Result<Arc<dyn Declarative>, String> {
    publisher.publish(Offer { model: read(path)?, ..Offer::default() });
    Ok(Arc::new(Replaceable { publisher: Arc::clone(publisher) }))
}

struct Replaceable {
    publisher: Arc<Publisher>,
}

impl Declarative for Replaceable {
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
