//! Which pod template a pod was made from, for controllers that change their pods in place: a label with a hash.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kinds::{name, text};

const LABEL: &str = "controller-revision-hash";

/// The revision of the owner's template: its name and a hash.
pub(super) fn of_template(owner: &Value) -> String {
    let digest = Sha256::digest(owner["spec"]["template"].to_string());
    let hash = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
    format!("{}-{:010x}", name(owner), hash & 0xff_ffff_ffff)
}

/// The revision that a pod was made from.
pub(super) fn of_pod(pod: &Value) -> &str {
    text(pod, "/metadata/labels/controller-revision-hash")
}

/// The owner's template, marked with its revision.
pub(super) fn marked(owner: &Value) -> Value {
    let mut template = owner["spec"]["template"].clone();
    template["metadata"]["labels"][LABEL] = json!(of_template(owner));
    template
}
