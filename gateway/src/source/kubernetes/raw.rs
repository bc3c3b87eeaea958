//! An object as the API server sent it, of whatever shape.
//!
//! Reading a list of typed objects fails as a whole when one of them has a field of another type. This reads
//! any object, and judges each on its own.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicResourceScope;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::objects::{Kind, Object, ObjectKey};
use crate::source::Unreadable;

/// One object, unread.
#[derive(Clone)]
pub(super) struct Raw {
    meta: ObjectMeta,
    value: Value,
}

impl Raw {
    pub(super) fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey::of(kind, &self.meta)
    }

    pub(super) fn read(self, kind: Kind) -> Result<Object, Unreadable> {
        let Raw { meta, value } = self;
        Object::read(kind, value).map_err(|error| Unreadable {
            key: ObjectKey::of(kind, &meta),
            meta: Box::new(meta),
            error: error.to_string(),
        })
    }
}

/// Never fails for an object: what can't be read of the metadata is left out of the copy.
impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let meta = value.get("metadata").map(lenient_meta).unwrap_or_default();
        Ok(Raw { meta, value })
    }
}

fn lenient_meta(value: &Value) -> ObjectMeta {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        generation: value.get("generation").and_then(Value::as_i64),
        annotations: value.get("annotations").and_then(|map| serde_json::from_value(map.clone()).ok()),
        labels: value.get("labels").and_then(|map| serde_json::from_value(map.clone()).ok()),
        creation_timestamp: value
            .get("creationTimestamp")
            .and_then(|time| serde_json::from_value(time.clone()).ok()),
        ..ObjectMeta::default()
    }
}

impl Resource for Raw {
    type DynamicType = Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Kind) -> Cow<'_, str> {
        kind.as_str().into()
    }

    fn group(kind: &Kind) -> Cow<'_, str> {
        kind.group().into()
    }

    fn version(kind: &Kind) -> Cow<'_, str> {
        kind.version().into()
    }

    fn plural(kind: &Kind) -> Cow<'_, str> {
        kind.plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// Never the contents: they may be Secrets.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.meta.name.as_deref().unwrap_or_default();
        let namespace = self.meta.namespace.as_deref().unwrap_or_default();
        write!(f, "{namespace}/{name}")
    }
}
