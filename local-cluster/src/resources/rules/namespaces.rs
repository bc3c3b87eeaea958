//! Namespaces.

use serde_json::{Value, json};

use super::super::built_in::Rules;

pub(in super::super) const NAMESPACE: Rules = Rules { default, on_create, ..Rules::NONE };

/// Every namespace can be selected by its name.
fn default(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

/// The finalizer is the namespace controller's, which first removes what is inside.
fn on_create(namespace: &mut Value) {
    namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    namespace["status"] = json!({"phase": "Active"});
}
