//! A declarative file as the source: read once, replaced over the admin port.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::admin::{Declarative, Refusal};
use crate::declarative::{self, Configuration, Format};
use crate::plugins::registry::Registry;
use crate::snapshot::publish::{Offer, Publisher};

/// Reads and judges a file.
///
/// # Errors
/// Everything wrong with it, by line.
pub fn read(path: &Path) -> Result<Configuration, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    declarative::load(&text, Format::Yaml, &Registry)
        .map_err(|refusal| refusal.text(&path.display().to_string()))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Makes a file's configuration serve.
pub(super) fn start(path: &Path, publisher: &Arc<Publisher>) -> Result<Arc<dyn Declarative>, String> {
    let made_at = now();
    publisher.publish(Offer { model: read(path)?.model(made_at), ..Offer::default() });
    Ok(Arc::new(Replaceable { publisher: Arc::clone(publisher), made_at: Mutex::new(made_at) }))
}

struct Replaceable {
    publisher: Arc<Publisher>,
    /// When the configuration that serves was made.
    made_at: Mutex<i64>,
}

impl Declarative for Replaceable {
    fn replace(&self, body: &[u8], content_type: Option<&str>, flatten_errors: bool) -> Result<(), Refusal> {
        let loaded = declarative::load_request(body, content_type, &Registry);
        let configuration = loaded.map_err(|refusal| Refusal {
            status: refusal.status,
            body: refusal.body(flatten_errors).clone(),
        })?;
        let mut made_at = self.made_at.lock();
        let mut model = configuration.model(*made_at);
        // The time alone makes no other configuration.
        if !self.publisher.serves(&model) {
            *made_at = now();
            model = configuration.model(*made_at);
        }
        self.publisher.publish(Offer { model, ..Offer::default() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::registry::PLUGINS;
    use crate::plugins::testing::Bench;
    use crate::snapshot::compile::Compiler;
    use crate::telemetry::stats::Stats;

    #[test]
    fn time_alone_makes_no_other_configuration() {
        let bench = Bench::new();
        let compiler =
            Compiler { environment: bench.environment.clone(), stats: Stats::new(1, PLUGINS.len()) };
        let publisher = Arc::new(Publisher::new(compiler, bench.clock.clone()));
        let file = Replaceable { publisher: Arc::clone(&publisher), made_at: Mutex::new(0) };
        let replace = |config: &str| {
            file.replace(config.as_bytes(), Some("text/yaml"), false)
                .map_err(|refusal| refusal.body)
                .unwrap();
            publisher.subscribe().borrow().generation
        };
        let config = "{_format_version: '3.0', services: [{name: a, host: b}]}";
        assert_eq!(replace(config), 1);
        // As if it had been long ago.
        let long_ago = declarative::load(config, Format::Yaml, &Registry).unwrap().model(7);
        publisher.publish(Offer { model: long_ago, ..Offer::default() });
        *file.made_at.lock() = 7;
        assert_eq!(replace(config), 2);
        assert_eq!(replace(&config.replace("host: b", "host: c")), 3);
        assert!(*file.made_at.lock() > 7);
    }
}
