//! `CustomResourceDefinitions`: what is accepted as one.

mod structural;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::super::built_in::Rules;
use super::super::names::NameRule;
use super::{fill, items, text};
use crate::failure::{Cause, Causes};

pub(in super::super) const DEFINITION: Rules = Rules { default, on_create, validate, validate_update };

const APPROVAL: &str = "api-approved.kubernetes.io";
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

/// A link to a pull request, by which protected groups are approved.
static APPROVED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^https?://|^unapproved").ok());

fn default(definition: &mut Value) {
    let spec = &mut definition["spec"];
    let kind = text(&spec["names"], "kind").to_owned();
    fill(&mut spec["names"], "singular", kind.to_lowercase());
    fill(&mut spec["names"], "listKind", format!("{kind}List"));
    fill(spec, "conversion", json!({"strategy": "None"}));
    for version in super::each(spec, "versions") {
        for column in super::each(version, "additionalPrinterColumns") {
            if column["priority"] == 0 {
                column.as_object_mut().map(|fields| fields.shift_remove("priority"));
            }
        }
    }
    let storage = items(spec, "versions")
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    let stored = &mut definition["status"]["storedVersions"];
    if let Some(storage) = storage {
        if stored.is_null() {
            *stored = json!([]);
        }
        if let Some(stored) = stored.as_array_mut().filter(|stored| !stored.contains(&storage)) {
            stored.push(storage);
        }
    }
}

fn on_create(definition: &mut Value) {
    definition["status"] = json!({
        "conditions": null,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": null,
    });
}

fn validate(definition: &Value, causes: &mut Causes) {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let (group, plural) = (text(spec, "group"), text(names, "plural"));
    if definition["metadata"]["name"] != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.add(Cause::invalid("metadata.name", &definition["metadata"]["name"], why));
    }
    validate_approval(definition, causes);
    if group.is_empty() {
        causes.add(Cause::required("spec.group", ""));
    } else if let Some(wrong) = NameRule::Subdomain.check(group, false).into_iter().next() {
        causes.add(Cause::invalid("spec.group", &json!(group), wrong));
    } else if !group.contains('.') {
        causes.add(Cause::invalid("spec.group", &json!(group), "should be a domain with at least one dot"));
    }
    match text(spec, "scope") {
        "Cluster" | "Namespaced" => {}
        "" => causes.add(Cause::required("spec.scope", "")),
        _ => causes.add(Cause::unsupported("spec.scope", &spec["scope"], &["Cluster", "Namespaced"])),
    }
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
                   instead";
        causes.add(Cause::invalid("spec.preserveUnknownFields", &json!(true), why));
    }
    if spec["conversion"]["strategy"] != "None" {
        let why = "only None can be served here";
        causes.add(Cause::invalid("spec.conversion.strategy", &spec["conversion"]["strategy"], why));
    }
    validate_versions(spec, causes);
    validate_names(names, causes);
    validate_stored_versions(definition, causes);
}

fn validate_approval(definition: &Value, causes: &mut Causes) {
    let group = text(&definition["spec"], "group");
    if !(group.ends_with(".k8s.io")
        || group.ends_with(".kubernetes.io")
        || group == "k8s.io"
        || group == "kubernetes.io")
    {
        return;
    }
    let field = format!("metadata.annotations[{APPROVAL}]");
    let annotation = &definition["metadata"]["annotations"][APPROVAL];
    match annotation.as_str() {
        None | Some("") => causes.add(Cause::required(
            field,
            &format!(
                "protected groups must have approval annotation {APPROVAL:?}, see \
                 https://github.com/kubernetes/enhancements/pull/1111"
            ),
        )),
        Some(text) if APPROVED.as_ref().is_none_or(|pattern| pattern.is_match(text)) => {}
        Some(_) => {
            let why = format!(
                "protected groups must have approval annotation {APPROVAL:?} with either a URL or a reason starting \
                 with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
            );
            causes.add(Cause::invalid(field, annotation, why));
        }
    }
}

