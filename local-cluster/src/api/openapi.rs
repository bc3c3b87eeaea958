//! `OpenAPI` documents, from which clients learn the fields of objects and what requests understand.

mod operations;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Content};
use super::discovery::hash;
use super::{Asked, text};
use crate::resources::{Kind, Table};
use crate::schema;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

const VERSION_2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// `swagger: "2.0"`, `info: {title: "Kubernetes", version: "1.34"}`, no paths, no definitions.
const EMPTY_VERSION_2: &[u8] = b"\x0a\x032.0\x12\x12\x0a\x0aKubernetes\x12\x041.34\x42\x00\x4a\x00";

/// Documents that were written once: they are large, and kubectl asks for them each time it runs.
#[derive(Debug, Default)]
pub(crate) struct Documents(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    /// What they tell of.
    table: Option<Arc<Table>>,
    by_path: HashMap<String, Document>,
}

#[derive(Debug, Clone)]
struct Document {
    body: Bytes,
    hash: String,
}

impl Documents {
    fn get(&self, table: &Arc<Table>, path: &str) -> Option<Document> {
        let mut written = self.0.lock();
        let Written { table: told, by_path } = &mut *written;
        let told = told.get_or_insert_with(|| Arc::clone(table));
        if !Arc::ptr_eq(told, table) {
            by_path.retain(|path, _| same(kinds(told, path), kinds(table, path)));
            *told = Arc::clone(table);
        }
        if let Some(document) = by_path.get(path) {
            return Some(document.clone());
        }
        let body = Bytes::from(document(table, path)?.to_string());
        let document = Document { hash: hash(&body), body };
        by_path.insert(path.to_owned(), document.clone());
        Some(document)
    }
}

fn same(a: &[Arc<Kind>], b: &[Arc<Kind>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// The index for an empty path, else the document of a group's version.
pub(super) fn version_3(known: &Documents, table: &Arc<Table>, asked: &Asked, path: &str) -> Answer {
    if path.is_empty() {
        let index: Map<String, Value> = documents(table)
            .into_iter()
            .map(|path| {
                let hash = known.get(table, &path).map(|document| document.hash).unwrap_or_default();
                let url = format!("/openapi/v3/{path}?hash={hash}");
                (path, json!({"serverRelativeURL": url}))
            })
            .collect();
        return cached(asked, "text/plain; charset=utf-8", json!({"paths": index}).to_string().into(), None);
    }
    let Some(Document { body, hash }) = known.get(table, path) else {
        return Answer::new(404, Content::Empty);
    };
    if !accepts_json(asked) {
        return Answer::new(406, Content::Empty).header(VARY, "Accept");
    }
    let url = format!("/openapi/v3/{path}?hash={hash}");
    match asked.query.get("hash") {
        Some(given) if given != hash => {
            let answer = Answer::new(301, Content::Raw("application/json", Bytes::new()));
            answer.header(LOCATION, url).header(ETAG, format!("\"{hash}\"")).header(VARY, "Accept")
        }
        given => cached(asked, "application/json", body, Some(given.is_some())),
    }
}

fn accepts_json(asked: &Asked) -> bool {
    let accept = asked.accept().unwrap_or("*/*");
    accept
        .split(',')
        .map(str::trim)
        .any(|clause| clause.starts_with("application/json") || clause.starts_with("*/*"))
}

/// An answer that clients may keep; for a year when its address names its content.
fn cached(asked: &Asked, media_type: &'static str, body: Bytes, immutable: Option<bool>) -> Answer {
    let etag = format!("\"{}\"", hash(&body));
    let year = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(365 * 24);
    let expires = year.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
    let known = text(&asked.headers, &IF_NONE_MATCH) == Some(&etag);
    let answer = if known {
        Answer::new(304, Content::Empty)
    } else {
        Answer::new(200, Content::Raw(media_type, body)).header(ACCEPT_RANGES, "bytes")
    };
    let answer = match immutable {
        None => answer,
        Some(_) => answer.header(ETAG, etag).header(VARY, "Accept"),
    };
    match immutable {
        Some(true) => answer.header(CACHE_CONTROL, "public, immutable").header(EXPIRES, expires),
        _ => answer,
    }
}

/// Paths of documents: one for each version of a group.
fn documents(table: &Table) -> Vec<String> {
    let mut paths = Vec::new();
    for (group, versions) in table.groups() {
        paths.extend(versions.into_iter().map(|version| match group {
            "" => format!("api/{version}"),
            group => format!("apis/{group}/{version}"),
        }));
    }
    paths.sort();
    paths
}

fn kinds<'a>(table: &'a Table, path: &str) -> &'a [Arc<Kind>] {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["api", version] => table.of("", version),
        ["apis", group, version] => table.of(group, version),
        _ => &[],
    }
}

