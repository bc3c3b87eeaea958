//! What routes and services look like in a log, kept as text: they change with the configuration only, and an
//! entry shows both in full.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;
use serde::Serialize;
use serde_json::Value;

use super::super::json;
use crate::model::{Route, Service, WORKSPACE};

/// Texts of entities that are in use.
#[derive(Default)]
pub struct Entities {
    routes: Texts<Route>,
    services: Texts<Service>,
}

/// By the address of the entity, which stays its own for as long as the entity is held here.
struct Texts<T> {
    kept: HashMap<usize, (Arc<T>, Bytes)>,
    /// Look for entities that nobody else holds once there are this many.
    sweep_at: usize,
}

impl Entities {
    pub fn route(&mut self, route: &Arc<Route>) -> Bytes {
        self.routes.text(route)
    }

    pub fn service(&mut self, service: &Arc<Service>) -> Bytes {
        self.services.text(service)
    }
}

#[cfg(test)]
impl Entities {
    pub(super) fn routes_kept(&self) -> usize {
        self.routes.kept.len()
    }
}

impl<T> Default for Texts<T> {
    fn default() -> Self {
        Texts { kept: HashMap::default(), sweep_at: 256 }
    }
}

impl<T: Serialize> Texts<T> {
    fn text(&mut self, entity: &Arc<T>) -> Bytes {
        let address = Arc::as_ptr(entity).addr();
        if let Some((_, text)) = self.kept.get(&address) {
            return text.clone();
        }
        if self.kept.len() >= self.sweep_at {
            self.kept.retain(|_, (entity, _)| Arc::strong_count(entity) > 1);
            self.sweep_at = (self.kept.len() * 2).max(256);
        }
        let text = Bytes::from(json::text(&as_in_kong(&**entity)));
        self.kept.insert(address, (entity.clone(), text.clone()));
        text
    }
}

/// The entity with its workspace, as Kong's log and its echo show it.
pub fn as_in_kong(entity: &impl Serialize) -> Value {
    // Entities of the model are plain structs, which always become objects.
    let mut value = serde_json::to_value(entity).unwrap_or_default();
    if let Value::Object(object) = &mut value {
        object.insert("ws_id".to_owned(), Value::String(WORKSPACE.to_string()));
    }
    value
}