/// Whether all versions say the same of something; then Kubernetes keeps it once, and names it so in messages.
fn is_shared(versions: &[&Value], field: &str) -> bool {
    versions.windows(2).all(|pair| pair[0][field] == pair[1][field])
}

fn validate_versions(spec: &Value, causes: &mut Causes) {
    let versions: Vec<_> = items(spec, "versions").collect();
    if versions.is_empty() {
        causes.add(Cause::required("spec.versions", ""));
    }
    let shared = is_shared(&versions, "schema");
    for (index, version) in versions.iter().enumerate() {
        let own = format!("spec.versions[{index}]");
        let name = text(version, "name");
        for wrong in NameRule::Service.check(name, false) {
            causes.add(Cause::invalid(format!("{own}.name"), &json!(name), wrong));
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let (field, first) = if shared {
            ("spec.validation.openAPIV3Schema".to_owned(), index == 0)
        } else {
            (format!("{own}.schema.openAPIV3Schema"), true)
        };
        if schema.is_object() {
            if first {
                structural::validate(schema, &field, !version["subresources"]["status"].is_null(), causes);
            }
        } else {
            causes.add(Cause::required(format!("{own}.schema.openAPIV3Schema"), ""));
        }
        validate_scale(&version["subresources"]["scale"], &own, causes);
        validate_columns(version, &own, causes);
        validate_selectable(version, &own, causes);
    }
    let mut names: Vec<_> = versions.iter().map(|version| text(version, "name")).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        causes.add(Cause::invalid("spec.versions", &shown(&versions), "must contain unique version names"));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 && !versions.is_empty() {
        let why = "must have exactly one version marked as storage version";
        causes.add(Cause::invalid("spec.versions", &shown(&versions), why));
    }
}

/// The versions as messages show them.
fn shown(versions: &[&Value]) -> Value {
    let version = |version: &&Value| {
        json!({
            "Name": version["name"],
            "Served": version["served"] == true,
            "Storage": version["storage"] == true,
            "Deprecated": version["deprecated"] == true,
            "DeprecationWarning": version["deprecationWarning"],
            "Schema": null,
            "Subresources": null,
            "AdditionalPrinterColumns": null,
            "SelectableFields": null,
        })
    };
    versions.iter().map(version).collect()
}

fn validate_scale(scale: &Value, own: &str, causes: &mut Causes) {
    if scale.is_null() {
        return;
    }
    let wanted = [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")];
    for (name, root) in wanted {
        let field = format!("{own}.subresources.scale.{name}");
        match text(scale, name) {
            "" => causes.add(Cause::required(field, "")),
            path if path.starts_with(root) => {}
            path => {
                let why = format!("should be a json path under {}", root.trim_end_matches('.'));
                causes.add(Cause::invalid(field, &json!(path), why));
            }
        }
    }
    let selector = text(scale, "labelSelectorPath");
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        let field = format!("{own}.subresources.scale.labelSelectorPath");
        causes.add(Cause::invalid(
            field,
            &json!(selector),
            "should be a json path under either .spec or .status",
        ));
    }
}

fn validate_columns(version: &Value, own: &str, causes: &mut Causes) {
    for (index, column) in items(version, "additionalPrinterColumns").enumerate() {
        let field = format!("{own}.additionalPrinterColumns[{index}]");
        if text(column, "name").is_empty() {
            causes.add(Cause::required(format!("{field}.name"), ""));
        }
        let why = format!("must be one of {}", COLUMN_TYPES.join(","));
        match text(column, "type") {
            "" => causes.add(Cause::required(format!("{field}.type"), &why)),
            kind if COLUMN_TYPES.contains(&kind) => {}
            _ => causes.add(Cause::invalid(format!("{field}.type"), &column["type"], why)),
        }
        match text(column, "jsonPath") {
            "" => causes.add(Cause::required(format!("{field}.JSONPath"), "")),
            path if !path.starts_with('.') => {
                let why = "must be a simple json path starting with .";
                causes.add(Cause::invalid(format!("{field}.JSONPath"), &json!(path), why));
            }
            _ => {}
        }
    }
}

fn validate_selectable(version: &Value, own: &str, causes: &mut Causes) {
    for (index, selectable) in items(version, "selectableFields").enumerate() {
        let field = format!("{own}.selectableFields[{index}].jsonPath");
        let path = text(selectable, "jsonPath");
        if path.is_empty() {
            causes.add(Cause::required(field, ""));
            continue;
        }
        if path.starts_with(".metadata") {
            causes.add(Cause::invalid(field, &json!(path), "must not point to fields in metadata"));
            continue;
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let found =
            path.trim_start_matches('.').split('.').fold(schema, |schema, name| &schema["properties"][name]);
        if !matches!(text(found, "type"), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                       formats are allowed.";
            causes.add(Cause::invalid(field, &json!(path), why));
        }
    }
}

fn validate_names(names: &Value, causes: &mut Causes) {
    for name in ["plural", "singular", "kind", "listKind"] {
        let value = text(names, name);
        let field = format!("spec.names.{name}");
        let mixed = name == "kind" || name == "listKind";
        if value.is_empty() {
            causes.add(Cause::required(field, ""));
            continue;
        }
        let checked = if mixed { value.to_lowercase() } else { value.to_owned() };
        for wrong in NameRule::Service.check(&checked, false) {
            let why = if mixed {
                format!("may have mixed case, but should otherwise match: {wrong}")
            } else {
                wrong
            };
            causes.add(Cause::invalid(field.clone(), &json!(value), why));
        }
    }
    for (index, name) in items(names, "shortNames").enumerate() {
        for wrong in NameRule::Service.check(name.as_str().unwrap_or_default(), false) {
            causes.add(Cause::invalid(format!("spec.names.shortNames[{index}]"), name, wrong));
        }
    }
    if names["kind"] == names["listKind"] && !names["kind"].is_null() {
        let why = "kind and listKind may not be the same";
        causes.add(Cause::invalid("spec.names.listKind", &names["listKind"], why));
    }
}

fn validate_stored_versions(definition: &Value, causes: &mut Causes) {
    let stored: Vec<_> = items(&definition["status"], "storedVersions").collect();
    let field = "status.storedVersions";
    let versions: Vec<_> = items(&definition["spec"], "versions").collect();
    if stored.is_empty() {
        causes.add(Cause::invalid(field, &Value::Null, "must have at least one stored version"));
        return;
    }
    for version in versions.iter().filter(|version| version["storage"] == true) {
        if !stored.contains(&&version["name"]) {
            let why = format!("must have the storage version {}", text(version, "name"));
            causes.add(Cause::invalid(field, &definition["status"]["storedVersions"], why));
        }
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == **name) {
            let shown = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {shown} was previously a storage version, and must remain in \
                 spec.versions until a storage migration ensures no data remains persisted in {shown} and removes \
                 {shown} from status.storedVersions"
            );
            causes.add(Cause::invalid(format!("{field}[{index}]"), name, why));
        }
    }
}

fn validate_update(new: &Value, old: &Value, causes: &mut Causes) {
    let established =
        items(&old["status"], "conditions").any(|c| c["type"] == "Established" && c["status"] == "True");
    let mut unchanged = |path: &[&str], field: &str| {
        let at = |root: &Value| path.iter().fold(root.clone(), |value, part| value[part].clone());
        let (new, old) = (at(&new["spec"]), at(&old["spec"]));
        super::unchanged(&new, &old, field, causes);
    };
    if established {
        unchanged(&["scope"], "spec.scope");
        unchanged(&["names", "kind"], "spec.names.kind");
    }
    unchanged(&["group"], "spec.group");
    unchanged(&["names", "plural"], "spec.names.plural");
}
