//! The operations of a kind: what each is called, and which parameters it understands. Clients look here whether
//! a server understands `dryRun` or `fieldValidation`, and which kind a path is about.

use serde_json::{Map, Value, json};

use super::{META, model, reference};
use crate::resources::Kind;

const DRY_RUN: &str = "When present, indicates that modifications should not be persisted. An invalid or unrecognized \
    dryRun directive will result in an error response and no further processing of the request. Valid values are: - \
    All: all dry run stages will be processed";
const FIELD_MANAGER: &str = "fieldManager is a name associated with the actor or entity that is making these changes. \
    The value must be less than or 128 characters long, and only contain printable characters, as defined by \
    https://golang.org/pkg/unicode/#IsPrint.";
const FIELD_VALIDATION: &str = "fieldValidation instructs the server on how to handle objects in the request \
    (POST/PUT/PATCH) containing unknown or duplicate fields. Valid values are: - Ignore: This will ignore any unknown \
    fields that are silently dropped from the object, and will ignore all but the last duplicate field that the \
    decoder encounters. This is the default behavior prior to v1.23. - Warn: This will send a warning via the \
    standard warning response header for each unknown field that is dropped from the object, and for each duplicate \
    field that is encountered. The request will still succeed if there are no other errors, and will only persist \
    the last of any duplicate fields. This is the default in v1.23+ - Strict: This will fail the request with a \
    BadRequest error if any unknown fields would be dropped from the object, or if any duplicate fields are present. \
    The error returned from the server will contain all unknown and duplicate fields encountered.";
const FORCE: &str = "Force is going to \"force\" Apply requests. It means user will re-acquire conflicting fields owned \
    by other people. Force flag must be unset for non-apply patch requests.";

/// Paths with their operations.
pub(super) fn paths(kind: &Kind) -> Vec<(String, Value)> {
    let plural = &kind.resource.plural;
    let root = match kind.group() {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    let own = if kind.namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let question = kind.built_in().is_some_and(|row| row.question);
    let mut paths = Vec::new();
    if question {
        paths.push((own, operations(kind, &["post"], "")));
        return paths;
    }
    if kind.namespaced {
        let mut all = Map::new();
        all.insert("get".to_owned(), operation(kind, "list", "ForAllNamespaces", false));
        all.insert("parameters".to_owned(), json!([]));
        paths.push((format!("{root}/{plural}"), Value::Object(all)));
    }
    paths.push((own.clone(), operations(kind, &["list", "post", "deletecollection"], "")));
    paths.push((format!("{own}/{{name}}"), operations(kind, &["get", "put", "delete", "patch"], "")));
    for part in kind.subresources() {
        let actions: &[&str] = match part {
            "log" => &["get"],
            "binding" | "eviction" | "token" => &["post"],
            "finalize" => &["put"],
            _ => &["get", "put", "patch"],
        };
        let mut suffix = part.to_owned();
        suffix[..1].make_ascii_uppercase();
        paths.push((format!("{own}/{{name}}/{part}"), operations(kind, actions, &suffix)));
    }
    paths
}

fn operations(kind: &Kind, actions: &[&str], part: &str) -> Value {
    let mut operations = Map::new();
    for action in actions {
        let method = match *action {
            "list" => "get",
            "deletecollection" => "delete",
            other => other,
        };
        operations.insert(method.to_owned(), operation(kind, action, part, kind.namespaced));
    }
    operations.insert("parameters".to_owned(), json!([]));
    Value::Object(operations)
}

fn operation(kind: &Kind, action: &str, suffix: &str, namespaced: bool) -> Value {
    let (verb, words) = match action {
        "list" => ("list", "list or watch objects of kind"),
        "get" => ("read", "read the specified"),
        "post" => ("create", "create a"),
        "put" => ("replace", "replace the specified"),
        "patch" => ("patch", "partially update the specified"),
        "delete" => ("delete", "delete a"),
        _ => ("delete", "delete collection of"),
    };
    let group = if kind.group().is_empty() { "core".to_owned() } else { kind.group().to_owned() };
    let camel: String = group.split('.').map(capital).collect();
    let (collection, scope) = (
        if action == "deletecollection" { "Collection" } else { "" },
        if namespaced { "Namespaced" } else { "" },
    );
    let id = format!("{verb}{camel}{}{collection}{scope}{}{suffix}", capital(&kind.version), kind.kind);
    let mut tag = camel;
    tag[..1].make_ascii_lowercase();
    let own = reference(&model(kind));
    let content = |schema: &Value| json!({"application/json": {"schema": schema}, "application/yaml": {"schema": schema}});
    let answered = match action {
        "list" => reference(&format!("{}List", model(kind))),
        "delete" | "deletecollection" => reference(&format!("{META}.Status")),
        _ => own.clone(),
    };
    let reply = |description: &str| json!({"description": description, "content": content(&answered)});
    let mut responses = json!({"200": reply("OK"), "401": {"description": "Unauthorized"}});
    if matches!(action, "post" | "put" | "patch") {
        responses["201"] = reply("Created");
    }
    if matches!(action, "post" | "delete") {
        responses["202"] = reply("Accepted");
    }
    let mut operation = json!({
        "tags": [format!("{tag}_{}", kind.version)],
        "description": format!("{words} {}", kind.kind),
        "operationId": id,
        "parameters": parameters(action),
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": kind.group(),
            "version": &*kind.version,
            "kind": kind.kind,
        },
    });
    let body = match action {
        "post" | "put" => Some((content(&own), true)),
        "patch" => {
            let patch = reference(&format!("{META}.Patch"));
            let mut forms = json!({});
            let custom = kind.custom().is_some();
            let strategic = (!custom).then_some("application/strategic-merge-patch+json");
            for form in [
                "application/apply-patch+yaml",
                "application/json-patch+json",
                "application/merge-patch+json",
            ]
            .into_iter()
            .chain(strategic)
            {
                forms[form] = json!({"schema": patch});
            }
            Some((forms, true))
        }
        "delete" => Some((content(&reference(&format!("{META}.DeleteOptions"))), false)),
        _ => None,
    };
    if let Some((content, required)) = body {
        operation["requestBody"] = json!({"content": content});
        if required {
            operation["requestBody"]["required"] = json!(true);
        }
    }
    operation
}

fn capital(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

fn parameters(action: &str) -> Value {
    let parameter = |name: &str, description: &str, kind: &str| json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}});
    let write = || {
        vec![
            parameter("dryRun", DRY_RUN, "string"),
            parameter("fieldManager", FIELD_MANAGER, "string"),
            parameter("fieldValidation", FIELD_VALIDATION, "string"),
        ]
    };
    let list = || {
        ["continue", "fieldSelector", "labelSelector", "resourceVersion", "resourceVersionMatch"]
            .map(|name| parameter(name, "", "string"))
            .into_iter()
            .chain(["limit", "timeoutSeconds"].map(|name| parameter(name, "", "integer")))
            .chain(
                ["allowWatchBookmarks", "sendInitialEvents", "watch"]
                    .map(|name| parameter(name, "", "boolean")),
            )
            .collect()
    };
    Value::Array(match action {
        "post" | "put" => write(),
        "patch" => {
            let mut parameters = write();
            parameters.push(parameter("force", FORCE, "boolean"));
            parameters
        }
        "delete" | "deletecollection" => vec![
            parameter("dryRun", DRY_RUN, "string"),
            parameter("gracePeriodSeconds", "", "integer"),
            parameter("propagationPolicy", "", "string"),
        ],
        "list" => list(),
        _ => Vec::new(),
    })
}
