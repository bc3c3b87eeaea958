//! A custom kind, read from its `CustomResourceDefinition`, which has been checked before.

use std::sync::Arc;

use serde_json::Value;

use super::{Kind, Origin};
use crate::objects::Resource;
use crate::schema::{self, Schema};

/// What the time of creation means.
pub(crate) const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. \
                It is not guaranteed to be set in happens-before order across separate operations. Clients may not \
                set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. \
                Read-only. Null for lists. More info: \
                https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What a definition says of one version of its kind.
#[derive(Debug)]
pub(crate) struct Custom {
    /// The schema as it was given, for `OpenAPI`.
    pub(crate) source: Value,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) columns: Vec<Column>,
    /// Fields that field selectors know, as paths such as `spec.color`.
    pub(crate) selectable: Vec<String>,
    /// All served versions.
    pub(crate) versions: Vec<String>,
    pub(crate) storage_version: String,
    /// What a client is warned of when it uses this version.
    pub(crate) deprecation: Option<String>,
    /// The definition is being deleted: nothing can be created any more.
    pub(crate) terminating: bool,
}

/// Where the scale subresource finds its numbers, as paths such as `spec.replicas`.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) selector: Option<String>,
}

/// A column that a definition adds to tables.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `date`…
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    /// Above 0: only in wide tables.
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// The kinds that a definition serves, one for each of its versions.
pub(crate) fn kinds(definition: &Value) -> Vec<Arc<Kind>> {
    let spec = &definition["spec"];
    let versions: Vec<_> = spec["versions"].as_array().into_iter().flatten().collect();
    let storage = versions.iter().find(|version| version["storage"] == true);
    let storage_version = storage.map_or_else(String::new, |version| text(&version["name"]));
    let served = versions.into_iter().filter(|version| version["served"] == true);
    served.map(|version| Arc::new(kind(definition, version, &storage_version))).collect()
}

fn kind(definition: &Value, version: &Value, storage_version: &str) -> Kind {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let name = text(&version["name"]);
    let source = version["schema"]["openAPIV3Schema"].clone();
    let scale = &version["subresources"]["scale"];
    Kind {
        resource: Resource::new(&text(&spec["group"]), &text(&names["plural"])),
        version: name.as_str().into(),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        schema: with_inherent_fields(Schema::read(&source)),
        origin: Origin::Custom(Box::new(Custom {
            source,
            status: !version["subresources"]["status"].is_null(),
            scale: scale.is_object().then(|| ScalePaths {
                replicas: path(&scale["specReplicasPath"]),
                status_replicas: path(&scale["statusReplicasPath"]),
                selector: scale["labelSelectorPath"].is_string().then(|| path(&scale["labelSelectorPath"])),
            }),
            columns: columns(&version["additionalPrinterColumns"]),
            selectable: version["selectableFields"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| path(&field["jsonPath"]))
                .collect(),
            versions: spec["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|version| version["served"] == true)
                .map(|version| text(&version["name"]))
                .collect(),
            storage_version: storage_version.to_owned(),
            deprecation: deprecation(spec, version),
            terminating: !definition["metadata"]["deletionTimestamp"].is_null(),
        })),
    }
}

/// Every object has these fields, whatever its schema says of them.
fn with_inherent_fields(mut schema: Schema) -> Schema {
    for name in ["apiVersion", "kind"] {
        let text = Schema { kind: Some(schema::Type::String), ..Schema::default() };
        schema.properties.insert(name.to_owned(), text);
    }
    schema
        .properties
        .insert("metadata".to_owned(), schema::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    schema
}

fn columns(source: &Value) -> Vec<Column> {
    let Some(columns) = source.as_array() else {
        return vec![Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: CREATED.to_owned(),
            priority: 0,
            path: ".metadata.creationTimestamp".to_owned(),
        }];
    };
    let column = |column: &Value| Column {
        name: text(&column["name"]),
        kind: text(&column["type"]),
        format: text(&column["format"]),
        description: match text(&column["description"]) {
            given if given.is_empty() => {
                format!(
                    "Custom resource definition column (in JSONPath format): {}",
                    text(&column["jsonPath"])
                )
            }
            given => given,
        },
        priority: column["priority"].as_i64().unwrap_or(0),
        path: text(&column["jsonPath"]),
    };
    columns.iter().map(column).collect()
}

fn deprecation(spec: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    let given = version["deprecationWarning"].as_str().map(str::to_owned);
    let (group, name, kind) = (text(&spec["group"]), text(&version["name"]), text(&spec["names"]["kind"]));
    Some(given.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated")))
}

/// `spec.replicas` for `.spec.replicas`.
fn path(source: &Value) -> String {
    source.as_str().unwrap_or_default().trim_start_matches('.').to_owned()
}

fn text(source: &Value) -> String {
    source.as_str().unwrap_or_default().to_owned()
}

fn texts(source: &Value) -> Vec<String> {
    source.as_array().into_iter().flatten().map(text).collect()
}