fn document(table: &Table, path: &str) -> Option<Value> {
    let kinds = kinds(table, path);
    let first = kinds.first()?;
    let mut names = BTreeSet::new();
    for meta in ["DeleteOptions", "ListMeta", "ObjectMeta", "Status"] {
        collect(&format!("{META}.{meta}"), &mut names);
    }
    let mut schemas = Map::new();
    for kind in kinds {
        if let Some(row) = kind.built_in() {
            collect(&row.definition(), &mut names);
            collect(&format!("{}List", row.definition()), &mut names);
        } else {
            schemas.insert(model(kind), custom(kind));
            schemas.insert(format!("{}List", model(kind)), custom_list(kind));
        }
    }
    for name in names {
        let source =
            schema::definition(&name).and_then(|definition| serde_json::from_str(definition.source).ok());
        schemas.insert(name, source.unwrap_or_default());
    }
    schemas.insert(format!("{META}.Patch"), patch());
    schemas.sort_keys();
    let paths: Map<String, Value> = kinds.iter().flat_map(|kind| operations::paths(kind)).collect();
    let info = match first.custom() {
        Some(_) => json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}),
        None => json!({"title": "Kubernetes", "version": "1.34"}),
    };
    let mut components = json!({"schemas": schemas});
    if first.custom().is_none() {
        let token = "Bearer Token authentication";
        components["securitySchemes"] = json!({"BearerToken": {"type": "apiKey", "description": token, "name": "authorization", "in": "header"}});
    }
    Some(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": components}))
}

/// Old clients ask for one document of everything. Paths are left out: nothing that we know of reads them here.
pub(super) fn version_2(table: &Table, asked: &Asked) -> Answer {
    if asked.accept().is_some_and(|accept| accept.contains("proto-openapi.spec.v2")) {
        // kubectl asks in this form alone, for kinds that it finds in no newer document; an empty one says so too.
        let body = Bytes::from_static(EMPTY_VERSION_2);
        return Answer::new(200, Content::Raw(VERSION_2, body)).header(VARY, "Accept");
    }
    if !accepts_json(asked) {
        return Answer::new(406, Content::Empty).header(VARY, "Accept");
    }
    let mut definitions = Map::new();
    for path in documents(table) {
        let document = document(table, &path).unwrap_or_default();
        let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
        definitions.extend(schemas.into_iter().map(|(name, schema)| (name, moved(schema))));
    }
    let body = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "1.34"},
        "paths": {},
        "definitions": definitions,
    });
    cached(asked, "application/json", body.to_string().into(), Some(false))
}

/// References of the older form.
fn moved(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| match (name.as_str(), value) {
                ("$ref", Value::String(path)) => {
                    (name, path.replace("#/components/schemas/", "#/definitions/").into())
                }
                (_, value) => (name, moved(value)),
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(moved).collect(),
        other => other,
    }
}

/// A definition with all that it refers to.
fn collect(name: &str, names: &mut BTreeSet<String>) {
    if names.contains(name) {
        return;
    }
    let Some(definition) = schema::definition(name) else { return };
    names.insert(name.to_owned());
    for part in definition.source.split("#/components/schemas/").skip(1) {
        if let Some(end) = part.find('"') {
            collect(&part[..end], names);
        }
    }
}

/// The name of a kind's schema: `com.example.v1.Widget`.
fn model(kind: &Kind) -> String {
    if let Some(row) = kind.built_in() {
        return row.definition();
    }
    let group: Vec<_> = kind.group().rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), kind.version, kind.kind)
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn described(field: &str) -> Value {
    let description = match field {
        "apiVersion" => {
            "APIVersion defines the versioned schema of this representation of an object. Servers should \
            convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
            https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
        }
        _ => {
            "Kind is a string value representing the REST resource this object represents. Servers may infer this \
            from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
            https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
        }
    };
    json!({"description": description, "type": "string"})
}

fn group_version_kind(kind: &Kind, name: &str) -> Value {
    json!({"group": kind.group(), "kind": name, "version": &*kind.version})
}

/// The schema as the definition gives it, with the fields that every object has.
fn custom(kind: &Arc<Kind>) -> Value {
    let mut schema = kind.custom().map(|custom| custom.source.clone()).unwrap_or_default();
    schema["properties"]["apiVersion"] = described("apiVersion");
    schema["properties"]["kind"] = described("kind");
    let object_meta = reference(&format!("{META}.ObjectMeta"));
    schema["properties"]["metadata"] = json!({"description": METADATA, "allOf": [object_meta]});
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(kind, &kind.kind)]);
    let selectable: Vec<_> = kind.custom().map(|custom| custom.selectable.clone()).unwrap_or_default();
    if !selectable.is_empty() {
        let fields: Vec<_> = selectable.into_iter().map(|path| json!({"fieldPath": path})).collect();
        schema["x-kubernetes-selectable-fields"] = json!(fields);
    }
    schema
}

fn custom_list(kind: &Arc<Kind>) -> Value {
    let list_meta = reference(&format!("{META}.ListMeta"));
    json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": described("apiVersion"),
            "items": {
                "description": format!(
                    "List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
                    kind.resource.plural
                ),
                "type": "array",
                "items": reference(&model(kind)),
            },
            "kind": described("kind"),
            "metadata": {"description": LIST_METADATA, "allOf": [list_meta]},
        },
        "x-kubernetes-group-version-kind": [group_version_kind(kind, &kind.list_kind)],
    })
}

fn patch() -> Value {
    json!({
        "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
        "type": "object",
    })
}
