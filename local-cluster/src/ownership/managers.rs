//! `metadata.managedFields`: who set which fields, when, and how.

use serde_json::{Value, json};

use super::field_set::FieldSet;

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) applied: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Managers(pub(super) Vec<Manager>);

impl Manager {
    /// An applier is the same whatever version it applies in.
    pub(super) fn is(&self, other: &Manager) -> bool {
        self.name == other.name
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    /// As conflicts name it.
    pub(super) fn shown(&self) -> String {
        use std::fmt::Write;
        let mut shown = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            let _ = write!(shown, " with subresource {:?}", self.subresource);
        }
        if !self.applied {
            let _ = write!(shown, " using {}", self.api_version);
        }
        shown
    }
}

impl Managers {
    pub(super) fn read(object: &Value) -> Managers {
        let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let manager = |entry: &Value| Manager {
            name: text(entry, "manager"),
            applied: entry["operation"] == "Apply",
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
            time: entry["time"].as_str().map(str::to_owned),
            fields: FieldSet::from_fields(&entry["fieldsV1"]),
        };
        Managers(entries.map(manager).collect())
    }

    /// Appliers first, then by time and name.
    pub(super) fn write(mut self, object: &mut Value) {
        self.0.retain(|manager| !manager.fields.is_empty());
        let order = |manager: &Manager| {
            let Manager { name, applied, api_version, subresource, time, .. } = manager.clone();
            (!applied, time, name, api_version, subresource)
        };
        self.0.sort_by_cached_key(order);
        let Some(metadata) = object["metadata"].as_object_mut() else { return };
        if self.0.is_empty() {
            metadata.shift_remove("managedFields");
            return;
        }
        let entries: Value = self.0.iter().map(entry).collect();
        metadata.insert("managedFields".to_owned(), entries);
    }

    /// Whether they are the same and own the same, whenever they wrote it.
    pub(super) fn hold_the_same(&self, other: &Managers) -> bool {
        let owners = |managers: &Managers| managers.0.iter().filter(|one| !one.fields.is_empty()).count();
        let is_there = |one: &Manager| other.find(one).is_some_and(|there| there.fields == one.fields);
        owners(self) == owners(other) && self.0.iter().filter(|one| !one.fields.is_empty()).all(is_there)
    }

    pub(super) fn find(&self, wanted: &Manager) -> Option<&Manager> {
        self.0.iter().find(|manager| manager.is(wanted))
    }
}

fn entry(manager: &Manager) -> Value {
    let mut entry = json!({
        "manager": manager.name,
        "operation": if manager.applied { "Apply" } else { "Update" },
        "apiVersion": manager.api_version,
        "time": manager.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": manager.fields.to_fields(),
        "subresource": manager.subresource,
    });
    if let Some(fields) = entry.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value != "");
    }
    entry
}
