//! Roles and bindings. They are kept for those who write them; who may do what is decided without them.

use serde_json::Value;

use super::super::built_in::Rules;
use super::{each, fill, unchanged};
use crate::failure::{Cause, Causes};

pub(in super::super) const BINDING: Rules = Rules { default, validate, validate_update, ..Rules::NONE };

const GROUP: &str = "rbac.authorization.k8s.io";

fn default(binding: &mut Value) {
    fill(&mut binding["roleRef"], "apiGroup", GROUP);
    if binding["roleRef"]["apiGroup"] == "" {
        binding["roleRef"]["apiGroup"] = GROUP.into();
    }
    for subject in each(binding, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            fill(subject, "apiGroup", GROUP);
        }
    }
}

fn validate(binding: &Value, causes: &mut Causes) {
    if binding["roleRef"]["name"].as_str().unwrap_or_default().is_empty() {
        causes.add(Cause::required("roleRef.name", ""));
    }
    let kind = &binding["roleRef"]["kind"];
    if !matches!(kind.as_str(), Some("Role" | "ClusterRole")) {
        causes.add(Cause::unsupported("roleRef.kind", kind, &["Role", "ClusterRole"]));
    }
}

fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    if new["roleRef"] != old["roleRef"] {
        unchanged(&new["roleRef"], &old["roleRef"], "roleRef", causes);
    }
}
